//! When people come and when they stay away.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::person::Phase;
use super::watchman::Seen;

/// People come and go for this long; then everybody lets go, so that the instance stops and a herd
/// wakes the next.
const BUSY: Duration = Duration::from_secs(45);

/// The longest a lull lasts without a stop: drain and stop take 20 s, forgotten leases 20 s more,
/// and a fault may be in the way.
const LULL: Duration = Duration::from_secs(75);

/// Lets people come and go until `end`. Returns how many lulls ended with a stopped instance, and
/// how many there were.
pub(super) async fn direct(
    phase: &watch::Sender<Phase>,
    seen: &mut watch::Receiver<Seen>,
    end: Instant,
) -> (u64, u64) {
    let (mut stopped, mut lulls) = (0, 0);
    loop {
        phase.send_replace(Phase::Busy);
        sleep_until(end.min(Instant::now() + BUSY)).await;
        if Instant::now() >= end {
            return (stopped, lulls);
        }
        phase.send_replace(Phase::Lull);
        let patience = end.min(Instant::now() + LULL);
        let quiet = timeout_at(patience, seen.wait_for(Seen::is_quiet)).await;
        let quiet = quiet.is_ok_and(|seen| seen.is_ok());
        // A lull that the run's end cut short says nothing.
        if quiet || Instant::now() < end {
            lulls += 1;
            stopped += u64::from(quiet);
        }
    }
}
