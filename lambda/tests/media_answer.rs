//! A media server's answers, read: what counts as an answer, as "not yet", and as neither.

use serde_json::json;
use wakecast_lambda::media::{JwtStreamTokens, answer};
use wakecast_lambda::model::Timestamp;
use wakecast_lambda::ports::{Load, MediaError, StreamTokens};

/// The shape of a real refusal: a page, never JSON.
const PAGE: &[u8] = b"<!doctype html><html><body><h1>HTTP Status 403</h1>\
    <p><b>Type</b> Status Report</p><p><b>Message</b> Not allowed IP</p></body></html>";

fn not_yet<T>(why: &str) -> Result<T, MediaError> {
    Err(MediaError::NotYet(why.to_owned()))
}

#[test]
fn a_status_says_what_the_answer_is() {
    assert_eq!(answer::body(200, b"{}"), Ok(b"{}".as_slice()));
    assert_eq!(
        answer::body(204, b""),
        not_yet("204: the app is not running")
    );
    assert_eq!(
        answer::body(403, PAGE),
        Err(MediaError::Forbidden("Not allowed IP".to_owned()))
    );
    assert_eq!(
        answer::body(403, b""),
        Err(MediaError::Forbidden(String::new()))
    );
    assert_eq!(answer::body(500, b""), not_yet("500 with an empty body"));
    assert_eq!(answer::body(503, PAGE), not_yet("503: Not allowed IP"));
    for status in [101, 301, 302, 400, 401, 404, 429] {
        assert!(
            matches!(answer::body(status, b""), Err(MediaError::Malformed(_))),
            "{status}"
        );
    }
}

#[test]
fn a_refusals_words_are_cut_short_and_printable() {
    let page = format!("<b>Message</b> a\u{7}b\n{}</p>", "x".repeat(500));
    let Err(MediaError::Forbidden(words)) = answer::body(403, page.as_bytes()) else {
        panic!("403 is forbidden")
    };
    assert_eq!(words, format!("ab{}", "x".repeat(78)));
    let invalid = [b"<b>Message</b> ".as_slice(), &[0xff, 0xfe]].concat();
    assert!(matches!(
        answer::body(403, &invalid),
        Err(MediaError::Forbidden(_))
    ));
}

#[test]
fn liveness_is_ok_or_not_yet() {
    assert_eq!(answer::liveness(br#"{"host":"x","status":"ok"}"#), Ok(()));
    let error = answer::liveness(br#"{"host":"unknown","status":"error"}"#);
    assert_eq!(error, not_yet("liveness does not say ok"));
    for body in [b"".as_slice(), b"ok", b"{}", b"[]", PAGE] {
        assert!(matches!(
            answer::liveness(body),
            Err(MediaError::Malformed(_))
        ));
    }
}

#[test]
fn applications_are_names() {
    assert_eq!(
        answer::applications(br#"{"applications":[]}"#),
        Ok(Vec::new())
    );
    let two = answer::applications(br#"{"applications":["live","LiveApp"]}"#);
    assert_eq!(two, Ok(vec!["live".to_owned(), "LiveApp".to_owned()]));
    for body in [
        br#"{"applications":[1]}"#.as_slice(),
        br#"{"applications":"live"}"#,
        b"[]",
    ] {
        assert!(matches!(
            answer::applications(body),
            Err(MediaError::Malformed(_))
        ));
    }
}

#[test]
fn a_count_that_is_minus_one_or_absent_is_never_zero() {
    let body = json!({
        "localWebRTCLiveStreams": -1,
        "localLiveStreams": 2,
        "localHLSViewers": 0,
        "server-timing": { "up-time": 124_037, "start-time": 1_795_363_908_663_u64 },
    });
    let expected = Load {
        live_streams: Some(2),
        webrtc_streams: None,
        webrtc_viewers: None,
        hls_viewers: Some(0),
        dash_viewers: None,
        start_time_ms: Some(1_795_363_908_663),
    };
    assert_eq!(answer::load(body.to_string().as_bytes()), Ok(expected));
}

#[test]
fn a_count_that_is_no_count_makes_the_sample_unreadable() {
    for count in [json!(-2), json!("0"), json!(0.5), json!(null), json!([])] {
        let body = json!({ "localLiveStreams": count }).to_string();
        let read = answer::load(body.as_bytes());
        assert!(
            matches!(read, Err(MediaError::Malformed(_))),
            "{count}: {read:?}"
        );
    }
}

#[test]
fn a_setting_is_read_alone() {
    let body = br#"{"listenerHookURL":"http://x","jwtStreamSecretKey":"canary"}"#;
    assert_eq!(
        answer::setting(body, "listenerHookURL"),
        Ok(Some(json!("http://x")))
    );
    assert_eq!(answer::setting(body, "nosuch"), Ok(None));
    let cut = &body[..body.len() - 1];
    let error = answer::setting(cut, "x").expect_err("cut short");
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[test]
fn a_message_is_a_pong_not_yet_or_nothing() {
    assert_eq!(answer::pong(r#"{"command":"pong"}"#), Some(Ok(())));
    let early = answer::pong(r#"{"definition":"not_initialized_yet","command":"error"}"#);
    assert_eq!(early, Some(not_yet("not_initialized_yet")));
    for text in [
        r#"{"command":"notification"}"#,
        r#"{"command":"error"}"#,
        "pong",
        "",
        "[]",
    ] {
        assert_eq!(answer::pong(text), None, "{text}");
    }
}

#[test]
fn an_app_without_a_secret_takes_no_stream_tokens() {
    let tokens =
        JwtStreamTokens::new([("live".to_owned(), "a-stream-secret-of-32-characters".into())]);
    let at = Timestamp::from_millis(1_795_363_908_663);
    assert!(tokens.mint("live", "s1", true, at).is_some());
    assert_eq!(tokens.mint("other", "s1", true, at), None);
    assert!(!format!("{tokens:?}").contains("a-stream-secret"));
}
