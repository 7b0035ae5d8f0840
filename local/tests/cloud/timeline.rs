//! The record is bounded, and its counts are not.

use std::sync::Arc;
use std::time::Duration;

use wakecast_lambda::model::{ConnectionId, InstanceId};
use wakecast_lambda::ports::Clock;
use wakecast_local::cloud::{Timeline, What};
use wakecast_local::ec2::Happened;
use wakecast_local::system::SystemClock;

fn ec2(happened: Happened) -> What {
    What::Ec2 {
        instance: InstanceId::new("i-1"),
        happened,
    }
}

#[tokio::test]
async fn what_happened_long_ago_is_counted_but_not_kept() {
    let clock = Arc::new(SystemClock::start());
    let timeline = Timeline::new(clock.clone());
    let mut reader = timeline.follow();
    let began = clock.now();
    timeline.record_at(began, ec2(Happened::Launched));
    timeline.record_at(began + Duration::from_secs(7), ec2(Happened::StopAccepted));
    let connected = |nth: u32| What::Connected {
        connection: ConnectionId::new(nth.to_string()),
    };
    (0..20_000).for_each(|nth| timeline.record(connected(nth)));
    let kept = timeline.events();
    assert_eq!(kept.len(), 20_000);
    assert_eq!(kept[0].what, connected(0));
    assert_eq!(timeline.count(Happened::Launched), 1);
    assert_eq!(timeline.count(Happened::Started), 0);
    assert_eq!(timeline.billed(), Duration::from_secs(7));
    // A reader that was too slow goes on with the oldest that is kept, and misses nothing after.
    assert_eq!(reader.next().await.what, connected(0));
    assert_eq!(reader.next().await.what, connected(1));
    timeline.record(connected(20_000));
    let last = reader.find(|event| event.what == connected(20_000)).await;
    assert_eq!(last.what, connected(20_000));
}
