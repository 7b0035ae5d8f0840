//! The command line.

use std::path::PathBuf;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
cargo xtask replay <LOG> [--line N | --hash HASH]

Decides again what the decision log in the file LOG says was decided, and shows where it would not
be the same. Other lines of the file are passed over.

  --line N       only the decision on line N, shown whether or not it would be the same
  --hash HASH    only those on the snapshot whose hash begins so, likewise
  --help         this text

It ends with 0 if all would be the same, with 1 if one would not or is not as it was written, with 2
if one cannot be read.
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) log: PathBuf,
    pub(crate) which: Which,
}

/// Which decisions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    Line(u64),
    Hash(String),
}

impl Arguments {
    /// Reads the arguments without the program's name; `None` asks for help.
    pub(crate) fn parse(
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Option<Self>, String> {
        let (mut log, mut which) = (None, Which::All);
        let mut rest = arguments.into_iter();
        while let Some(argument) = rest.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            let mut value = || {
                let value = inline.clone().or_else(|| rest.next());
                value.ok_or_else(|| format!("`{name}` needs a value"))
            };
            let chosen = match name {
                "--help" | "-h" => return Ok(None),
                "--line" => Which::Line(number(&value()?)?),
                "--hash" => Which::Hash(hash(&value()?)?),
                option if option.starts_with('-') => {
                    return Err(format!("unknown option `{option}`"));
                }
                _ if log.is_none() => {
                    log = Some(PathBuf::from(argument));
                    continue;
                }
                other => return Err(format!("one log at a time: `{other}` is one too many")),
            };
            if which != Which::All {
                return Err("only one of --line and --hash".to_owned());
            }
            which = chosen;
        }
        let log = log.ok_or("which log? Expected the path of a file")?;
        Ok(Some(Self { log, which }))
    }
}

fn number(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err(format!("`--line {text}`: expected a number from 1 up")),
    }
}

fn hash(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.chars().all(|digit| digit.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("`--hash {text}`: expected hexadecimal digits"))
    }
}
