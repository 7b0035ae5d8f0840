//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use wakecast_local::Profile;
use wakecast_local::cloud::LONGEST_TOKEN_LIFE;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
wakecast-local: the whole wakecast cloud on this machine

Usage: wakecast-local [OPTIONS]

Options:
  --port PORT            WebSocket API on PORT, HTTP API and admin on the next two [free ones]
  --profile PROFILE      default, or demonstration: the whole lifecycle within a minute
  --token-life SECONDS   how long printed tokens live, 1 to 3600 [3600; demonstration 20]
  --decision-log FILE    add each decision to FILE as a line that `cargo xtask replay` reads
  --help                 this text

It listens on 127.0.0.1 only and stops with Ctrl-C. RUST_LOG=info shows what is decided.
";

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `--help`.
    Help,
    /// Everything else.
    Serve(Arguments),
}

/// The options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) port: Option<u16>,
    pub(crate) profile: Profile,
    pub(crate) token_life: Option<Duration>,
    pub(crate) decision_log: Option<PathBuf>,
}

/// What is wrong with a command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("unknown option `{0}`")]
    Unknown(String),
    #[error("`{0}` needs a value")]
    Missing(String),
    #[error("`{option} {value}`: expected {expected}")]
    Value {
        option: &'static str,
        value: String,
        expected: &'static str,
    },
}

impl Command {
    /// Reads the arguments without the program's name. Both `--port 1` and `--port=1` will do.
    pub(crate) fn parse(
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Self, ArgumentError> {
        let mut rest = arguments.into_iter();
        let mut parsed = Arguments::default();
        while let Some(argument) = rest.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let mut value = || {
                inline
                    .clone()
                    .or_else(|| rest.next())
                    .ok_or(ArgumentError::Missing(name.clone()))
            };
            match name.as_str() {
                "--help" | "-h" => return Ok(Self::Help),
                "--port" => parsed.port = Some(port(value()?)?),
                "--profile" => parsed.profile = profile(value()?)?,
                "--decision-log" => parsed.decision_log = Some(PathBuf::from(value()?)),
                "--token-life" => parsed.token_life = Some(token_life(value()?)?),
                _ => return Err(ArgumentError::Unknown(name)),
            }
        }
        Ok(Self::Serve(parsed))
    }
}

fn port(value: String) -> Result<u16, ArgumentError> {
    match value.parse() {
        // The two ports after it are used as well.
        Ok(port @ 1..=65_533) => Ok(port),
        _ => Err(ArgumentError::Value {
            option: "--port",
            value,
            expected: "1 to 65533",
        }),
    }
}

fn profile(value: String) -> Result<Profile, ArgumentError> {
    match value.as_str() {
        "default" => Ok(Profile::Default),
        "demonstration" => Ok(Profile::Demonstration),
        _ => {
            let expected = "default or demonstration";
            Err(ArgumentError::Value {
                option: "--profile",
                value,
                expected,
            })
        }
    }
}

fn token_life(value: String) -> Result<Duration, ArgumentError> {
    match value.parse() {
        Ok(seconds) if (1..=LONGEST_TOKEN_LIFE.as_secs()).contains(&seconds) => {
            Ok(Duration::from_secs(seconds))
        }
        _ => {
            let expected = "seconds, 1 to 3600";
            Err(ArgumentError::Value {
                option: "--token-life",
                value,
                expected,
            })
        }
    }
}
