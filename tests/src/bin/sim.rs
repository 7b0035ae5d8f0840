//! Runs random worlds and herds, and prints what they showed.

use std::collections::BTreeSet;
use std::process::ExitCode;

use wakecast_tests::sim::coverage::Coverage;
use wakecast_tests::sim::explore::{Summary, explore};
use wakecast_tests::sim::herd;
use wakecast_tests::sim::minimise::{law, minimise};
use wakecast_tests::sim::plan::{Piece, Plan};
use wakecast_tests::sim::tally::Tally;
use wakecast_tests::sim::timeline;

/// What `--help` prints.
const HELP: &str = "\
cargo xtask sim [--seeds N] [--start SEED] [--threads N] [--keep-going] [--herds]
                [--require-coverage]
cargo xtask sim --replay SEED [--minimise] [--only PIECE,…] [--luck N]

  --seeds N            play N worlds (2000 unless only herds are asked for)
  --start SEED         the first seed (1)
  --threads N          so many at once (as many as there are cores)
  --keep-going         play on after a broken world
  --herds              play the five herds, too
  --require-coverage   fail unless every transition is taken that is not excused
  --replay SEED        tell the story of one world
  --minimise           … after taking out of it what its fault does not need
  --only PIECE,…       … with nothing but these people, troubles and faults; `nothing` for none
  --luck N             … with other delays and other random faults
  --help               this text

It ends with 0 if every law held, with 1 if one was broken, with 2 if it cannot read its arguments.
";

/// As many worlds as the test command plays.
const SEEDS: u64 = 2_000;

fn main() -> ExitCode {
    match Order::read(std::env::args().skip(1)) {
        Ok(order) => order.carry_out(),
        Err(problem) => {
            eprintln!("sim: {problem}\nTry `cargo xtask sim --help`.");
            ExitCode::from(2)
        }
    }
}

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Order {
    seeds: Option<u64>,
    start: Option<u64>,
    threads: Option<u64>,
    keep_going: bool,
    herds: bool,
    require_coverage: bool,
    replay: Option<u64>,
    minimise: bool,
    only: Option<BTreeSet<Piece>>,
    luck: Option<u64>,
    help: bool,
}

impl Order {
    fn read(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut order = Self::default();
        // `--name=value` is as good as `--name value`.
        let mut args = args.flat_map(|arg| match arg.split_once('=') {
            Some((name, value)) => vec![name.to_owned(), value.to_owned()],
            None => vec![arg],
        });
        while let Some(name) = args.next() {
            let mut value = || {
                let value = args.next();
                value.ok_or_else(|| format!("`{name}` needs a value"))
            };
            let number = |value: String| {
                let digits: String = value.chars().filter(|c| *c != '_').collect();
                digits
                    .parse::<u64>()
                    .map_err(|_| format!("`{name} {value}`: expected a whole number"))
            };
            match name.as_str() {
                "--seeds" => order.seeds = Some(number(value()?)?),
                "--start" => order.start = Some(number(value()?)?),
                "--threads" => order.threads = Some(number(value()?)?),
                "--replay" => order.replay = Some(number(value()?)?),
                "--luck" => order.luck = Some(number(value()?)?),
                "--only" => order.only = Some(pieces(&value()?)),
                "--keep-going" => order.keep_going = true,
                "--herds" => order.herds = true,
                "--require-coverage" => order.require_coverage = true,
                "--minimise" => order.minimise = true,
                "--help" | "-h" => order.help = true,
                other => return Err(format!("unknown option `{other}`")),
            }
        }
        order.check()?;
        Ok(order)
    }

    fn check(&self) -> Result<(), String> {
        let explores = self.seeds.is_some()
            || self.start.is_some()
            || self.threads.is_some()
            || self.keep_going
            || self.herds
            || self.require_coverage;
        let shapes = self.minimise || self.only.is_some() || self.luck.is_some();
        if self.replay.is_some() && explores {
            return Err("--replay tells one world: leave out what is about many".to_owned());
        }
        if self.replay.is_none() && shapes {
            return Err("--minimise, --only and --luck belong to --replay SEED".to_owned());
        }
        if self.seeds == Some(0) || self.threads == Some(0) {
            return Err("--seeds and --threads begin at 1".to_owned());
        }
        let start = self.start.unwrap_or(1);
        if start.checked_add(self.seeds.unwrap_or(SEEDS)).is_none() {
            return Err(format!("--start {start} leaves no room for so many worlds"));
        }
        Ok(())
    }

