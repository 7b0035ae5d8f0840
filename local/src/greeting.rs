//! What is printed once everything serves.

use std::net::SocketAddr;

use wakecast_local::media::{Edition, WebRtc};
use wakecast_local::real::ServerUrl;
use wakecast_local::{LocalCloud, Profile, Token};

/// Tells where to connect, with what, and how to break it. Plain unless `styled`.
pub(crate) fn text(
    cloud: &LocalCloud,
    token: &Token,
    media: Option<&ServerUrl>,
    carried: Option<WebRtc>,
    profile: Profile,
    styled: bool,
) -> String {
    let [bold, dim, end] = style(styled);
    let LocalCloud {
        websocket_url,
        access_url,
        admin_url,
        app,
        ..
    } = cloud;
    let profile = match profile {
        Profile::Default => "default profile",
        Profile::Demonstration => "demonstration profile",
        Profile::Test => "test profile",
    };
    let connect = snippet(websocket_url, access_url, app);
    let life = token.expires_in.as_secs();
    let secret = token.secret.expose();
    let media = match (media, carried) {
        (Some(url), _) => format!(
            "  {dim}media{end}      {bold}{url}{end}
             {dim}a real server; only its boot and its stop are simulated{end}
"
        ),
        (None, Some(webrtc)) => format!(
            "  {dim}media{end}      {}
",
            about(webrtc)
        ),
        (None, None) => String::new(),
    };
    format!(
        "
  {bold}wakecast-local{end}  {dim}{profile}, this machine only, Ctrl-C stops{end}

  {dim}websocket{end}  {bold}{websocket_url}{end}
  {dim}access{end}     {bold}{access_url}{end}
  {dim}admin{end}      {bold}{admin_url}{end}
{media}  {dim}token{end}      {secret}
             {dim}lives {life} s; may publish and play every stream of the app `{app}`{end}
  {dim}another{end}    curl {admin_url}/token -H content-type:application/json -d '{{\"subject\":\"developer\"}}'
             {dim}which is what a token provider asks each time; --token-life makes them live longer{end}

  {dim}connect{end}    {connect}

  {dim}look{end}       curl {admin_url}/status
  {dim}break{end}      curl {admin_url}/faults -H content-type:application/json \\
                 -d '{{\"fault\":\"cut_sockets\"}}'

"
    )
}

/// A block, so that the test below can compile what is printed.
const CONNECT: &str = include_str!("greeting/connect.rs");

/// Fills the addresses in, and sets every line below the first one.
fn snippet(websocket_url: &str, access_url: &str, app: &str) -> String {
    let code = CONNECT
        .replace("WEBSOCKET_URL", websocket_url)
        .replace("ACCESS_URL", access_url)
        .replace("APP", app);
    let inner = code.lines().filter_map(|line| line.strip_prefix("    "));
    inner.collect::<Vec<_>>().join("\n             ")
}

/// Tells where a media stand-in answers, and how to put it behind the cloud.
pub(crate) fn media(
    address: SocketAddr,
    app: &str,
    edition: Edition,
    carried: Option<WebRtc>,
    control: bool,
    styled: bool,
) -> String {
    let [bold, dim, end] = style(styled);
    let edition = match edition {
        Edition::Enterprise => "Enterprise",
        Edition::Community => "Community",
    };
    let control = if control {
        "on"
    } else {
        "off: no call of its REST interface is answered"
    };
    let carried = carried.map_or_else(
        || "none: the signalling alone is answered".to_owned(),
        about,
    );
    format!(
        "
  {bold}wakecast-local media{end}  {dim}Ant Media Server stand-in, {edition} Edition, Ctrl-C stops{end}

  {dim}server{end}     {bold}http://{address}{end}
  {dim}signalling{end} {bold}ws://{address}/{app}/websocket{end}
  {dim}media{end}      {carried}
  {dim}control{end}    {control}

  {dim}behind{end}     wakecast-local --media-server http://{address}/{app} …

"
    )
}

/// What carries media, and for whom it is.
fn about(webrtc: WebRtc) -> String {
    let address = webrtc.address.ip();
    let reach = if address.is_loopback() {
        "this machine only"
    } else {
        "open to whoever reaches that address"
    };
    format!("WebRTC on {address}, {reach}: for development")
}

fn style(styled: bool) -> [&'static str; 3] {
    if styled {
        ["\x1b[1m", "\x1b[2m", "\x1b[0m"]
    } else {
        [""; 3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Is only built: what is printed has to compile.
    #[expect(
        dead_code,
        unused_variables,
        reason = "what it is for is up to the app"
    )]
    async fn connect(provider: impl wakecast::TokenProvider) -> Result<(), wakecast::Error> {
        include!("greeting/connect.rs");
        Ok(())
    }

    #[test]
    fn the_snippet_holds_what_is_printed_above_it() {
        let text = snippet("ws://127.0.0.1:1/local", "http://127.0.0.1:2", "live");
        for part in [
            "ws://127.0.0.1:1/local",
            "http://127.0.0.1:2",
            "publish(\"live\"",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
