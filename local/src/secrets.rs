//! Secrets from files and variables: an argument would show in every list of processes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wakecast::Secret;

/// Where one secret comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) option: &'static str,
    pub(crate) variable: &'static str,
}

/// The server's `server.jwtServerSecretKey`.
pub(crate) const SERVER: Source = Source {
    option: "--media-secret-file",
    variable: "WAKECAST_MEDIA_SECRET",
};

/// The app's `jwtStreamSecretKey`.
pub(crate) const STREAM: Source = Source {
    option: "--media-stream-secret-file",
    variable: "WAKECAST_MEDIA_STREAM_SECRET",
};

/// Why there is no secret. It repeats nothing of the content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("`{option} {file}` cannot be read: {why}; expected a file that holds the secret alone")]
    File {
        option: &'static str,
        file: PathBuf,
        why: std::io::Error,
    },
    #[error("{0} is empty or no text: expected the secret alone, on one line")]
    Content(String),
    #[error(
        "the media server's secret is not given: expected its server.jwtServerSecretKey in the \
         file of `{}` or in {}", SERVER.option, SERVER.variable
    )]
    None,
}

impl Source {
    /// Reads the file if one is named, else the variable if it is set.
    pub(crate) fn read(self, file: Option<&Path>) -> Result<Option<Secret>, SecretError> {
        let Some(file) = file else {
            let content = std::env::var_os(self.variable).map(OsString::into_string);
            let named = || format!("the variable {}", self.variable);
            return content.map(|text| secret(text.ok(), named)).transpose();
        };
        let content = std::fs::read(file).map_err(|why| SecretError::File {
            option: self.option,
            file: file.to_owned(),
            why,
        })?;
        let named = || format!("`{} {}`", self.option, file.display());
        secret(String::from_utf8(content).ok(), named).map(Some)
    }
}

/// Takes the line's end off, which an editor puts there.
fn secret(text: Option<String>, named: impl Fn() -> String) -> Result<Secret, SecretError> {
    let text = text.unwrap_or_default();
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() || text.contains(['\r', '\n']) {
        return Err(SecretError::Content(named()));
    }
    Ok(Secret::new(text))
}
