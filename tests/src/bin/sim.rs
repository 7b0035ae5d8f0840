//! Runs random worlds and prints what they showed.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Instant;

use wakecast::machine::TRANSITIONS;
use wakecast_lambda::lifecycle;
use wakecast_tests::sim::plan;

const USAGE: &str = "usage: sim [--worlds N] [--start SEED] | --replay SEED";

/// How many broken worlds are told in full; the rest is only counted.
const TOLD: usize = 3;

fn main() -> ExitCode {
    match Order::read(std::env::args().skip(1)) {
        Ok(Order::Replay(seed)) => replay(seed),
        Ok(Order::Explore { worlds, start }) => explore(worlds, start),
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

enum Order {
    Explore { worlds: u64, start: u64 },
    Replay(u64),
}

impl Order {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut worlds, mut start) = (300, 1);
        while let Some(name) = args.next() {
            let mut number = || {
                let value = args.next().ok_or(format!("{name} needs a number"))?;
                value
                    .parse::<u64>()
                    .map_err(|_| format!("{name} takes a number, not '{value}'"))
            };
            match name.as_str() {
                "--worlds" => worlds = number()?,
                "--start" => start = number()?,
                "--replay" => return Ok(Self::Replay(number()?)),
                _ => return Err(format!("unknown argument '{name}'")),
            }
        }
        Ok(Self::Explore { worlds, start })
    }
}

fn replay(seed: u64) -> ExitCode {
    let played = plan::play(seed);
    print!("{}", played.world.around().timeline);
    let violations = played.world.around().timeline.violations();
    if violations.is_empty() {
        println!("\nworld {seed}: every law held");
        ExitCode::SUCCESS
    } else {
        println!("\nworld {seed} broke {} times:", violations.len());
        violations
            .iter()
            .for_each(|violation| println!("  {violation}"));
        ExitCode::FAILURE
    }
}

/// Prints how many transitions were taken and names the others.
fn coverage(what: &str, all: &[(String, bool)]) {
    let taken = all.iter().filter(|(_, taken)| *taken).count();
    println!("{what:<12} {taken} of {} transitions taken", all.len());
    let missing: Vec<_> = all.iter().filter(|(_, taken)| !taken).collect();
    for (line, names) in missing.chunks(3).enumerate() {
        let label = if line == 0 { "not taken" } else { "" };
        let names: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
        println!("{:<12} {label:<9} {}", "", names.join(", "));
    }
}

fn explore(worlds: u64, start: u64) -> ExitCode {
    let began = Instant::now();
    let mut taken = BTreeSet::new();
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let mut states = BTreeSet::new();
    let (mut served, mut boots, mut broken) = (0, 0, Vec::new());
    let end = start.saturating_add(worlds);
    for seed in start..end {
        let played = plan::play(seed);
        let around = played.world.around();
        let notes = around.notes();
        served += notes.served.len();
        boots += notes.boots;
        states.extend(notes.states);
        for (code, count) in notes.outcomes {
            *outcomes.entry(code).or_default() += count;
        }
        taken.extend(played.world.transitions());
        if !around.timeline.violations().is_empty() {
            if broken.len() < TOLD {
                println!("world {seed} broke a law:");
                print!("{}", around.timeline);
                println!("replay: cargo xtask sim --replay {seed}\n");
            }
            broken.push(seed);
        }
    }
    let seconds = began.elapsed().as_secs_f64().max(0.001);
    println!(
        "worlds       seeds {start} to {}, {worlds} in {seconds:.1} s",
        end.saturating_sub(1)
    );
    println!(
        "rate         {:.0} worlds a minute",
        worlds as f64 / seconds * 60.0
    );
    println!("people       {served} served, {boots} boots");
    for (code, count) in &outcomes {
        println!("             {count:>5} ended with {code}");
    }
    let all = lifecycle::transitions().iter();
    let all: Vec<_> = all
        .map(|step| {
            (
                format!("{:?} to {:?}", step.from, step.to),
                taken.contains(step),
            )
        })
        .collect();
    coverage("lifecycle", &all);
    let all = TRANSITIONS.iter().map(|(from, to, _)| (from, to));
    let all: Vec<_> = all
        .map(|(from, to)| {
            (
                format!("{from:?} to {to:?}"),
                states.contains(&(*from, *to)),
            )
        })
        .collect();
    coverage("client", &all);
    if broken.is_empty() {
        println!("laws         held in every world");
        ExitCode::SUCCESS
    } else {
        let seeds = broken
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        println!("laws         BROKEN in {} worlds: {seeds}", broken.len());
        println!(
            "replay: cargo xtask sim --replay {}",
            broken.first().unwrap_or(&start)
        );
        ExitCode::FAILURE
    }
}
