//! Secrets as a type, and the one function by which URLs are made fit to print.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a secret prints as.
const REDACTED: &str = "…";

/// What comes before the secret of the hint path.
const HINT_PATH: &str = "v1/hints/";

/// A text that must not be printed: a token, or a message that may hold one.
///
/// `Debug` and `Display` print `…`. Only [`Secret::expose`] and serialisation onto the wire show it.
///
/// ```
/// let secret = wakecast::Secret::new("eyJhbGciOi…");
/// assert_eq!(format!("{secret} {secret:?}"), "… …");
/// assert!(secret.expose().starts_with("eyJ"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Shows the text, for the one place that puts it on the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Takes the text out, for the one place that puts it on the wire.
    pub fn into_exposed(self) -> String {
        self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// Makes a URL fit to print: without user information, query and fragment, and without the secret
/// of the hint path (`v1/hints/<secret>`). Takes any text and never fails; a text that is no
/// `scheme://…` prints as `…`, and one with an `@` as its scheme alone.
pub fn redact_url(url: &str) -> String {
    let Some((scheme, rest)) = split_scheme(url) else {
        return REDACTED.to_owned();
    };
    if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return REDACTED.to_owned();
    }
    // User information may hold what looks like a path or a query, and a query may hold an `@`:
    // with one of them, nobody can tell where the host is.
    if rest.contains('@') {
        return format!("{scheme}://{REDACTED}");
    }
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    // By hand, as the library's search for a text weighs more in a browser than all of the rest.
    let mut places = path.char_indices();
    let hint = places.find(|(at, _)| {
        path.get(*at..)
            .is_some_and(|rest| rest.starts_with(HINT_PATH))
    });
    match hint.and_then(|(at, _)| path.get(..at)) {
        Some(before) => format!("{scheme}://{before}{HINT_PATH}{REDACTED}"),
        None => format!("{scheme}://{path}"),
    }
}

/// Cuts a text at its first `://`, where nothing before it holds a colon.
pub(crate) fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    Some((scheme, rest.strip_prefix("//")?))
}
