//! Four targets for a fuzzer: each takes any bytes, and panics if a law is broken.
//!
//! They are ordinary functions, so that the tests of this package replay every seed and every input
//! that ever broke something. `cargo xtask fuzz` builds them into libFuzzer programs.

mod client_message;
mod gateway;
mod machine;
mod server_message;

#[path = "../../sdk-core/tests/properties/rig.rs"]
#[allow(dead_code, reason = "shared with the property tests")]
mod rig;
#[path = "../../sdk-core/tests/properties/step.rs"]
mod step;
#[path = "../../sdk-core/tests/support/mod.rs"]
mod support;
#[path = "../../lambda/tests/gateway/world/mod.rs"]
#[allow(dead_code, reason = "shared with the gateway's tests")]
mod world;

pub use client_message::client_message;
pub use gateway::{gateway, gateway_told};
pub use machine::{machine, machine_states};
pub use server_message::server_message;

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target. The seeds of each are in `corpus/` under its name.
pub const TARGETS: [Target; 4] = [
    ("client_message", client_message),
    ("gateway", gateway),
    ("machine", machine),
    ("server_message", server_message),
];

/// An error of a decoder never quotes the text, which may hold secrets.
fn quotes_nothing(error: &wakecast::protocol::DecodeError) {
    use wakecast::protocol::DecodeError;
    if let DecodeError::Malformed {
        missing: Some(field),
        ..
    } = error
    {
        let ours = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        assert!(
            field.len() < 40 && field.bytes().all(ours),
            "no field of ours is called {field:?}"
        );
    }
    assert!(error.to_string().len() < 200, "{error}");
}
