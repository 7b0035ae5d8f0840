//! The command line.

mod values;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use wakecast_local::Profile;
use wakecast_local::media::Edition;
use wakecast_local::real::ServerUrl;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
wakecast-local: the whole wakecast cloud on this machine

Usage: wakecast-local [OPTIONS]
       wakecast-local media [OPTIONS]    a stand-in for Ant Media Server alone, see `media --help`

Options:
  --port PORT            WebSocket API on PORT, HTTP API and admin on the next two [free ones]
  --profile PROFILE      default, demonstration: the whole lifecycle within a minute,
                         or test: every wait as short as it may be
  --token-life SECONDS   how long printed tokens live, 1 to 3600 [3600; demonstration 20]
  --vendor-sdk           serve Ant Media's own JavaScript SDK at the HTTP API, for tickets of POST /ticket
  --links COUNT          how many links one subject may have open at a time [any number]
  --media-address IP     the address of the stand-ins' WebRTC media, or none [127.0.0.1]
  --decision-log FILE    add each decision to FILE as a line that `cargo xtask replay` reads
  --help                 this text

A real Ant Media Server behind the simulated instances; their boot and stop stay simulated:
  --media-server URL     https://HOST:5443, http://HOST:5080, or an app's wss://HOST:5443/APP/websocket
  --media-secret-file FILE
                         its server.jwtServerSecretKey, or in WAKECAST_MEDIA_SECRET
  --media-stream-secret-file FILE
                         the app's jwtStreamSecretKey, or in WAKECAST_MEDIA_STREAM_SECRET;
                         without one no stream tokens are handed out
  --media-app APP        the app whose endpoint is handed out [the URL's, else live]
  --media-edition EDITION
                         enterprise or community: which counts it measures [enterprise]
  --media-setting NAME=VALUE
                         a setting of the app that must read this JSON value
                         [publishJwtControlEnabled, true with a stream secret, else false]

It is a development tool: it listens on 127.0.0.1 only, media excepted if you say so, and stops
with Ctrl-C. RUST_LOG=info shows what is decided.
";

/// What `media --help` prints.
pub(crate) const MEDIA_HELP: &str = "\
wakecast-local media: a stand-in for Ant Media Server alone, for --media-server

Usage: wakecast-local media [OPTIONS]

Options:
  --port PORT            where it listens; 0 takes a free port [5080]
  --profile PROFILE      default: the boot of a real server; demonstration: a fifth of it;
                         test: a twentieth
  --media-secret-file FILE
                         its server.jwtServerSecretKey, or in WAKECAST_MEDIA_SECRET;
                         without one its JWT control is off, as on a fresh server
  --media-stream-secret-file FILE
                         the app's jwtStreamSecretKey, or in WAKECAST_MEDIA_STREAM_SECRET;
                         without one it takes everybody
  --media-app APP        its one app [live]
  --media-edition EDITION
                         enterprise or community [enterprise]
  --media-address IP     the address of its WebRTC media, or none [127.0.0.1]
  --help                 this text

It is a development tool: it listens on 127.0.0.1 only, media excepted if you say so, and stops
with Ctrl-C.
";

/// Where the vendor's server listens without TLS.
const MEDIA_PORT: u16 = 5080;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `--help`, or `media --help`.
    Help(&'static str),
    /// The cloud.
    Serve(Arguments),
    /// `media`.
    Media(MediaArguments),
}

/// The options of the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) port: Option<u16>,
    pub(crate) profile: Profile,
    pub(crate) token_life: Option<Duration>,
    pub(crate) vendor_sdk: bool,
    pub(crate) links: Option<u32>,
    pub(crate) decision_log: Option<PathBuf>,
    pub(crate) carrying: Carrying,
    pub(crate) media_server: Option<ServerUrl>,
    pub(crate) setting: Option<(String, Value)>,
    pub(crate) media: MediaOptions,
}

/// The options of the stand-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MediaArguments {
    pub(crate) port: u16,
    pub(crate) profile: Profile,
    pub(crate) carrying: Carrying,
    pub(crate) media: MediaOptions,
}

/// What describes a media server, whoever runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MediaOptions {
    pub(crate) secret_file: Option<PathBuf>,
    pub(crate) stream_secret_file: Option<PathBuf>,
    pub(crate) app: Option<String>,
    pub(crate) edition: Option<Edition>,
}

/// How the stand-ins carry WebRTC media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Carrying {
    /// For this machine only.
    #[default]
    Loopback,
    /// On one address of this machine.
    On(IpAddr),
    /// Not at all: their signalling alone answers.
    Nothing,
}

