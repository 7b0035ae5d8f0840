//! An app whose process ends, and the next one with the same id.

use wakecast_lambda::lifecycle::Stand;
use wakecast_local::ec2::Happened;

use super::acked;
use super::app::App;
use crate::cloud::{Cloud, within};

#[tokio::test]
async fn an_app_that_is_killed_in_mid_boot_goes_on_where_it_was() {
    let cloud = Cloud::quick().await;
    cloud.hold_boots().await;
    // Three processes, each killed while it waits.
    for nth in 1..=3 {
        let mut app = App::start(&cloud, "alice");
        app.says("connected").await;
        acked(&cloud, nth).await;
        cloud.happened(Happened::Running).await;
        if nth == 1 {
            while app.says("phase").await != "booting" {}
        }
        let said = app.kill().await;
        assert!(
            !said.iter().any(|line| line.starts_with("held")),
            "{said:?}"
        );
    }
    let mut app = App::start(&cloud, "alice");
    app.says("connected").await;
    // The boot stands still and nothing is pushed: the answer to its `acquire` says how far it is.
    while app.says("phase").await == "requested" {}
    cloud.mend().await;
    app.says("held").await;
    holds_one_launch(&cloud).await;

    // It is the last one's: its release ends it.
    app.order("release");
    app.says("released").await;
    cloud.stood(Stand::Draining).await;
    cloud.end();
}

#[tokio::test]
async fn an_app_that_is_killed_with_a_lease_gets_the_same_server_again() {
    let cloud = Cloud::quick().await;
    let mut app = App::start(&cloud, "alice");
    let before = app.says("held").await;
    app.kill().await;

    let mut app = App::start(&cloud, "alice");
    assert_eq!(app.says("held").await, before);
    // What the first had before belongs to this process alone.
    app.order("endpoint");
    assert_eq!(format!("endpoint {}", app.says("endpoint").await), before);
    assert_eq!(cloud.stands(), [Stand::Booting, Stand::Ready]);
    holds_one_launch(&cloud).await;
    cloud.end();
}

#[tokio::test]
async fn an_app_that_detaches_leaves_all_to_the_next() {
    let cloud = Cloud::quick().await;
    cloud.hold_boots().await;
    let mut app = App::start(&cloud, "alice");
    app.says("connected").await;
    while app.says("phase").await == "requested" {}
    app.order("detach");
    let said = within("the first process", app.ends()).await;
    assert_eq!(said.last().map(String::as_str), Some("detached"));

    let mut app = App::start(&cloud, "alice");
    app.says("connected").await;
    cloud.mend().await;
    let before = app.says("held").await;
    app.order("detach");
    app.ends().await;

    let mut app = App::start(&cloud, "alice");
    assert_eq!(app.says("held").await, before);
    assert_eq!(cloud.stands(), [Stand::Booting, Stand::Ready]);
    holds_one_launch(&cloud).await;
    cloud.end();
}

async fn holds_one_launch(cloud: &Cloud) {
    assert_eq!(cloud.power_ons(), (1, 0));
    let status = cloud.status().await;
    assert_eq!(status["rows"].as_array().map(Vec::len), Some(1), "{status}");
}
