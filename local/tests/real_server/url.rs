//! Which URLs of a media server are understood.

use wakecast_local::real::ServerUrl;

#[test]
fn whichever_url_of_a_server_is_at_hand_will_do() {
    for (text, root, app) in [
        ("http://127.0.0.1:5080", "http://127.0.0.1:5080", None),
        (
            "https://media.example.com:5443/",
            "https://media.example.com:5443",
            None,
        ),
        (
            "https://media.example.com",
            "https://media.example.com",
            None,
        ),
        (
            "https://media.example.com:443/live",
            "https://media.example.com",
            Some("live"),
        ),
        (
            "wss://media.example.com:5443/WebRTCAppEE/websocket",
            "https://media.example.com:5443",
            Some("WebRTCAppEE"),
        ),
        (
            "ws://localhost:5080/live/",
            "http://localhost:5080",
            Some("live"),
        ),
        ("http://[::1]:5080/live", "http://[::1]:5080", Some("live")),
    ] {
        let url = ServerUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(url.to_string(), root, "{text}");
        assert_eq!(url.app(), app, "{text}");
    }
}

#[test]
fn another_url_is_refused_without_being_repeated() {
    for (text, words) in [
        ("canary.example.com:5443", "another scheme"),
        ("canary", "cannot be read"),
        ("rtmp://canary.example.com/live", "another scheme"),
        ("https://user:canary@media.example.com", "names a user"),
        ("https://media.example.com/live?token=canary", "a query"),
        ("https://media.example.com/#canary", "a fragment"),
        (
            "https://media.example.com/canary/streams/a.m3u8",
            "no app's",
        ),
        ("https://media.example.com/rest", "no app's"),
        ("https://media.example.com/ca%20nary", "no app's"),
    ] {
        let error = ServerUrl::parse(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
        assert!(error.contains("expected"), "{text}: {error}");
        assert!(!error.contains("canary"), "{text}: {error}");
    }
}