/// What is wrong with a command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("unknown option `{0}`")]
    Unknown(String),
    #[error("unknown command `{0}`: expected `media`, or no command for the whole cloud")]
    Command(String),
    #[error("`{0}` is one too many: expected options only")]
    Surplus(String),
    #[error("`{0}` needs a value")]
    Missing(String),
    #[error("`{0}` describes the server of `--media-server`, which is not given: name its URL")]
    WithoutServer(String),
    #[error(
        "`{0}` describes the stand-ins, which `--media-server` replaces: leave one of them out"
    )]
    StandInsOnly(&'static str),
    /// It repeats no value: this one may hold a secret.
    #[error("`{option}`: {problem}")]
    Withheld {
        option: &'static str,
        problem: String,
    },
    #[error("`{option} {value}`: expected {expected}")]
    Value {
        option: &'static str,
        value: String,
        expected: &'static str,
    },
}

impl Command {
    /// Reads the arguments without the program's name. Both `--port 1` and `--port=1` will do.
    pub(crate) fn parse(
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Self, ArgumentError> {
        let mut rest = arguments.into_iter().peekable();
        if rest.next_if(|first| first == "media").is_some() {
            return parse_media(rest);
        }
        if let Some(first) = rest.next_if(|first| !first.starts_with('-')) {
            return Err(ArgumentError::Command(first));
        }
        let mut parsed = Arguments::default();
        let mut about_media = None;
        while let Some(argument) = rest.next() {
            let mut option = Spelled::new(argument, &mut rest);
            match option.name.as_str() {
                "--help" | "-h" => return Ok(Self::Help(HELP)),
                "--port" => parsed.port = Some(values::port(option.value()?)?),
                "--profile" => parsed.profile = values::profile(option.value()?)?,
                "--vendor-sdk" => parsed.vendor_sdk = option.set("--vendor-sdk")?,
                "--decision-log" => parsed.decision_log = Some(PathBuf::from(option.value()?)),
                "--media-address" => {
                    parsed.carrying = values::carrying(option.value()?)?;
                }
                "--token-life" => parsed.token_life = Some(values::token_life(option.value()?)?),
                "--links" => parsed.links = Some(values::links(option.value()?)?),
                "--media-server" => {
                    parsed.media_server = Some(values::server_url(&option.value()?)?);
                }
                "--media-setting" => {
                    parsed.setting = Some(values::setting(&option.value()?)?);
                    about_media = Some(option.name);
                }
                _ => {
                    parsed.media.read(&mut option)?;
                    about_media = Some(option.name);
                }
            }
        }
        if parsed.carrying != Carrying::Loopback && parsed.media_server.is_some() {
            return Err(ArgumentError::StandInsOnly("--media-address"));
        }
        match (about_media, &parsed.media_server) {
            (Some(option), None) => Err(ArgumentError::WithoutServer(option)),
            _ => Ok(Self::Serve(parsed)),
        }
    }
}

fn parse_media(mut rest: impl Iterator<Item = String>) -> Result<Command, ArgumentError> {
    let mut parsed = MediaArguments {
        port: MEDIA_PORT,
        profile: Profile::Default,
        carrying: Carrying::default(),
        media: MediaOptions::default(),
    };
    while let Some(argument) = rest.next() {
        let mut option = Spelled::new(argument, &mut rest);
        match option.name.as_str() {
            "--help" | "-h" => return Ok(Command::Help(MEDIA_HELP)),
            "--media-address" => {
                parsed.carrying = values::carrying(option.value()?)?;
            }
            "--port" => parsed.port = values::media_port(option.value()?)?,
            "--profile" => parsed.profile = values::profile(option.value()?)?,
            _ => parsed.media.read(&mut option)?,
        }
    }
    Ok(Command::Media(parsed))
}

impl MediaOptions {
    fn read(
        &mut self,
        option: &mut Spelled<'_, impl Iterator<Item = String>>,
    ) -> Result<(), ArgumentError> {
        match option.name.as_str() {
            "--media-secret-file" => self.secret_file = Some(option.value()?.into()),
            "--media-stream-secret-file" => self.stream_secret_file = Some(option.value()?.into()),
            "--media-app" => self.app = Some(values::app(option.value()?)?),
            "--media-edition" => self.edition = Some(values::edition(option.value()?)?),
            name if !name.starts_with('-') => return Err(ArgumentError::Surplus(name.to_owned())),
            _ => return Err(ArgumentError::Unknown(option.name.clone())),
        }
        Ok(())
    }
}

/// One option as it was typed, its value perhaps still to come.
struct Spelled<'a, I> {
    name: String,
    inline: Option<String>,
    rest: &'a mut I,
}

impl<'a, I: Iterator<Item = String>> Spelled<'a, I> {
    fn new(argument: String, rest: &'a mut I) -> Self {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        Self { name, inline, rest }
    }

    /// An option that takes no value.
    fn set(&self, option: &'static str) -> Result<bool, ArgumentError> {
        match &self.inline {
            None => Ok(true),
            Some(value) => Err(ArgumentError::Value {
                option,
                value: value.clone(),
                expected: "no value",
            }),
        }
    }

    fn value(&mut self) -> Result<String, ArgumentError> {
        let value = self.inline.take().or_else(|| self.rest.next());
        value.ok_or_else(|| ArgumentError::Missing(self.name.clone()))
    }
}
