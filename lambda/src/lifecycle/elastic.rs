//! Takes the Elastic IP off. It stays on until EC2 shows `stopping` or `stopped`, and no start is
//! sent while it is on: players that reconnect to a known address must not reach a booting app.

use super::Power;
use super::pass::Pass;
use crate::ports::Ec2State;

pub(super) fn step(pass: &mut Pass<'_>) {
    let attached = pass.listed().iter().any(|shown| {
        shown.elastic
            && !shown.hold
            && matches!(shown.state, Ec2State::Stopping | Ec2State::Stopped)
    });
    if attached {
        pass.stay();
        if pass.lock_lasts() {
            pass.call(Power::Disassociate);
        }
    }
}
