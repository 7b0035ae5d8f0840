//! Pushes, and how a socket ends: by age, by either side, by a cut.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use wakecast_lambda::model::ConnectionId;
use wakecast_lambda::ports::{Connections, PostError};
use wakecast_local::gateway::{Limits, Sockets};

use crate::world::{World, close_code, ok, once, refused, text};

#[tokio::test]
async fn n47_idle_and_age_close_real_sockets_with_1001() {
    let short = Duration::from_millis(60);
    for limits in [
        Limits {
            idle: short,
            ..Limits::default()
        },
        Limits {
            age: short,
            ..Limits::default()
        },
    ] {
        let mut world = World::with(limits, |_| Ok(ok())).await;
        let (mut client, _) = world.connect().await;
        assert_eq!(close_code(&mut client).await, 1001);
        let event = world.event("DISCONNECT").await;
        assert_eq!(event["requestContext"]["disconnectStatusCode"], 1001);
        assert_eq!(event["requestContext"]["disconnectReason"], "Going away");
    }
}

#[tokio::test]
async fn posts_arrive_and_a_delete_closes_without_a_code() {
    let mut world = World::new().await;
    let (mut client, id) = world.connect().await;
    world
        .sockets
        .post(&id, r#"{"type":"progress"}"#)
        .await
        .unwrap();
    assert_eq!(text(&mut client).await["type"], "progress");
    world.sockets.delete(&id).await.unwrap();
    assert_eq!(world.sockets.post(&id, "{}").await, Err(PostError::Gone));
    assert_eq!(close_code(&mut client).await, 1005);
    world.event("DISCONNECT").await;
}

#[tokio::test]
async fn a_post_inside_connect_is_gone() {
    let sockets: Arc<OnceLock<Sockets>> = Arc::default();
    let posted: Arc<Mutex<Option<Result<(), PostError>>>> = Arc::default();
    let (inside, note) = (sockets.clone(), posted.clone());
    let mut world = World::with(Limits::default(), move |event| {
        let id = ConnectionId::new(event["requestContext"]["connectionId"].as_str().unwrap());
        *note.lock().unwrap() = inside.get().unwrap().post(&id, "{}").now_or_never();
        Ok(ok())
    })
    .await;
    sockets.set(world.sockets.clone()).unwrap();
    let _client = world.connect().await;
    assert_eq!(*posted.lock().unwrap(), Some(Err(PostError::Gone)));
}

#[tokio::test]
async fn a_client_that_closes_or_vanishes_is_told_to_the_function() {
    let mut world = World::new().await;
    let (mut client, id) = world.connect().await;
    client.close(None).await.unwrap();
    let event = world.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["connectionId"], id.as_str());
    assert_eq!(event["requestContext"]["routeKey"], "$disconnect");
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1005);
    let (client, _) = world.connect().await;
    drop(client);
    let event = world.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1006);
    assert_eq!(world.sockets.open(), []);
}

#[tokio::test]
async fn a_cut_ends_a_socket_without_a_close_frame() {
    let mut world = World::new().await;
    let (mut client, id) = world.connect().await;
    world.sockets.cut(&id, false);
    assert_eq!(close_code(&mut client).await, 1006);
    world.event("DISCONNECT").await;
    assert_eq!(world.sockets.post(&id, "{}").await, Err(PostError::Gone));
}

#[tokio::test]
async fn after_a_silent_cut_the_gateway_goes_on_posting_into_the_void() {
    let mut world = World::new().await;
    let (mut client, id) = world.connect().await;
    world.sockets.cut(&id, true);
    assert_eq!(close_code(&mut client).await, 1006);
    assert_eq!(world.sockets.post(&id, "{}").await, Ok(()));
    assert!(world.events.try_recv().is_err(), "$disconnect never comes");
}

#[tokio::test]
async fn scripted_faults_refuse_connects_and_drop_pushes_as_often_as_told() {
    let mut world = World::new().await;
    world.sockets.set_faults(|faults| {
        faults.refuse_connects = Some(once(503));
        faults.drop_pushes = Some(once(()));
    });
    assert_eq!(refused(&world).await.status(), 503);
    let (mut client, id) = world.connect().await;
    world.sockets.post(&id, r#"{"n":1}"#).await.unwrap();
    world.sockets.post(&id, r#"{"n":2}"#).await.unwrap();
    assert_eq!(text(&mut client).await["n"], 2);
    assert_eq!(world.sockets.faults(), Default::default());
}
