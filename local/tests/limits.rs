//! The limits of the gateway stand-in, each held on virtual time.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use wakecast_lambda::model::{ConnectionId, Timestamp};
use wakecast_local::gateway::{
    Action, Close, FunctionResponse, GatewayModel, Handshake, Incoming, Integration, Limits,
    ManagementError, Received, RequestId, Routes,
};

const T0: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn after(seconds: u64) -> Timestamp {
    T0 + Duration::from_secs(seconds)
}

fn gateway() -> GatewayModel {
    GatewayModel::new(Limits::default(), Routes::default(), 1, T0)
}

fn answered(status: u16) -> Integration {
    Integration::Answered(FunctionResponse {
        status,
        ..FunctionResponse::default()
    })
}

fn body(text: &str) -> Integration {
    Integration::Answered(FunctionResponse {
        status: 200,
        headers: Vec::new(),
        body: Some(text.to_owned()),
    })
}

fn open(gateway: &mut GatewayModel, now: Timestamp) -> ConnectionId {
    let invocation = gateway.connect(now).unwrap();
    let action = gateway.answer(now, &invocation.request_id, answered(200));
    let accepted = Handshake::Accepted {
        headers: Vec::new(),
    };
    assert_eq!(action, Some(Action::Handshake(accepted)));
    invocation.connection
}

fn send(gateway: &mut GatewayModel, now: Timestamp, id: &ConnectionId, text: &str) -> Received {
    gateway.receive(
        now,
        id,
        Incoming::Text {
            text,
            largest_frame: text.len(),
        },
    )
}

fn invoked(received: Received) -> RequestId {
    let Received::Invoke(invocation) = received else {
        panic!("no invocation: {received:?}")
    };
    invocation.request_id
}

fn closed(code: u16) -> Received {
    let reason = match code {
        1003 => "binary is not supported",
        _ => "message too long",
    };
    Received::Act(Action::Close(Close {
        code: Some(code),
        reason,
    }))
}

fn going_away(id: &ConnectionId) -> Vec<(ConnectionId, Action)> {
    let close = Close {
        code: Some(1001),
        reason: "Going away",
    };
    vec![(id.clone(), Action::Close(close))]
}

/// Asserts one of the gateway's own error frames and that it can be matched to no request.
fn assert_error_frame(action: &Action, message: &str, id: &ConnectionId) {
    let Action::Send(text) = action else {
        panic!("no frame: {action:?}")
    };
    let frame: Value = serde_json::from_str(text).unwrap();
    let keys: BTreeSet<_> = frame
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        BTreeSet::from(["connectionId", "message", "requestId"])
    );
    assert_eq!(frame["message"], message);
    assert_eq!(frame["connectionId"], id.as_str());
}

#[test]
fn over_the_burst_a_connection_is_throttled_until_the_rate_makes_room() {
    let mut gateway = gateway();
    for _ in 0..500 {
        gateway.connect(T0).unwrap();
    }
    let throttled = Handshake::Refused {
        status: 429,
        headers: Vec::new(),
    };
    assert_eq!(gateway.connect(T0), Err(throttled.clone()));
    let later = T0 + Duration::from_millis(10);
    for _ in 0..5 {
        gateway.connect(later).unwrap();
    }
    assert_eq!(gateway.connect(later), Err(throttled));
}

#[test]
fn the_burst_is_never_exceeded_after_a_long_rest() {
    let mut gateway = gateway();
    let admitted = (0..2_000)
        .filter(|_| gateway.connect(after(3_600)).is_ok())
        .count();
    assert_eq!(admitted, 500);
}

#[test]
fn n47_an_idle_connection_ends_after_ten_minutes() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    assert_eq!(gateway.next_timeout(), Some(after(600)));
    assert_eq!(gateway.expire(after(599)), []);
    assert_eq!(gateway.expire(after(600)), going_away(&id));
    assert!(
        !gateway.gone(&id),
        "the gateway closed it, so nothing is left to tell"
    );
}

#[test]
fn n47_a_ping_route_keeps_a_connection_and_a_protocol_ping_does_not() {
    let mut gateway = gateway();
    let pings = open(&mut gateway, T0);
    let control = open(&mut gateway, T0);
    send(&mut gateway, after(599), &pings, r#"{"action":"ping"}"#);
    gateway.receive(after(599), &control, Incoming::Control);
    assert_eq!(gateway.expire(after(600)), going_away(&control));
    assert_eq!(gateway.next_timeout(), Some(after(599 + 600)));
}

#[test]
fn n47_a_push_is_activity_too() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    gateway.post(after(500), &id, "{}").unwrap();
    assert_eq!(gateway.next_timeout(), Some(after(1_100)));
}

#[test]
fn n47_a_busy_connection_ends_after_two_hours() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    for minute in 1..120 {
        assert_eq!(gateway.expire(after(60 * minute)), []);
        send(
            &mut gateway,
            after(60 * minute),
            &id,
            r#"{"action":"ping"}"#,
        );
    }
    assert_eq!(gateway.expire(after(7_200)), going_away(&id));
    assert_eq!(gateway.open(), 0);
}

