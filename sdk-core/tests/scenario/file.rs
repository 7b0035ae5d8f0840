//! Reads the files: every key is known and every expectation can be met, or an error says where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::input::Do;
use super::peer::Peer;
use super::seen;
use super::words::Time;

/// One scenario, ready to be played.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// `group/name`.
    pub name: String,
    pub file: String,
    pub peer: Map<String, Value>,
    pub seeds: u64,
    /// How many gateways the client knows.
    pub gateways: u8,
    /// What leads to the state in which it begins.
    pub given: Vec<Step>,
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where it stands, such as `3`, or `4.2` within a repetition.
    pub place: String,
    /// As it was written.
    pub source: Value,
    pub when: When,
    pub since: Option<String>,
    pub mark: Option<String>,
    pub verb: Verb,
}

/// When a step happens: at once, at a time of the scenario, or so long after the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Now,
    At(u64),
    After(u64, u64),
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Verb {
    Do(Vec<Do>),
    Peer(Map<String, Value>),
    Wait(u64),
    /// Time passes without a timer or a message, then this comes first.
    Sleep(u64, Wake),
    Expect {
        wanted: Vec<Value>,
        only: bool,
    },
    Never(Vec<Value>, u64),
    Count(Value, u64, (u64, u64)),
    Now(Value),
    Repeat(u64, Vec<Step>),
}

/// What comes first after a sleep.
#[derive(Clone, Debug)]
pub enum Wake {
    Input(Do),
    Messages,
}

/// Seeds that each scenario is played with, unless it says otherwise: its ranges are ranges of draws.
const SEEDS: u64 = 20;

