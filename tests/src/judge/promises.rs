//! Whoever is handed an endpoint can use it at that moment.

use super::facts::Moment;
use super::known::{Known, Power, Server};

/// EC2 shows a change up to 20 s late, and one look without a server proves nothing: three over a
/// minute do.
const NOTICED: Moment = 90_000;

/// Judges an endpoint as it arrives at a client, where its stream token still lives: an older one
/// was held up on the way, and its owner asks for another.
pub(super) fn usable(
    known: &Known,
    at: Moment,
    (who, lease): (&str, &str),
    server: Option<&str>,
    token_until: Moment,
) -> Option<String> {
    if at < known.excused_until || token_until <= at {
        return None;
    }
    let found = server.and_then(|id| Some((id, known.servers.get(id)?)));
    let wrong = match found {
        // An address leads nowhere from the moment at which its server is terminated.
        None if known
            .servers
            .values()
            .any(|server| unnoticed(known, server)) =>
        {
            return None;
        }
        None => "leads to no server".to_owned(),
        Some((_, server)) if unnoticed(known, server) => return None,
        Some((id, server)) if server.power != Power::Running => {
            format!("leads to {id}, which is {:?}", server.power)
        }
        Some((id, server)) if !server.media.up => format!("leads to {id}, whose app is not up"),
        Some((id, server)) if !server.media.sound => {
            format!("leads to {id}, whose app has lost its settings")
        }
        Some((id, server)) if server.opened.is_none() => {
            format!("leads to {id}, which was never opened")
        }
        Some(_) => return None,
    };
    Some(format!(
        "{who} was handed an endpoint for {lease} that {wrong}"
    ))
}

/// What another hand took down is not known before EC2 shows it.
fn unnoticed(known: &Known, server: &Server) -> bool {
    server
        .taken_at
        .is_some_and(|at| known.described_at < at + NOTICED)
}

/// Judges what goes on in a media server: nobody reaches an app before it has started, since that
/// resets its settings for as long as it runs.
pub(super) fn touched(known: &Known, id: &str, touched_early: bool) -> Option<String> {
    let again = known
        .servers
        .get(id)
        .is_some_and(|server| server.media.touched_early);
    (touched_early && !again).then(|| format!("the app on {id} was touched while it was starting"))
}
