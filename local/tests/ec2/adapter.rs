//! The `Fleet` port over the model, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use wakecast_lambda::model::{InstanceId, Intent, LaunchKind};
use wakecast_lambda::ports::{Clock, Ec2Error, Fleet};
use wakecast_local::ec2::{CallFault, CallName, Ec2Settings, Happened, Launch, SimulatedEc2};
use wakecast_local::random::Span;

use crate::clock::VirtualClock;
use crate::region::{Log, T0, after, fleet, launch, model, slow};

fn intent() -> Intent {
    let Launch {
        sequence,
        offering,
        image,
        template,
        ..
    } = launch();
    Intent {
        sequence,
        kind: LaunchKind::New {
            offering,
            image,
            template,
        },
        attempt: 0,
        created_at: T0,
        charged_to: None,
        launch_charged: false,
        not_before: T0,
        tries: 0,
        unanswered: 0,
    }
}

/// Runs a future over virtual time, with the region driven beside it.
fn on_virtual_time<T: 'static>(
    settings: Ec2Settings,
    story: impl AsyncFnOnce(Arc<VirtualClock>, Arc<SimulatedEc2>) -> T + 'static,
) -> (T, Log) {
    let (model, log) = model(settings);
    let clock = VirtualClock::at(T0);
    let ec2 = Arc::new(SimulatedEc2::new("local", clock.clone(), model));
    let mut pool = LocalPool::new();
    let driven = ec2.clone();
    pool.spawner()
        .spawn_local(async move { driven.drive().await })
        .unwrap();
    let (told, answer) = futures::channel::oneshot::channel();
    let at = clock.clone();
    pool.spawner()
        .spawn_local(async move {
            let _ = told.send(story(at, ec2).await);
        })
        .unwrap();
    let mut answer = answer;
    loop {
        pool.run_until_stalled();
        if let Some(value) = answer.try_recv().unwrap() {
            return (value, log);
        }
        assert!(clock.jump(), "everybody waits and nobody sleeps");
    }
}

#[test]
fn the_adapter_boots_machines_when_they_are_due() {
    let ((), log) = on_virtual_time(slow(), async |clock, ec2| {
        ec2.run(&fleet(), &intent(), "t").await.unwrap();
        clock.sleep_until(after(6)).await;
    });
    assert_eq!(log.take(), ["0 Launched", "boot 1", "5 Running"]);
}

#[test]
fn the_adapter_takes_the_time_of_the_way_there_and_back() {
    let settings = Ec2Settings {
        request: Span::exactly(Duration::from_secs(1)),
        reply: Span::exactly(Duration::from_secs(2)),
        ..slow()
    };
    let (took, log) = on_virtual_time(settings, async |clock, ec2| {
        ec2.run(&fleet(), &intent(), "t").await.unwrap();
        clock.now().since(T0)
    });
    assert_eq!(took, Duration::from_secs(3));
    assert_eq!(log.take(), ["1 Launched"]);
}

#[test]
fn the_adapter_gives_up_on_a_lost_reply_after_the_call_timeout() {
    let (took, log) = on_virtual_time(slow(), async |clock, ec2| {
        ec2.with(|model, _| model.script().fail(CallName::Run, CallFault::LostReply, 1));
        let lost = ec2.run(&fleet(), &intent(), "t").await.unwrap_err();
        assert!(matches!(lost, Ec2Error::Ambiguous(_)));
        clock.now().since(T0)
    });
    assert_eq!(took, Duration::from_secs(5));
    assert_eq!(log.take()[0], format!("0 {:?}", Happened::Launched));
}

#[test]
fn a_call_dropped_on_its_way_has_no_effect() {
    let settings = Ec2Settings {
        request: Span::exactly(Duration::from_secs(1)),
        ..slow()
    };
    let ((), log) = on_virtual_time(settings, async |_, ec2| {
        let intent = intent();
        let fleet = fleet();
        let call = std::pin::pin!(ec2.run(&fleet, &intent, "t"));
        let _ = futures::poll!(call);
    });
    assert_eq!(log.take(), [""; 0]);
}

#[test]
fn the_adapter_refuses_to_run_an_intent_that_starts() {
    let ((), _) = on_virtual_time(slow(), async |_, ec2| {
        let start = Intent {
            kind: LaunchKind::Start {
                instance: InstanceId::new("i-1"),
            },
            ..intent()
        };
        assert!(matches!(
            ec2.run(&fleet(), &start, "t").await,
            Err(Ec2Error::Config(_))
        ));
    });
}
