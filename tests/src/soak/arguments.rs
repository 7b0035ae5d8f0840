//! The command line of the soak.

use std::time::Duration;

/// What `--help` prints.
pub const HELP: &str = "\
cargo xtask soak --minutes N [--clients N] [--seed SEED]

Lets real clients live against the local cloud on this machine, with scripted faults, and says whether
one of them was lost and what is left when they have gone.

  --minutes N    how long they live, 1 to 1440
  --clients N    how many there are, 1 to 4000 [500]
  --seed SEED    what they do and what goes wrong [drawn, and printed]
  --help         this text

It ends with 0 if every check holds, with 1 if one does not, with 2 if it cannot read its arguments.
";

/// Each client has a link, a stream and a probe now and then, each with both of its ends in this
/// process; more than this no ordinary machine lets one process open.
const MOST_CLIENTS: u32 = 4_000;

/// A day: the figures of each minute are kept.
const MOST_MINUTES: u64 = 24 * 60;

/// What to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// How long the clients live.
    pub minutes: u64,
    /// How many there are.
    pub clients: u32,
    /// Seeds lives and faults; drawn by the caller if it was not given.
    pub seed: Option<u64>,
}

impl Arguments {
    /// Reads the arguments without the program's name; `None` asks for help. Both `--seed 1` and
    /// `--seed=1` will do.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Self>, String> {
        let mut rest = arguments.into_iter();
        let (mut minutes, mut clients, mut seed) = (None, 500, None);
        while let Some(argument) = rest.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let value = inline.or_else(|| rest.next());
            let value = || value.clone().ok_or(format!("`{name}` needs a value"));
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--minutes" => minutes = Some(number(&name, &value()?, 1, MOST_MINUTES)?),
                "--clients" => clients = number(&name, &value()?, 1, u64::from(MOST_CLIENTS))?,
                "--seed" => seed = Some(number(&name, &value()?, 0, u64::MAX)?),
                _ => return Err(format!("unknown option `{name}`")),
            }
        }
        Ok(Some(Self {
            minutes: minutes.ok_or("how long? Expected `--minutes N`")?,
            clients: u32::try_from(clients).unwrap_or(MOST_CLIENTS),
            seed,
        }))
    }

    /// Returns how long the clients live.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.minutes * 60)
    }

    /// Returns the command that runs the same script again.
    #[must_use]
    pub fn again(&self, seed: u64) -> String {
        let Self {
            minutes, clients, ..
        } = self;
        format!("cargo xtask soak --minutes {minutes} --clients {clients} --seed {seed}")
    }
}

fn number(name: &str, value: &str, least: u64, most: u64) -> Result<u64, String> {
    match value.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("`{name} {value}`: expected {least} to {most}")),
    }
}
