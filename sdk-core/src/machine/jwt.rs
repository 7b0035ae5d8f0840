//! Reads how long a JWT lives. Nothing is verified: that is the server's part.

use std::time::Duration;

use crate::protocol::{Object, Tree};

/// Returns `exp − iat` of a JWT: a life, which needs no clock. `None` for anything else.
pub(super) fn life(token: &str) -> Option<Duration> {
    let payload = token.split('.').nth(1)?;
    let payload = String::from_utf8(base64url(payload)?).ok()?;
    let Tree::Object(mut claims) = serde_json::from_str(&payload).ok()? else {
        return None;
    };
    let (exp, iat) = (seconds(&mut claims, "exp")?, seconds(&mut claims, "iat")?);
    Duration::try_from_secs_f64(exp - iat)
        .ok()
        .filter(|life| !life.is_zero())
}

fn seconds(claims: &mut Object, name: &str) -> Option<f64> {
    match claims.take(name) {
        Tree::Whole(value) => Some(value as f64),
        Tree::Number(value) => Some(value),
        _ => None,
    }
}

/// Decodes unpadded base64url; `None` if the text holds anything else.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0u32);
    for symbol in text.bytes() {
        let six = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    Some(bytes)
}
