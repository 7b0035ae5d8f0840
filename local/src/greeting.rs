//! What is printed once everything serves.

use wakecast_local::{LocalCloud, Token};

/// Tells where to connect, with what, and how to break it. Plain unless `styled`.
pub(crate) fn text(cloud: &LocalCloud, token: &Token, demonstration: bool, styled: bool) -> String {
    let (bold, dim, end) = if styled {
        ("\x1b[1m", "\x1b[2m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    let LocalCloud {
        websocket_url,
        access_url,
        admin_url,
        ..
    } = cloud;
    let profile = if demonstration {
        "demonstration profile"
    } else {
        "default profile"
    };
    let life = token.expires_in.as_secs();
    let secret = token.secret.expose();
    format!(
        "
  {bold}wakecast-local{end}  {dim}{profile}, this machine only, Ctrl-C stops{end}

  {dim}websocket{end}  {bold}{websocket_url}{end}
  {dim}access{end}     {bold}{access_url}{end}
  {dim}admin{end}      {bold}{admin_url}{end}
  {dim}token{end}      {secret}
             {dim}lives {life} s; may publish and play every stream of the app `live`{end}

  {dim}connect{end}    let client = wakecast::Client::builder(\"{websocket_url}\")
                 .access_url(\"{access_url}\").token_provider(provider).build()?;
             let lease = client.acquire(Acquire::publish(\"live\", \"match-1\")).await?;

  {dim}look{end}       curl {admin_url}/status
  {dim}break{end}      curl {admin_url}/faults -H content-type:application/json \\
                 -d '{{\"fault\":\"cut_sockets\"}}'

"
    )
}
