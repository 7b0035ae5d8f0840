//! What a client may send to the server.

use wakecast::protocol::{ClientMessage, MAX_CLIENT_MESSAGE};

use crate::quotes_nothing;

/// Any text is a message, or a typed error that quotes nothing. A message survives being written and
/// read again.
pub fn client_message(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let message = match ClientMessage::decode(text) {
        Ok(message) => message,
        Err(error) => return quotes_nothing(&error),
    };
    assert!(ClientMessage::ACTIONS.contains(&message.action()));
    let again = message.encode();
    // What was left out may be written, such as an empty list.
    if again.len() <= MAX_CLIENT_MESSAGE {
        assert_eq!(ClientMessage::decode(&again).as_ref(), Ok(&message));
    }
}
