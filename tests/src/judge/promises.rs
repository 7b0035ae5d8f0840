//! Whoever is handed an endpoint can use it at that moment.

use super::facts::Moment;
use super::known::{Known, Power, Server};

/// Whoever has been shown that a server is gone has told so by then: a round of slow calls, and a
/// frame on its way.
const TOLD: Moment = 15_000;

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
        None if somewhere_unnoticed(known, at) => return None,
        None => "leads to no server".to_owned(),
        Some((_, server)) if unnoticed(known, at, server) => return None,
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

/// Judges an endpoint that its owner found dead right after it was handed over.
pub(super) fn unreachable(
    known: &Known,
    at: Moment,
    (who, lease): (&str, &str),
    server: Option<&str>,
) -> Option<String> {
    let found = server.and_then(|id| known.servers.get(id));
    let excused = match found {
        Some(server) => unnoticed(known, at, server),
        None => somewhere_unnoticed(known, at),
    };
    (at >= known.excused_until && !excused)
        .then(|| format!("{who} was handed a dead endpoint for {lease}"))
}

/// Judges a stream or a viewer that was cut: nobody but another hand may do that.
pub(super) fn cut(known: &Known, at: Moment, who: &str, id: &str) -> Option<String> {
    let server = known.servers.get(id)?;
    (at >= known.excused_until && server.taken_at.is_none())
        .then(|| format!("{who} was cut off {id}"))
}

/// What another hand took down is not known before EC2 shows it, and it takes a while to tell.
fn unnoticed(known: &Known, at: Moment, server: &Server) -> bool {
    let Some(taken) = server.taken_at else {
        return false;
    };
    let shown = known.shown(taken).into_iter().chain(server.seen_down_at);
    shown
        .min()
        .is_none_or(|shown| at < shown + TOLD + known.delays(shown))
}

/// An address leads nowhere from the moment at which its server is terminated.
fn somewhere_unnoticed(known: &Known, at: Moment) -> bool {
    let mut all = known.servers.values();
    all.any(|server| unnoticed(known, at, server))
}

/// Judges what goes on in a media server: nobody reaches an app before it has started, since that
/// resets its settings for as long as it runs. Whom another hand lets in by a start with the address
/// on, nobody can keep out.
pub(super) fn touched(known: &Known, id: &str, touched_early: bool) -> Option<String> {
    let excused = known.servers.get(id).is_some_and(|server| {
        let let_in = server.foreign_since.is_some() && server.address_on;
        let_in || server.media.touched_early
    });
    (touched_early && !excused)
        .then(|| format!("the app on {id} was touched while it was starting"))
}
