//! The REST of the server: root paths, app paths and the bridge between them.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use super::auth::token_holds;
use super::boot::BootPhase;
use super::config::Edition;
use super::exchange::{Reply, Request, Response};
use super::model::MediaModel;

const INITIALIZING: &str = "Application is getting initialized";
const NOT_ALLOWED: &str = "Not allowed IP";

impl MediaModel {
    /// One HTTP request. A request to a path of an app before that app is ready costs it its
    /// settings, whatever the answer.
    pub fn http(&mut self, now: u64, request: &Request) -> Reply {
        self.tick(now);
        let phase = self.phase(now);
        if phase == BootPhase::Refused {
            return Reply::Refused;
        }
        if self.faults.hang {
            return Reply::Silent { until: None };
        }
        let (touched, path) = self.route(request);
        if let Some(index) = touched {
            self.touch(index, now);
        }
        if phase == BootPhase::Silent {
            return Reply::Silent {
                until: self.silence_ends(),
            };
        }
        let mut response = match (touched, path) {
            (Some(index), Some(path)) => self.app_path(now, index, path, request),
            _ => self.root_path(now, phase, request),
        };
        if request.method == "HEAD" {
            response.body.clear();
        }
        Reply::Answer(response)
    }

    /// The app a request touches, directly or over the bridge, and the path inside it if the
    /// request goes to the app without the root's checks.
    fn route<'a>(&self, request: &'a Request) -> (Option<usize>, Option<&'a str>) {
        if let Some((index, _)) = self.bridged(request) {
            return (Some(index), None);
        }
        match split_app(request.path()).and_then(|(app, path)| Some((self.app_index(app)?, path))) {
            Some((index, path)) => (Some(index), Some(path)),
            None => (None, None),
        }
    }

    fn bridged<'a>(&self, request: &'a Request) -> Option<(usize, &'a str)> {
        if request.path() != "/rest/v2/request" {
            return None;
        }
        let target = request.query("_path")?;
        let (app, path) = target.split_once('/').unwrap_or((target, ""));
        Some((self.app_index(app)?, path))
    }

    fn root_path(&mut self, now: u64, phase: BootPhase, request: &Request) -> Response {
        match phase {
            BootPhase::Refused | BootPhase::Silent | BootPhase::Answering => {
                return Response::empty(500);
            }
            BootPhase::Forbidden | BootPhase::Swapping => return Response::page(403, NOT_ALLOWED),
            BootPhase::Live | BootPhase::Ready => {}
        }
        let Some(path) = request.path().strip_prefix("/rest/v2/") else {
            return Response::page(404, "Not Found");
        };
        if let Err(message) = self.admit(now, path, request) {
            let session = self.new_session();
            return Response::page(403, message).with_session(session);
        }
        if path == "request" {
            return self.bridge(now, request);
        }
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Response::page(405, "HTTP 405 Method Not Allowed");
        }
        self.root_answer(now, path, request)
    }

    /// The server's own JWT control. Liveness needs no token, but a bad one is refused there too.
    fn admit(&self, now: u64, path: &str, request: &Request) -> Result<(), &'static str> {
        let open = path == "liveness";
        let Some(secret) = &self.config.server_secret else {
            return if open {
                Ok(())
            } else {
                Err("Not authenticated user")
            };
        };
        let token = request
            .proxy_authorization
            .as_deref()
            .filter(|token| !token.is_empty());
        match token {
            None if open => Ok(()),
            None => Err("Not authenticated user"),
            Some(token) => {
                let holds = token_holds(token, secret, self.unix_ms(now) / 1_000);
                if holds && !self.faults.forbidden {
                    Ok(())
                } else {
                    Err("Invalid Server JWT Token")
                }
            }
        }
    }

    fn root_answer(&self, now: u64, path: &str, request: &Request) -> Response {
        let body = match path {
            "liveness" => json!({ "host": self.config.host, "status": "ok" }),
            "version" => self.version(),
            "applications" => json!({ "applications": self.status(now).ready_apps }),
            "live-clients-size" => {
                let counts = self.total_counts();
                json!({
                    "totalConnectionSize": counts.connections,
                    "totalLiveStreamSize": counts.total_live_streams,
                })
            }
            "server-time" => self.server_timing(now),
            "system-resources" => self.system_resources(now),
            "shutdown-proper-status" => return self.shutdown_proper_status(now, request),
            _ => return self.settings_answer(now, path),
        };
        Response::json(body.to_string())
    }

    /// One app's settings; 204 for an app that is unknown or not ready.
    fn settings_answer(&self, now: u64, path: &str) -> Response {
        let Some(app) = path.strip_prefix("applications/settings/") else {
            return Response::page(404, "HTTP 404 Not Found");
        };
        match self
            .app_index(app)
            .filter(|index| self.is_ready(*index, now))
        {
            Some(index) => Response::json(json!(self.settings(index)).to_string()),
            None => Response::empty(204),
        }
    }

    fn shutdown_proper_status(&self, now: u64, request: &Request) -> Response {
        let Some(names) = request.query("appNames").filter(|names| !names.is_empty()) else {
            return Response::page(400, "appNames is missing");
        };
        let known = names.split(',').all(|name| {
            self.app_index(name)
                .is_some_and(|index| self.is_ready(index, now))
        });
        if !known {
            let message = "Either server may not be initialized or application name that does not exist is requested.";
            let mut response =
                Response::json(json!({ "success": false, "message": message }).to_string());
            response.status = 500;
            return response;
        }
        Response::json(json!({ "success": self.ended_properly, "message": null }).to_string())
    }

    fn version(&self) -> Value {
        let edition = match self.config.edition {
            Edition::Community => "Community Edition",
            Edition::Enterprise => "Enterprise Edition",
        };
        json!({
            "versionName": self.config.version,
            "versionType": edition,
            "buildNumber": "20260504_1234",
        })
    }

    fn server_timing(&self, now: u64) -> Value {
        let started = self.life.boot.started_ms();
        json!({ "up-time": now.saturating_sub(started), "start-time": self.unix_ms(started) })
    }

    fn system_resources(&self, now: u64) -> Value {
        let counts = self.total_counts();
        let community = self.config.edition == Edition::Community;
        // −1 says "not measured".
        let webrtc_streams = if community {
            json!(-1)
        } else {
            json!(counts.webrtc_streams)
        };
        let mut body = json!({
            "instanceId": "5f4dcc3b5aa765d61d8327deb882cf99",
            "cpuUsage": { "processCPUTime": 9_800_000, "systemCPULoad": 2, "processCPULoad": 1 },
            "jvmMemoryUsage": { "maxMemory": 6_291_456_000_u64, "inUseMemory": 367_001_600 },
            "systemInfo": { "osName": "Linux", "osArch": "amd64", "javaVersion": "17", "processorCount": 2 },
            "softwareVersion": self.version(),
            "dbAverageQueryTimeMs": 1,
            "localWebRTCLiveStreams": webrtc_streams,
            "localLiveStreams": counts.live_streams,
            "localWebRTCViewers": counts.webrtc_viewers,
            "localHLSViewers": counts.hls_viewers,
            "localDASHViewers": 0,
            "encoders-blocked": 0,
            "encoders-not-opened": 0,
            "publish-timeout-errors": 0,
            "vertx-worker-thread-queue-size": 0,
            "webrtc-vertx-worker-thread-queue-size": 0,
            "server-timing": self.server_timing(now),
            "totalLiveStreamSize": counts.total_live_streams,
        });
        if let (false, Value::Object(fields)) = (community, &mut body) {
            fields.insert("license".to_owned(), json!({ "status": "valid" }));
        }
        body
    }

    /// Reaches an app's REST from the server itself, behind the root's checks.
    fn bridge(&mut self, now: u64, request: &Request) -> Response {
        let Some((index, path)) = self.bridged(request) else {
            return Response::page(404, "Not Found");
        };
        let path = path.to_owned();
        let inner = Request {
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ..request.clone()
        };
        self.app_path(now, index, &path, &inner)
    }

    fn app_path(&mut self, now: u64, index: usize, path: &str, request: &Request) -> Response {
        match path.strip_prefix("rest/v2/") {
            Some(rest) => self.app_rest(now, index, rest, request),
            None => self.app_page(now, index, path, request),
        }
    }

    fn app_rest(&self, now: u64, index: usize, path: &str, request: &Request) -> Response {
        if !self.is_ready(index, now) {
            return match self.phase(now) {
                BootPhase::Swapping => Response::empty(500),
                _ => Response::page(403, INITIALIZING),
            };
        }
        let settings = self.settings(index);
        let on = |name: &str| settings.get(name).and_then(Value::as_bool).unwrap_or(false);
        let text = |name: &str| settings.get(name).and_then(Value::as_str);
        if on("jwtControlEnabled") {
            let bare = request.authorization.as_deref().unwrap_or_default();
            let bare = bare
                .strip_prefix("Bearer ")
                .or(bare.strip_prefix("bearer "))
                .unwrap_or(bare);
            let unix_s = self.unix_ms(now) / 1_000;
            if !text("jwtSecretKey").is_some_and(|secret| token_holds(bare, secret, unix_s)) {
                return Response::page(403, "Invalid App JWT Token");
            }
        }
        let allowed = text("remoteAllowedCIDR").unwrap_or_default();
        if on("ipFilterEnabled")
            && !allowed
                .split(',')
                .any(|range| in_range(request.peer, range.trim()))
        {
            return Response::page(403, NOT_ALLOWED);
        }
        let Some(app) = self.life.apps.get(index) else {
            return Response::empty(500);
        };
        let body = match path {
            "version" => self.version(),
            "broadcasts/count" | "broadcasts/active-live-stream-count" => {
                json!({ "number": app.streams.counts().total_live_streams })
            }
            _ => return Response::page(404, "HTTP 404 Not Found"),
        };
        Response::json(body.to_string())
    }

    /// The static pages of an app, its player page and playlists; no filter guards them.
    fn app_page(&mut self, now: u64, index: usize, path: &str, request: &Request) -> Response {
        if self.phase(now) == BootPhase::Answering {
            return Response::page(403, INITIALIZING);
        }
        if path.is_empty() {
            let body = "<!doctype html><html><body>Ant Media Server</body></html>".to_owned();
            return Response {
                content_type: Some("text/html"),
                ..Response::json(body)
            };
        }
        let stream = path
            .strip_prefix("streams/")
            .and_then(|file| file.strip_suffix(".m3u8"));
        let life = self.life.apps.get(index);
        let found =
            stream.filter(|id| life.is_some_and(|life| life.streams.playlist_exists(id, now)));
        if found.is_none() {
            return Response::page(404, "Not Found");
        }
        let playlist = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n".to_owned();
        let mut response = Response {
            content_type: Some("application/vnd.apple.mpegurl"),
            ..Response::json(playlist)
        };
        if request.method == "GET" {
            self.count_hls_request(now, index, request, &mut response);
        }
        response
    }

    /// Each session is a viewer, and a request without a cookie begins a session.
    fn count_hls_request(
        &mut self,
        now: u64,
        index: usize,
        request: &Request,
        response: &mut Response,
    ) {
        let session = request
            .session
            .clone()
            .unwrap_or_else(|| self.new_session());
        if request.session.is_none() {
            response.new_session = Some(session.clone());
        }
        if let Some(app) = self.life.apps.get_mut(index) {
            app.streams.hls_request(&session, now);
        }
    }
}

/// `/<app>/<path>` in two.
fn split_app(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.split_once('/')
}

/// Whether `peer` is the address, or lies in the range, that `range` writes.
fn in_range(peer: IpAddr, range: &str) -> bool {
    let (base, bits) = match range.split_once('/') {
        Some((base, bits)) => (base, bits.parse::<u32>().ok()),
        None => (range, Some(128)),
    };
    match (peer, base.parse::<IpAddr>(), bits) {
        (IpAddr::V4(peer), Ok(IpAddr::V4(base)), Some(bits)) => {
            let shift = 32_u32.saturating_sub(bits);
            let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
            u32::from(peer) & mask == u32::from(base) & mask
        }
        (IpAddr::V6(peer), Ok(IpAddr::V6(base)), Some(bits)) => {
            let shift = 128_u32.saturating_sub(bits);
            let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
            u128::from(peer) & mask == u128::from(base) & mask
        }
        _ => false,
    }
}
