//! What an acquire lives through: lost links, a gateway that crashes, an app that is killed, and
//! another one with the same id. The simulated EC2 launches once, whatever happens.

mod app;
mod clock;
mod gateway;
mod owners;
mod processes;
mod reconnects;
mod resends;

use wakecast_local::cloud::What;

use crate::cloud::{Cloud, within};

/// An id that an app keeps across its restarts.
const ID: &str = "2c624232cdd221771294dfbb310aca00";

/// Waits until the function has acknowledged the acquire of [`ID`] this often, whether or not the
/// answer arrived. One that takes up the wait of another link is answered by `progress`.
async fn acked(cloud: &Cloud, times: usize) {
    let mut acks = 0;
    let acked = cloud.timeline().wait_for(|event| {
        let is_ack = matches!(&event.what, What::Replied { kind, id, .. }
            if matches!(kind.as_str(), "ack" | "progress") && id.as_deref() == Some(ID));
        acks += usize::from(is_ack);
        acks == times
    });
    within("the acks", acked).await;
}
