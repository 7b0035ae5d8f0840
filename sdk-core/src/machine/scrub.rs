//! Makes texts from outside fit to keep: bounded, and without what might be a secret.
//!
//! Only the words of the local network stack are kept at all. What a token provider, the server or
//! API Gateway says may quote what it was working with, so of those only the code is kept.

use super::acquisitions::is_name;
use crate::ErrorCode;
use crate::secret::{redact_url, split_scheme};

/// Longest text that is kept, in bytes: two lines of a terminal, and enough for what a TLS library
/// or a resolver says.
const TEXT_MAX: usize = 200;
/// Longest word with a digit in it that is kept. An address with its port is shorter, and a token of
/// 128 bits is longer.
const WORD_MAX: usize = 21;
/// Longest word that is kept in any case: names of error variants are shorter.
const PLAIN_WORD_MAX: usize = 48;
/// What is put in place of what is left out.
const LEFT_OUT: &str = "…";

/// Makes a text of the local network stack fit to keep.
pub(super) fn text(text: &str) -> Box<str> {
    let mut kept = String::new();
    // A text that is far too long is not read to its end.
    for word in text.split_whitespace().take(TEXT_MAX) {
        let word = scrub_word(word);
        if kept.len() + 1 + word.len() + LEFT_OUT.len() > TEXT_MAX {
            kept.push_str(LEFT_OUT);
            break;
        }
        if !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(&word);
    }
    kept.into()
}

/// Makes a code fit to keep: an unknown one is the server's text.
pub(super) fn code(code: &ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::Other(text) if !is_word(text) => ErrorCode::Other(LEFT_OUT.into()),
        code => code.clone(),
    }
}

/// Makes the id of a row fit to keep.
pub(super) fn id(id: &str) -> Box<str> {
    if is_name(id) { id } else { LEFT_OUT }.into()
}

/// Makes a server's remark fit to keep.
pub(super) fn remark(text: &str) -> Box<str> {
    if is_word(text) { text } else { LEFT_OUT }.into()
}

/// Whether a text is one word in the manner of the protocol, such as `restarting`.
fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (1..=PLAIN_WORD_MAX).contains(&text.len()) && text.bytes().all(fits)
}

fn scrub_word(word: &str) -> String {
    let mut after_colons = word.split(':').skip(1);
    if after_colons.any(|part| part.starts_with("//")) {
        // The path is left out as well: what a stranger puts there is not ours to judge.
        let url = redact_url(word);
        let (scheme, rest) = split_scheme(&url).unwrap_or((LEFT_OUT, ""));
        let host = rest.split('/').next().unwrap_or_default();
        let host = if is_host(host) { host } else { LEFT_OUT };
        return format!("{scheme}://{host}");
    }
    let length = word.chars().count();
    let marks = word.contains(['?', '&', '=', '@', '%', '#']);
    let digits = word.bytes().any(|byte| byte.is_ascii_digit());
    let limit = if digits { WORD_MAX } else { PLAIN_WORD_MAX };
    let control = word.chars().any(char::is_control);
    let fits = length <= limit || is_address(word);
    if marks || control || !fits {
        LEFT_OUT.to_owned()
    } else {
        word.to_owned()
    }
}

/// Whether a text can be a host and port. A longer first label than DNS allows is none.
fn is_host(text: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    (1..=253).contains(&text.len())
        && text.bytes().all(fits)
        && text.split('.').all(|label| label.len() <= WORD_MAX)
}

/// Whether a text is an IP address with or without a port, in brackets or before punctuation. The
/// types are those of `core`, which only read and write: nothing here reaches a network.
fn is_address(text: &str) -> bool {
    let text = text.trim_matches(['(', ')', ',', ':', ';']);
    text.parse::<core::net::IpAddr>().is_ok() || text.parse::<core::net::SocketAddr>().is_ok()
}
