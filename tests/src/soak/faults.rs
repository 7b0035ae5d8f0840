//! What goes wrong, and when: drawn from a seed, set through the admin.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;
use wakecast_local::random::{Dice, Span};

use crate::http;

/// Between two faults: often enough that most waits meet one.
const BETWEEN: Span = Span::millis(3_000, 10_000);

/// How long a fault lasts that ends only when it is told to.
const LASTING: Span = Span::millis(2_000, 8_000);

/// Sets one fault after the other for ever; `set` counts them by name.
pub(super) async fn script(
    admin_url: String,
    mut dice: Dice,
    people: u32,
    set: watch::Sender<BTreeMap<String, u64>>,
) {
    let url = format!("{admin_url}/faults");
    loop {
        sleep(dice.within(BETWEEN)).await;
        let lasting = dice.within(LASTING);
        for fault in draw(&mut dice, people) {
            // 409 says that nothing was there to break.
            if matches!(
                http::send("POST", &url, &fault.to_string()).await,
                Ok((200, _))
            ) {
                let name = fault["fault"].as_str().unwrap_or_default().to_owned();
                set.send_modify(|set| *set.entry(name).or_default() += 1);
            }
        }
        sleep(lasting).await;
        calm(&admin_url).await;
    }
}

/// Ends every fault that lasts.
pub(super) async fn calm(admin_url: &str) {
    let _ = http::send("DELETE", &format!("{admin_url}/faults"), "").await;
}

/// Draws what happens at one moment: mostly one thing, for a restart of the gateway two.
fn draw(dice: &mut Dice, people: u32) -> Vec<Value> {
    let mut upto = |most: u64| 1 + dice.bits() % most;
    let someone = upto(u64::from(people.max(1))) - 1;
    let few = upto(4);
    let some = upto(40);
    let many = upto(300);
    let zone = ["eu-central-1a", "eu-central-1b"][usize::from(few > 2)];
    match upto(25) {
        1 => vec![
            json!({ "fault": "refuse_connects", "status": 503, "times": many }),
            json!({ "fault": "cut_sockets" }),
        ],
        2 => vec![json!({ "fault": "cut_sockets" })],
        3 => vec![json!({ "fault": "cut_sockets", "silent": true })],
        4..7 => (0..some)
            .map(|nth| {
                let subject = format!("person-{}", (someone + nth * 7) % u64::from(people.max(1)));
                json!({ "fault": "cut_sockets", "subject": subject, "silent": nth % 4 == 0 })
            })
            .collect(),
        7 => vec![json!({ "fault": "refuse_connects", "status": 429, "times": many })],
        8 => vec![json!({ "fault": "refuse_connects", "status": 503, "times": many })],
        9 => vec![json!({ "fault": "drop_pushes", "times": some })],
        10 => vec![json!({ "fault": "throttle_pushes", "times": some })],
        11 => vec![json!({ "fault": "function", "how": "crash", "times": some })],
        12 => vec![json!({ "fault": "function", "how": "lose_response", "times": some })],
        13 => vec![json!({ "fault": "function", "how": "hang", "times": few })],
        14 => vec![json!({ "fault": "crash_reconciler" })],
        15 => vec![json!({ "fault": "no_capacity", "zone": zone })],
        16 => vec![json!({ "fault": "no_capacity", "times": few })],
        17 => vec![json!({ "fault": "ec2", "how": "throttle", "times": few })],
        18 => vec![json!({ "fault": "ec2", "how": "lose_reply", "times": few })],
        19 => vec![json!({ "fault": "ec2", "how": "lose_request", "times": few })],
        20 => vec![json!({ "fault": "describe_lag", "ms": 5_000 })],
        21 => vec![json!({ "fault": "fail_boot", "falls_back": few > 2 })],
        22 => vec![json!({ "fault": "terminate" })],
        23 => vec![json!({ "fault": "media_crashes", "restart_after_ms": 1_000 * few })],
        24 => vec![json!({ "fault": "media_hangs" })],
        _ => vec![json!({ "fault": "media_boots_slowly", "percent": 100 + 100 * few })],
    }
}

/// How long after the last fault its consequences may last: a function that hangs.
pub(super) const AFTERMATH: Duration = Duration::from_secs(30);
