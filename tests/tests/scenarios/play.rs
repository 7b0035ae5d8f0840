//! Plays a scenario step by step.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::App;
use crate::file::{File, Scenario, Step};
use crate::journal::{Journal, count};
use crate::matching::fits;
use crate::world::{World, refusal};

/// Longer than any step takes, even on a machine that does much else: twice the sum of the waits
/// before a third access check. It is never waited for: it only ends a test that has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays the scenario of this id, and holds what is so in each of them.
pub(crate) async fn scenario(id: &str) {
    let mut all = File::read().scenarios.into_iter();
    let scenario = all.find(|scenario| scenario.id == id);
    let scenario = scenario.unwrap_or_else(|| panic!("end-to-end.json has no `{id}`"));
    let world = World::start(&scenario.cloud).await;
    let mut apps = BTreeMap::new();
    for (number, step) in (1..).zip(&scenario.steps) {
        let who = step.who.as_str();
        if !["cloud", "media"].contains(&who) && !apps.contains_key(who) {
            let setup = scenario.apps.get(who).cloned().unwrap_or_default();
            apps.insert(who.to_owned(), App::new(&world, who, &setup));
        }
        let played = tokio::time::timeout(PATIENCE, play(step, &world, &mut apps)).await;
        let complaint = match played {
            Ok(Ok(())) => continue,
            Ok(Err(complaint)) => complaint,
            Err(_) => "it was waited for in vain".to_owned(),
        };
        panic!(
            "{}",
            failure(&scenario, number, step, &complaint, &world, &apps)
        );
    }
    for (name, app) in &apps {
        holds_the_laws(name, &app.journal);
    }
}

async fn play(step: &Step, world: &World, apps: &mut BTreeMap<String, App>) -> Result<(), String> {
    if step.who == "media" {
        return ask_media(step, apps).await;
    }
    let journal = match step.who.as_str() {
        "cloud" => world.journal.clone(),
        name => apps[name].journal.clone(),
    };
    let known = |path: &str| remembered(path, &journal);
    match step {
        Step {
            does: Some(does), ..
        } => match apps.get_mut(&step.who) {
            Some(app) => app.does(does),
            None => world.does(does).await,
        },
        Step {
            sees: Some(sees), ..
        } => {
            for wanted in sees.clone().all() {
                journal.sees(&wanted, &known).await;
            }
        }
        Step {
            now: Some(wanted), ..
        } => {
            let now = apps[&step.who].now(wanted);
            if !fits(wanted, &now, &known) {
                return Err(format!("it is {now}"));
            }
        }
        Step {
            counts: Some(wanted),
            is: Some(is),
            ..
        } => {
            let count = match step.who.as_str() {
                "cloud" => count(&world.timeline().await, wanted, &known),
                _ => journal.count(wanted, &known),
            };
            if *is != json!(count) {
                return Err(format!("it is {count}"));
            }
        }
        _ => return Err("a step has `does`, `sees`, `now`, or `counts` with `is`".to_owned()),
    }
    Ok(())
}

async fn ask_media(step: &Step, apps: &BTreeMap<String, App>) -> Result<(), String> {
    let (name, wanted) = match (&step.accepts, &step.refuses) {
        (Some(name), None) => (name, "no_stream_exist"),
        (None, Some(name)) => (name, "unauthorized_access"),
        _ => return Err("media `accepts` or `refuses` an endpoint".to_owned()),
    };
    let (Some(of), Some(stream)) = (&step.of, &step.stream) else {
        return Err("media wants `of` and `stream`".to_owned());
    };
    let answer = refusal(&apps[of].endpoint(name), stream).await;
    if answer == wanted {
        Ok(())
    } else {
        Err(format!("it answered {answer}"))
    }
}

/// What `$name.field` stands for: a field of the endpoint that was got under this name.
fn remembered(path: &str, journal: &Journal) -> Value {
    let (name, field) = path.split_once('.').expect("`$name.field`");
    let entries = journal.entries();
    let entry = entries.iter().find(|entry| entry["endpoint"] == name);
    let entry = entry.unwrap_or_else(|| panic!("there is no endpoint `{name}` yet"));
    entry[field].clone()
}

/// What is so in every scenario, whatever it is about.
fn holds_the_laws(name: &str, journal: &Journal) {
    let entries = journal.entries();
    let mut fractions: BTreeMap<String, f64> = BTreeMap::new();
    let mut closed = false;
    for entry in &entries {
        let told = ["state", "progress", "lease", "diagnostic"];
        let is_told = told.iter().any(|kind| !entry[kind].is_null());
        assert!(
            !(closed && is_told),
            "{name} was told {entry} after `closed`"
        );
        closed |= entry["state"] == "closed";
        // A lease that moves begins anew.
        if let (Some(lease), Some("moving")) = (entry["lease"].as_str(), entry["change"].as_str()) {
            fractions.remove(lease);
        }
        if let (Some(about), Some(now)) = (entry["progress"].as_str(), entry["fraction"].as_f64()) {
            let before = fractions.insert(about.to_owned(), now).unwrap_or_default();
            assert!(
                before <= now,
                "{name}: the fraction of {about} fell to {now}: {entries:#?}"
            );
        }
    }
}

fn failure(
    scenario: &Scenario,
    number: usize,
    step: &Step,
    complaint: &str,
    world: &World,
    apps: &BTreeMap<String, App>,
) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{}, step {number}: {complaint}\n{step:?}\n", scenario.id);
    let mut tell = |who: &str, journal: &Journal| {
        let _ = writeln!(text, "\n{who}:");
        for entry in journal.entries() {
            let _ = writeln!(text, "  {entry}");
        }
    };
    for (name, app) in apps {
        tell(name, &app.journal);
    }
    tell("cloud", &world.journal);
    text
}
