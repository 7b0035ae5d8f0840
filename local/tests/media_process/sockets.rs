use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use wakecast_local::media::{BootPhase, Faults};

use crate::{ask, config, next, open, publish, send, started};

#[tokio::test]
async fn silence_on_what_it_does_not_understand_and_the_socket_stays() {
    let process = started(config()).await;
    let mut socket = open(&process).await;
    for message in [
        Message::text("hello"),
        Message::text("[]"),
        Message::text(""),
        Message::text(r#"{"command":"nosuch","streamId":"s1"}"#),
        Message::binary(vec![0_u8, 1, 2]),
    ] {
        socket.send(message).await.expect("sent");
    }
    // Messages are answered in order: the pong is the first answer of all.
    assert_eq!(
        ask(&mut socket, &json!({ "command": "ping" })).await,
        json!({ "command": "pong" })
    );
}

#[tokio::test]
async fn control_frames_are_answered_in_kind() {
    let process = started(config()).await;
    let mut socket = open(&process).await;
    socket
        .send(Message::Ping("abc".into()))
        .await
        .expect("sent");
    let pong = socket.next().await.expect("open").expect("a frame");
    assert_eq!(pong, Message::Pong("abc".into()));
    let frame = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    socket.close(Some(frame)).await.expect("sent");
    let closed = socket.next().await.expect("open").expect("a frame");
    assert!(matches!(closed, Message::Close(Some(frame)) if frame.code == CloseCode::Normal));
    process.wait_for(|status| status.sockets == 0).await;
}

#[tokio::test]
async fn a_stop_ends_sockets_without_a_close_frame() {
    let process = started(config()).await;
    let mut sockets = [open(&process).await, publish(&process).await];
    process.stop().await;
    for socket in &mut sockets {
        let heard = next(socket).await;
        assert!(
            matches!(heard, Err(Some(_))),
            "an end without a Close frame: {heard:?}"
        );
    }
    assert_eq!(process.status().phase, BootPhase::Refused);
}

#[tokio::test]
async fn a_kill_ends_sockets_without_a_close_frame() {
    let process = started(config()).await;
    let mut socket = open(&process).await;
    process.kill().await;
    assert!(matches!(next(&mut socket).await, Err(Some(_))));
}

#[tokio::test]
async fn counts_follow_a_killed_socket() {
    let process = started(config()).await;
    let socket = publish(&process).await;
    assert_eq!(process.status().counts.webrtc_streams, 1);
    // The kernel ends the connection; no Close frame is sent.
    drop(socket);
    let status = process
        .wait_for(|status| status.counts.live_streams == 0)
        .await;
    assert_eq!(status.sockets, 0);
}

#[tokio::test]
async fn counts_follow_a_closed_socket() {
    let process = started(config()).await;
    let mut socket = publish(&process).await;
    socket.close(None).await.expect("closed");
    process
        .wait_for(|status| status.counts.total_live_streams == 0)
        .await;
}

#[tokio::test]
async fn publishing_without_a_token_is_refused() {
    let process = started(config()).await;
    let mut socket = open(&process).await;
    let refused = ask(
        &mut socket,
        &json!({ "command": "publish", "streamId": "s1" }),
    )
    .await;
    assert_eq!(refused["definition"], "unauthorized_access");
    assert_eq!(process.status().counts.live_streams, 0);
}

#[tokio::test]
async fn a_message_too_long_is_closed_with_1009() {
    let process = started(config()).await;
    for length in [82_000, 2 << 20] {
        let mut socket = open(&process).await;
        // The server may end the connection before all of a long message is written.
        let _ = socket.send(Message::text("x".repeat(length))).await;
        let code = loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => break Some(u16::from(frame.code)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break None,
            }
        };
        // Above the driver's own limit unread bytes may turn the end into a reset.
        assert!(
            code == Some(1009) || (code.is_none() && length > 1 << 20),
            "{length}: {code:?}"
        );
    }
    process.wait_for(|status| status.sockets == 0).await;
}

#[tokio::test]
async fn a_hang_holds_messages_and_its_end_answers_them() {
    let process = started(config()).await;
    let mut socket = open(&process).await;
    process.control(|model, now| {
        model.set_faults(
            now,
            Faults {
                hang: true,
                ..Faults::default()
            },
        )
    });
    send(&mut socket, &json!({ "command": "ping" })).await;
    process.control(|model, now| model.set_faults(now, Faults::default()));
    assert_eq!(
        next(&mut socket).await.expect("an answer"),
        json!({ "command": "pong" })
    );
}

#[tokio::test]
async fn an_early_socket_is_told_and_later_answered() {
    let process = crate::started_held_at(BootPhase::Live).await;
    let mut socket = open(&process).await;
    let ping = json!({ "command": "ping" });
    assert_eq!(
        ask(&mut socket, &ping).await["definition"],
        "not_initialized_yet"
    );
    crate::release(&process).await;
    assert_eq!(ask(&mut socket, &ping).await["command"], "pong");
}
