//! The pieces that a plan can be played without, by the names that they have on a command line.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::{CLOCKS_APART, Fault, Person, Plan, Timed};
use crate::sim::setting;
use crate::sim::users::Leave;

/// Something that can be left out of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// A person, with all that belongs to them: `ada-0`.
    Person(String),
    /// One mood of a person: `ada-0.mood-2`.
    Mood(String, u64),
    /// The faults of a person's token provider: `ada-0.provider`.
    Provider(String),
    /// A trouble of the cloud: `trouble-1`.
    Trouble(u64),
    /// A kind of random fault: `crash`.
    Fault(Fault),
    /// The functions' clocks differ: `clocks-apart`.
    Clocks,
}

const CLOCKS: &str = "clocks-apart";

impl Plan {
    /// Returns every piece, the ones that hold others first.
    #[must_use]
    pub fn pieces(&self) -> Vec<Piece> {
        let mut all = Vec::new();
        for person in &self.people {
            let name = &person.setup.name;
            all.push(Piece::Person(name.clone()));
        }
        all.extend(
            self.troubles
                .iter()
                .map(|timed| Piece::Trouble(timed.number)),
        );
        all.extend(self.faults.kinds().map(Piece::Fault));
        all.extend(self.clocks_apart.then_some(Piece::Clocks));
        for person in &self.people {
            let name = &person.setup.name;
            if person.setup.provider.is_bad() {
                all.push(Piece::Provider(name.clone()));
            }
            let moods = person.moods.iter();
            all.extend(moods.map(|mood| Piece::Mood(name.clone(), mood.number)));
        }
        all
    }

    /// Returns the plan with nothing but these pieces. What belongs to a person who is not among
    /// them is left out, too.
    #[must_use]
    pub fn only(&self, kept: &BTreeSet<Piece>) -> Self {
        let mut plan = self.clone();
        plan.people
            .retain(|person| kept.contains(&Piece::Person(person.setup.name.clone())));
        for Person { setup, moods, .. } in &mut plan.people {
            moods.retain(|mood| kept.contains(&Piece::Mood(setup.name.clone(), mood.number)));
            if !kept.contains(&Piece::Provider(setup.name.clone())) {
                setup.provider = Default::default();
            }
        }
        plan.troubles
            .retain(|timed| kept.contains(&Piece::Trouble(timed.number)));
        plan.faults
            .retain(|fault| kept.contains(&Piece::Fault(fault)));
        plan.clocks_apart &= kept.contains(&Piece::Clocks);
        plan
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => f.write_str(name),
            Self::Mood(name, number) => write!(f, "{name}.mood-{number}"),
            Self::Provider(name) => write!(f, "{name}.provider"),
            Self::Trouble(number) => write!(f, "trouble-{number}"),
            Self::Fault(fault) => f.write_str(fault.name()),
            Self::Clocks => f.write_str(CLOCKS),
        }
    }
}

impl FromStr for Piece {
    type Err = std::convert::Infallible;

    /// Reads a name as it is printed. Whatever is no other piece is a person's name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(fault) = Fault::ALL.into_iter().find(|fault| fault.name() == text) {
            return Ok(Self::Fault(fault));
        }
        if text == CLOCKS {
            return Ok(Self::Clocks);
        }
        let number = |text: &str| text.parse::<u64>().ok();
        if let Some(number) = text.strip_prefix("trouble-").and_then(number) {
            return Ok(Self::Trouble(number));
        }
        if let Some((name, rest)) = text.split_once('.') {
            if rest == "provider" {
                return Ok(Self::Provider(name.to_owned()));
            }
            if let Some(number) = rest.strip_prefix("mood-").and_then(number) {
                return Ok(Self::Mood(name.to_owned(), number));
            }
        }
        Ok(Self::Person(text.to_owned()))
    }
}

/// The plan as a person reads it, each line with the name of its piece.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let luck = match self.luck {
            0 => String::new(),
            luck => format!(", luck {luck}"),
        };
        writeln!(f, "seed {}{luck}", self.seed)?;
        let address = if self.elastic {
            "an Elastic IP"
        } else {
            "its instance's own address"
        };
        let kept = match self.min {
            0 => String::new(),
            min => format!(", at least {min} instance up"),
        };
        writeln!(f, "  fleet        {address}{kept}")?;
        writeln!(f, "  faults       {}", self.faults)?;
        if self.clocks_apart {
            let apart = CLOCKS_APART.as_secs();
            writeln!(
                f,
                "  {CLOCKS:<12} the clocks of functions are up to {apart} s apart"
            )?;
        }
        for person in &self.people {
            describe(f, person)?;
        }
        for timed in &self.troubles {
            writeln!(f, "  {:<12} {timed}", format!("trouble-{}", timed.number))?;
        }
        Ok(())
    }
}

fn describe(f: &mut fmt::Formatter<'_>, person: &Person) -> fmt::Result {
    let Person { setup, part, moods } = person;
    let seconds = |time: std::time::Duration| time.as_secs();
    let wish = format!("{:?}", part.wish).to_lowercase();
    let leave = match part.leave {
        Leave::Release => "releases".to_owned(),
        Leave::Stay => "leaves the app open".to_owned(),
        Leave::Cancel(after) => format!("cancels after {after} ms if still waiting"),
        Leave::Close(after) => format!("closes the app after {after} ms if still waiting"),
        Leave::Unasked => "closes the app without asking for anything".to_owned(),
        Leave::Kill(after) => format!("is killed after {after} ms or in the end"),
        Leave::Detach => "detaches".to_owned(),
    };
    let moment = match part.moment {
        Some(moment) => format!(", waits for {moment:?}"),
        None => String::new(),
    };
    writeln!(
        f,
        "  {:<12} at {}{moment}: {wish} {}, waits {} s, stays {} s, {leave}",
        setup.name,
        clock(part.at.since(setting::START)),
        part.stream,
        seconds(part.patience),
        seconds(part.stay),
    )?;
    writeln!(
        f,
        "  {:<12} tokens live {} s",
        "",
        seconds(setup.token_life)
    )?;
    let provider = &setup.provider;
    if provider.is_bad() {
        writeln!(
            f,
            "  {:<12} {}.provider fails {} ‰, hangs {} ‰, gives refused tokens {} ‰",
            "", setup.name, provider.fails, provider.hangs, provider.forges
        )?;
    }
    for mood in moods {
        writeln!(
            f,
            "  {:<12} {}.mood-{} at {}: {}, {:.1} s",
            "",
            setup.name,
            mood.number,
            clock(mood.at.since(setting::START)),
            mood.what,
            mood.lasts.as_secs_f64(),
        )?;
    }
    Ok(())
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = clock(self.at.since(setting::START));
        match self.upon {
            Some(stage) => {
                let stage = format!("{stage:?}").to_lowercase();
                let delay = self.delay.as_secs_f64();
                write!(f, "{delay:.1} s into {stage}, from {at}: {}", self.trouble)
            }
            None => write!(f, "at {at}: {}", self.trouble),
        }
    }
}

/// Minutes and seconds since the world began.
fn clock(since: std::time::Duration) -> String {
    let seconds = since.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