#[test]
fn a_frame_over_32_kib_closes_with_1009() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    let text = "x".repeat(32 * 1024);
    invoked(send(&mut gateway, T0, &id, &text));
    assert_eq!(
        send(&mut gateway, T0, &id, &format!("{text}x")),
        closed(1009)
    );
    assert_eq!(
        send(&mut gateway, T0, &id, "{}"),
        Received::Nothing,
        "it is closed"
    );
}

#[test]
fn a_message_of_several_frames_may_have_128_kib() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    let text = "x".repeat(128 * 1024);
    let frames = Incoming::Text {
        text: &text,
        largest_frame: 32 * 1024,
    };
    invoked(gateway.receive(T0, &id, frames));
    let longer = format!("{text}x");
    let frames = Incoming::Text {
        text: &longer,
        largest_frame: 32 * 1024,
    };
    assert_eq!(gateway.receive(T0, &id, frames), closed(1009));
}

#[test]
fn what_was_given_up_for_its_size_closes_with_1009() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    assert_eq!(gateway.receive(T0, &id, Incoming::TooLarge), closed(1009));
}

#[test]
fn binary_closes_with_1003() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    assert_eq!(gateway.receive(T0, &id, Incoming::Binary), closed(1003));
}

#[test]
fn only_websocket_headers_of_the_handshake_pass() {
    for status in [200, 401, 503] {
        let mut gateway = gateway();
        let invocation = gateway.connect(T0).unwrap();
        let response = FunctionResponse {
            status,
            headers: vec![
                ("Retry-After".to_owned(), "7".to_owned()),
                (
                    "Sec-WebSocket-Protocol".to_owned(),
                    "wakecast.v1".to_owned(),
                ),
                ("Set-Cookie".to_owned(), "a=b".to_owned()),
            ],
            body: Some("why".to_owned()),
        };
        let action = gateway
            .answer(T0, &invocation.request_id, Integration::Answered(response))
            .unwrap();
        let Action::Handshake(handshake) = action else {
            panic!("{action:?}")
        };
        let (Handshake::Accepted { headers } | Handshake::Refused { headers, .. }) = &handshake;
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[0].0, "Sec-WebSocket-Protocol");
        assert_eq!(
            matches!(handshake, Handshake::Accepted { .. }),
            status == 200
        );
    }
}

#[test]
fn without_an_echo_the_handshake_carries_no_subprotocol() {
    let mut gateway = gateway();
    let invocation = gateway.connect(T0).unwrap();
    let action = gateway.answer(T0, &invocation.request_id, answered(200));
    let bare = Handshake::Accepted {
        headers: Vec::new(),
    };
    assert_eq!(
        action,
        Some(Action::Handshake(bare)),
        "the gateway adds none by itself"
    );
}

#[test]
fn a_refusal_of_connect_becomes_the_status_of_the_handshake() {
    for status in [401, 403, 426, 429, 503] {
        let mut gateway = gateway();
        let invocation = gateway.connect(T0).unwrap();
        let action = gateway.answer(T0, &invocation.request_id, answered(status));
        let refused = Handshake::Refused {
            status,
            headers: Vec::new(),
        };
        assert_eq!(action, Some(Action::Handshake(refused)));
        assert!(
            !gateway.gone(&invocation.connection),
            "no $disconnect for what never connected"
        );
    }
}

#[test]
fn a_crashed_connect_is_a_500_and_a_slow_one_a_504() {
    let mut gateway = gateway();
    let crashed = gateway.connect(T0).unwrap();
    let refused = |status| {
        Action::Handshake(Handshake::Refused {
            status,
            headers: Vec::new(),
        })
    };
    let answer = gateway.answer(T0, &crashed.request_id, Integration::Failed);
    assert_eq!(answer, Some(refused(500)));
    let slow = gateway.connect(T0).unwrap();
    assert_eq!(
        gateway.expire(after(29)),
        [(slow.connection.clone(), refused(504))]
    );
    assert_eq!(
        gateway.answer(after(30), &slow.request_id, answered(200)),
        None
    );
    assert_eq!(gateway.open(), 0);
}

#[test]
fn an_integration_is_given_29_seconds() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    let request = invoked(send(&mut gateway, T0, &id, r#"{"action":"hello"}"#));
    assert_eq!(gateway.next_timeout(), Some(after(29)));
    assert_eq!(gateway.expire(after(28)), []);
    let frames = gateway.expire(after(29));
    assert_error_frame(&frames[0].1, "Endpoint request timed out", &id);
    assert_eq!(gateway.answer(after(29), &request, body("late")), None);
    assert_eq!(
        gateway.next_timeout(),
        Some(after(600)),
        "the connection lives on"
    );
}

#[test]
fn a_crashed_integration_is_told_without_any_id_of_the_client() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    let request = invoked(send(
        &mut gateway,
        T0,
        &id,
        r#"{"action":"hello","id":"h1"}"#,
    ));
    let action = gateway
        .answer(after(1), &request, Integration::Failed)
        .unwrap();
    assert_error_frame(&action, "Internal server error", &id);
}