    fn carry_out(&self) -> ExitCode {
        if self.help {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        let well = match self.replay {
            Some(seed) => replay(self, seed),
            None => self.explore(),
        };
        if well {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn explore(&self) -> bool {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.map_or(cores, |threads| {
            usize::try_from(threads).unwrap_or(usize::MAX)
        });
        let mut coverage = Coverage::default();
        let mut checks = Checks::default();
        // Herds alone, if nothing is said of worlds.
        if self.seeds.is_some() || self.start.is_some() || !self.herds {
            checks.add(self.worlds(threads, &mut coverage));
        }
        if self.herds && (checks.failed == 0 || self.keep_going) {
            herds(threads, &mut coverage, &mut checks);
        }
        let judged = self.require_coverage && checks.failed == 0;
        if judged {
            // What is not taken is a fault, and told as one below.
            print!("{coverage:#}");
            let faults = coverage.faults();
            for fault in &faults {
                println!("coverage     {fault}");
            }
            checks.add(faults.is_empty());
        } else {
            print!("{coverage}");
        }
        let Checks { passed, failed } = checks;
        println!("checks       {passed} passed, {failed} failed");
        failed == 0
    }

    fn worlds(&self, threads: usize, coverage: &mut Coverage) -> bool {
        let start = self.start.unwrap_or(1);
        let worlds = self.seeds.unwrap_or(SEEDS);
        let seeds = start..start.saturating_add(worlds);
        let mut tally = Tally::new(start, worlds);
        explore(seeds, threads, self.keep_going, |summary| {
            coverage.add(&summary);
            tally.add(summary);
        });
        tally.end(threads);
        if let Some(seed) = tally.first_broken() {
            println!();
            tell_smaller(&Plan::draw(seed));
            println!("whole: cargo xtask sim --replay {seed}\n");
            return false;
        }
        true
    }
}

/// The worlds together, each herd, and the coverage are one check each.
#[derive(Default)]
struct Checks {
    passed: u64,
    failed: u64,
}

impl Checks {
    fn add(&mut self, well: bool) {
        self.passed += u64::from(well);
        self.failed += u64::from(!well);
    }
}

fn herds(threads: usize, coverage: &mut Coverage, checks: &mut Checks) {
    let clients = herd::CLIENTS;
    println!("herds        {} of {clients} clients", herd::ALL.len());
    for (herd, showed, took) in herd::play_all(threads) {
        let took = took.as_secs_f64();
        println!("  {:<10} {}: {took:.1} s", herd.name, herd.what);
        for figure in &showed.figures {
            println!("             {figure}");
        }
        coverage.add(&showed.summary);
        checks.add(showed.timeline.is_none());
        if let Some(timeline) = &showed.timeline {
            println!("{timeline}");
            print!("{}", timeline::verdict(&showed.summary.violations));
        }
    }
}

fn pieces(names: &str) -> BTreeSet<Piece> {
    let names = names.split(',').map(str::trim);
    let names = names.filter(|name| !name.is_empty() && *name != "nothing");
    names.filter_map(|name| name.parse().ok()).collect()
}

fn replay(order: &Order, seed: u64) -> bool {
    let mut plan = Plan::draw(seed);
    if let Some(only) = &order.only {
        let all: BTreeSet<Piece> = plan.pieces().into_iter().collect();
        if let Some(odd) = only.difference(&all).next() {
            let all: Vec<_> = all.iter().map(Piece::to_string).collect();
            eprintln!(
                "sim: world {seed} has no `{odd}`; its pieces are {}",
                all.join(", ")
            );
            return false;
        }
        plan = plan.only(only);
    }
    plan.luck = order.luck.unwrap_or(0);
    if order.minimise {
        return tell_smaller(&plan);
    }
    tell(&plan)
}

/// Tells a plan's story. Returns whether every law held.
fn tell(plan: &Plan) -> bool {
    let played = plan.play();
    let timeline = &played.world.around().timeline;
    println!("{plan}");
    println!("{timeline}");
    let violations = timeline.violations();
    print!("{}", timeline::verdict(&violations));
    violations.is_empty()
}

/// Minimises a plan and tells what is left. Returns whether there was nothing to minimise.
fn tell_smaller(plan: &Plan) -> bool {
    let first = |plan: &Plan| Summary::of(plan).violations.into_iter().next();
    let Some(smallest) = minimise(plan, first) else {
        println!("world {}: every law held, nothing to minimise", plan.seed);
        return true;
    };
    let small = &smallest.plan;
    println!(
        "world {} needs {} of its {} pieces to break {} ({} worlds were played to find them):\n",
        plan.seed,
        small.pieces().len(),
        plan.pieces().len(),
        law(&smallest.violation),
        smallest.played,
    );
    tell(small);
    let only: Vec<_> = small.pieces().iter().map(Piece::to_string).collect();
    let only = match only.is_empty() {
        true => "nothing".to_owned(),
        false => only.join(","),
    };
    let luck = match small.luck {
        0 => String::new(),
        luck => format!(" --luck {luck}"),
    };
    println!(
        "\nagain: cargo xtask sim --replay {} --only {only}{luck}",
        plan.seed
    );
    false
}