/// Fields that `now` can ask for.
const SNAPSHOT: [&str; 10] = [
    "state", "stage", "session", "attempt", "reason", "error", "links", "leases", "timer",
    "gateway",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    group: String,
    about: String,
    scenarios: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    name: String,
    why: String,
    #[serde(default = "new")]
    given: String,
    #[serde(default)]
    peer: Map<String, Value>,
    #[serde(default = "seeds")]
    seeds: u64,
    #[serde(default = "one")]
    gateways: u8,
    steps: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStarts {
    about: String,
    given: BTreeMap<String, RawStart>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStart {
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    steps: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    #[serde(rename = "do")]
    input: Option<OneOrMany<Value>>,
    peer: Option<Map<String, Value>>,
    wait: Option<Time>,
    sleep: Option<Time>,
    wake: Option<Value>,
    expect: Option<OneOrMany<Value>>,
    only: Option<bool>,
    never: Option<OneOrMany<Value>>,
    count: Option<Value>,
    is: Option<OneOrMany<u64>>,
    now: Option<Value>,
    repeat: Option<u64>,
    steps: Option<Vec<Value>>,
    at: Option<Time>,
    after: Option<Time>,
    between: Option<[Time; 2]>,
    within: Option<Time>,
    #[serde(rename = "for")]
    span: Option<Time>,
    since: Option<String>,
    mark: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> OneOrMany<T> {
    fn all(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// The states in which scenarios can begin.
pub struct Starts(BTreeMap<String, RawStart>);

impl Starts {
    /// Reads `given.json`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let starts: RawStarts = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if starts.about.is_empty() {
            return Err("`about` is empty: say what the states are for".into());
        }
        Ok(Self(starts.given))
    }

    fn steps(&self, name: &str) -> Result<Vec<Step>, String> {
        let (mut chain, mut next) = (Vec::new(), Some(name));
        while let Some(name) = next {
            let start = self.0.get(name).ok_or_else(|| {
                let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
                format!("given: `{name}` is none of {}", known.join(", "))
            })?;
            if chain.len() > self.0.len() {
                return Err(format!("given: `{name}` comes after itself"));
            }
            chain.push((name, start));
            next = start.after.as_deref();
        }
        let mut steps = Vec::new();
        for (name, start) in chain.into_iter().rev() {
            steps.extend(read_steps(&start.steps, &format!("given {name} "))?);
        }
        Ok(steps)
    }
}

/// The folder that holds the files.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// What holds no scenarios of this form: the states to begin in, and what whole clients play.
const OTHERS: [&str; 2] = ["given.json", "end-to-end.json"];

/// Reads every file of the folder.
pub fn read_all() -> Result<Vec<Scenario>, String> {
    let folder = folder();
    let listing =
        std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let starts = Starts::parse(&read(&folder.join("given.json"))?)
        .map_err(|error| format!("given.json: {error}"))?;
    let mut all: Vec<Scenario> = Vec::new();
    let others = |path: &&PathBuf| !OTHERS.iter().any(|name| path.ends_with(name));
    for path in paths.iter().filter(others) {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        all.extend(parse(&file, &read(path)?, &starts)?);
    }
    Ok(all)
}

/// Reads one file.
pub fn parse(file: &str, text: &str, starts: &Starts) -> Result<Vec<Scenario>, String> {
    let raw: RawFile = serde_json::from_str(text).map_err(|error| format!("{file}: {error}"))?;
    if format!("{}.json", raw.group) != file || raw.about.is_empty() {
        return Err(format!(
            "{file}: `group` must be the file's name, and `about` say what it is about"
        ));
    }
    let mut all: Vec<Scenario> = Vec::new();
    for (number, value) in (1..).zip(raw.scenarios) {
        let name = value["name"]
            .as_str()
            .unwrap_or("without a name")
            .to_owned();
        let at = |error: String| format!("{file}: scenario {number}, {name}: {error}");
        let scenario = read_scenario(&raw.group, file, value, starts).map_err(at)?;
        if all.iter().any(|other| other.name == scenario.name) {
            return Err(at("the name is taken".into()));
        }
        all.push(scenario);
    }
    Ok(all)
}

fn read_scenario(
    group: &str,
    file: &str,
    value: Value,
    starts: &Starts,
) -> Result<Scenario, String> {
    let raw: RawScenario = read(value)?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if raw.name.is_empty() || !raw.name.bytes().all(fits) {
        return Err("`name` has lower-case letters, digits and `-` only".into());
    }
    if raw.why.is_empty() {
        return Err("`why` is empty: say what goes wrong without it".into());
    }
    let given = starts.steps(&raw.given)?;
    let steps = read_steps(&raw.steps, "")?;
    check_peer(&raw.peer).map_err(|error| format!("`peer`: {error}"))?;
    if !steps.iter().any(proves) {
        return Err(
            "nothing is expected: `never` alone also holds for a client that does nothing".into(),
        );
    }
    Ok(Scenario {
        name: format!("{group}/{}", raw.name),
        file: file.to_owned(),
        peer: raw.peer,
        seeds: raw.seeds.max(1),
        gateways: raw.gateways,
        given,
        steps,
    })
}

/// Whether a step would fail for a client that does nothing.
fn proves(step: &Step) -> bool {
    match &step.verb {
        Verb::Expect { .. } | Verb::Now(_) => true,
        Verb::Count(_, _, (least, _)) => *least > 0,
        Verb::Repeat(_, steps) => steps.iter().any(proves),
        _ => false,
    }
}

fn read_steps(values: &[Value], before: &str) -> Result<Vec<Step>, String> {
    (1..)
        .zip(values)
        .map(|(number, value)| {
            let place = format!("{before}{number}");
            read_step(value, &place).map_err(|error| {
                // A step within a repetition has said where it stands already.
                if error.starts_with("step ") {
                    error
                } else {
                    format!("step {place}: {error}")
                }
            })
        })
        .collect()
}

fn read_step(value: &Value, place: &str) -> Result<Step, String> {
    let raw: RawStep = read(value.clone())?;
    let (when, since, mark) = (read_when(&raw)?, raw.since.clone(), raw.mark.clone());
    let verb = read_verb(raw, place)?;
    let is_span = matches!(when, When::After(from, to) if from != to);
    if is_span && !matches!(verb, Verb::Expect { .. }) {
        return Err("`between` and `within` are for `expect`: use `at` or `after`".into());
    }
    Ok(Step {
        place: place.to_owned(),
        source: value.clone(),
        when,
        since,
        mark,
        verb,
    })
}

fn read_when(raw: &RawStep) -> Result<When, String> {
    Ok(match (raw.at, raw.after, raw.between, raw.within) {
        (None, None, None, None) => When::Now,
        (Some(at), None, None, None) => When::At(at.0),
        (None, Some(after), None, None) => When::After(after.0, after.0),
        (None, None, Some([from, to]), None) if from <= to => When::After(from.0, to.0),
        (None, None, Some(_), None) => return Err("`between` wants the lower time first".into()),
        (None, None, None, Some(within)) => When::After(0, within.0),
        _ => return Err("only one of `at`, `after`, `between`, `within`".into()),
    })
}

fn read_verb(raw: RawStep, place: &str) -> Result<Verb, String> {
    let mut verbs = Vec::new();
    let mut extras = vec![
        ("only", raw.only.is_some(), "expect"),
        ("wake", raw.wake.is_some(), "sleep"),
        ("for", raw.span.is_some(), "never or count"),
        ("is", raw.is.is_some(), "count"),
        ("steps", raw.steps.is_some(), "repeat"),
    ];
    let span = raw.span.map(|time| time.0);
    if let Some(inputs) = raw.input {
        let inputs = inputs.all().into_iter().map(read);
        verbs.push(Verb::Do(inputs.collect::<Result<_, _>>()?));
    }
    if let Some(change) = raw.peer {
        check_peer(&change)?;
        verbs.push(Verb::Peer(change));
    }
    if let Some(time) = raw.wait {
        verbs.push(Verb::Wait(time.0));
    }
    if let Some(time) = raw.sleep {
        extras.retain(|extra| extra.0 != "wake");
        let wake = match raw.wake {
            None => Wake::Input(Do::Timeout),
            Some(Value::String(word)) if word == "messages" => Wake::Messages,
            Some(input) => Wake::Input(read(input)?),
        };
        verbs.push(Verb::Sleep(time.0, wake));
    }
    if let Some(wanted) = raw.expect {
        extras.retain(|extra| extra.0 != "only");
        let (wanted, only) = (wanted.all(), raw.only.unwrap_or(false));
        wanted.iter().try_for_each(seen::check)?;
        verbs.push(Verb::Expect { wanted, only });
    }
    if let Some(unwanted) = raw.never {
        extras.retain(|extra| extra.0 != "for");
        let unwanted = unwanted.all();
        unwanted.iter().try_for_each(seen::check)?;
        let span = span.ok_or("`never` wants `for`: how long is it watched?")?;
        verbs.push(Verb::Never(unwanted, span));
    }
    if let Some(counted) = raw.count {
        extras.retain(|extra| !["for", "is"].contains(&extra.0));
        seen::check(&counted)?;
        let span = span.ok_or("`count` wants `for`: how long is it counted?")?;
        let range = match raw.is.map(OneOrMany::all).as_deref() {
            Some([exact]) => (*exact, *exact),
            Some([least, most]) if least <= most => (*least, *most),
            _ => return Err("`count` wants `is`: a number, or two, the lower first".into()),
        };
        verbs.push(Verb::Count(counted, span, range));
    }
    if let Some(snapshot) = raw.now {
        super::words::check_conditions(&snapshot)?;
        let names = snapshot.as_object().ok_or("`now` wants an object")?.keys();
        for name in names {
            if !SNAPSHOT.contains(&name.as_str()) {
                let known = SNAPSHOT.join(", ");
                return Err(format!(
                    "`now` has a field `{name}`: expected one of {known}"
                ));
            }
        }
        verbs.push(Verb::Now(snapshot));
    }
    if let Some(times) = raw.repeat {
        extras.retain(|extra| extra.0 != "steps");
        let steps = raw.steps.ok_or("`repeat` wants `steps`")?;
        verbs.push(Verb::Repeat(
            times,
            read_steps(&steps, &format!("{place}."))?,
        ));
    }
    if let Some((name, _, of)) = extras.iter().find(|(_, given, _)| *given) {
        return Err(format!("`{name}` belongs to `{of}`"));
    }
    match (verbs.pop(), verbs.is_empty()) {
        (Some(verb), true) => Ok(verb),
        _ => {
            Err("a step has one of do, peer, wait, sleep, expect, never, count, now, repeat".into())
        }
    }
}

fn check_peer(change: &Map<String, Value>) -> Result<(), String> {
    read::<Peer>(Value::Object(change.clone())).map(|_| ())
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn new() -> String {
    "new".into()
}

fn one() -> u8 {
    1
}

fn seeds() -> u64 {
    SEEDS
}