#[test]
fn without_a_route_a_message_is_forbidden() {
    let routes = Routes {
        named: BTreeSet::from(["hello".to_owned()]),
        default: false,
        mock: vec![],
    };
    let mut gateway = GatewayModel::new(Limits::default(), routes, 1, T0);
    let id = open(&mut gateway, T0);
    for text in ["{", "[]", "{}", r#"{"action":1}"#, r#"{"action":"fly"}"#] {
        let Received::Act(action) = send(&mut gateway, T0, &id, text) else {
            panic!("{text}")
        };
        assert_error_frame(&action, "Forbidden", &id);
    }
    invoked(send(&mut gateway, T0, &id, r#"{"action":"hello"}"#));
}

#[test]
fn whatever_has_no_route_of_its_own_goes_to_the_default_route() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    for text in ["{", "[]", "{}", r#"{"action":"fly"}"#] {
        let Received::Invoke(invocation) = send(&mut gateway, T0, &id, text) else {
            panic!("{text}")
        };
        assert_eq!(invocation.route, "$default");
        assert_eq!(invocation.connected_at, T0);
    }
}

#[test]
fn a_ping_is_answered_without_any_function() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    let pong = Received::Act(Action::Send(r#"{"type":"pong"}"#.to_owned()));
    assert_eq!(send(&mut gateway, T0, &id, r#"{"action":"ping"}"#), pong);
}

#[test]
fn a_route_response_is_sent_and_an_empty_one_is_not() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    let request = invoked(send(&mut gateway, T0, &id, "{}"));
    let sent = gateway.answer(T0, &request, body(r#"{"type":"ack"}"#));
    assert_eq!(sent, Some(Action::Send(r#"{"type":"ack"}"#.to_owned())));
    let request = invoked(send(&mut gateway, T0, &id, "{}"));
    assert_eq!(gateway.answer(T0, &request, answered(200)), None);
}

#[test]
fn a_route_response_over_the_limit_becomes_an_error_frame() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    let request = invoked(send(&mut gateway, T0, &id, "{}"));
    let action = gateway
        .answer(T0, &request, body(&"x".repeat(128 * 1024 + 1)))
        .unwrap();
    assert_error_frame(&action, "Internal server error", &id);
}

#[test]
fn connections_answers_410_inside_connect_and_after_close() {
    let mut gateway = gateway();
    let invocation = gateway.connect(T0).unwrap();
    let id = invocation.connection;
    assert_eq!(gateway.post(T0, &id, "{}"), Err(ManagementError::Gone));
    assert_eq!(gateway.delete(&id), Err(ManagementError::Gone));
    gateway.answer(T0, &invocation.request_id, answered(200));
    assert_eq!(
        gateway.post(T0, &id, "{}"),
        Ok(Action::Send("{}".to_owned()))
    );
    assert!(gateway.gone(&id), "$disconnect is due");
    assert_eq!(gateway.post(T0, &id, "{}"), Err(ManagementError::Gone));
    assert!(!gateway.gone(&id), "once");
    assert_eq!(
        gateway.post(T0, &ConnectionId::new("never"), "{}"),
        Err(ManagementError::Gone)
    );
}

#[test]
fn connections_refuses_what_is_over_the_message_limit() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    gateway.post(T0, &id, &"x".repeat(128 * 1024)).unwrap();
    let refused = gateway.post(T0, &id, &"x".repeat(128 * 1024 + 1));
    assert_eq!(refused, Err(ManagementError::TooLarge));
}

#[test]
fn a_delete_closes_without_a_code() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    let close = Close {
        code: None,
        reason: "",
    };
    assert_eq!(gateway.delete(&id), Ok(Action::Close(close)));
    assert_eq!(gateway.delete(&id), Err(ManagementError::Gone));
}

#[test]
fn an_answer_for_a_client_that_left_goes_nowhere() {
    let mut gateway = gateway();
    let id = open(&mut gateway, T0);
    let request = invoked(send(&mut gateway, T0, &id, "{}"));
    gateway.gone(&id);
    assert_eq!(gateway.answer(T0, &request, body("{}")), None);
    assert_eq!(gateway.next_timeout(), None);
}

proptest! {
    /// No window of a second lets in more than burst and rate together.
    #[test]
    fn no_second_admits_more_than_burst_and_rate(gaps in prop::collection::vec(0u64..40, 1..400)) {
        let limits = Limits { connects_per_second: 50, connect_burst: 20, ..Limits::default() };
        let mut gateway = GatewayModel::new(limits, Routes::default(), 1, T0);
        let mut now = T0;
        let mut admitted = Vec::new();
        for gap in gaps {
            now = now + Duration::from_millis(gap);
            for _ in 0..3 {
                if gateway.connect(now).is_ok() {
                    admitted.push(now);
                }
            }
        }
        for (i, start) in admitted.iter().enumerate() {
            let end = *start + Duration::from_secs(1);
            let within = admitted[i..].iter().take_while(|at| **at < end).count();
            prop_assert!(within <= 70, "{within} in one second");
        }
    }
}
