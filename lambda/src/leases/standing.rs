//! Whose row it is: the newest link that claimed it.

use crate::guards::{Guard, Guards};
use crate::model::{Link, Row};

/// How a link stands to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The row's own link, or a newer one of the same client: it becomes the row's link.
    Owner,
    /// An older socket of the same client, as in a rotation: it is served, but claims nothing.
    Older,
    /// A newer link of another client: it takes the row over from this one.
    TakesOver(Link),
    /// Another client with a newer link has the row.
    Lost,
}

/// Two links are ordered by the gateway's own `connectedAt`; its name of the socket breaks a tie.
pub(super) fn standing(row: &Row, link: &Link, guards: Guards) -> Standing {
    let Some(holder) = &row.link else {
        return Standing::Owner;
    };
    let newer = (link.connected_at, &link.connection) >= (holder.connected_at, &holder.connection)
        || !guards.on(Guard::ConnectedAt);
    match (holder.client_id == link.client_id, newer) {
        (true, true) => Standing::Owner,
        (true, false) => Standing::Older,
        (false, true) => Standing::TakesOver(holder.clone()),
        (false, false) => Standing::Lost,
    }
}
