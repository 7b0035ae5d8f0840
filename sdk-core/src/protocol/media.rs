//! The one exchange that a client has with the media server itself: proof that it is there.

use super::Tree;

/// The media server's own ping, as its signalling protocol spells it.
pub const MEDIA_PING: &str = r#"{"command":"ping"}"#;

/// Returns whether a text is the media server's answer to [`MEDIA_PING`].
pub fn is_media_pong(text: &str) -> bool {
    match serde_json::from_str(text) {
        Ok(Tree::Object(mut message)) => message.take("command").as_text() == Some("pong"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_media_pong;

    #[test]
    fn only_the_pong_is_a_pong() {
        assert!(is_media_pong(r#"{"command":"pong"}"#));
        assert!(is_media_pong(
            r#"{"streamId":"a","command":"pong","at":1.5e3}"#
        ));
        for other in [
            r#"{"command":"ping"}"#,
            r#"["pong"]"#,
            "pong",
            r#"{"command":"pong""#,
            "",
        ] {
            assert!(!is_media_pong(other), "{other}");
        }
    }
}
