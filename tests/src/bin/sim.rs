//! Runs random worlds and herds, and prints what they showed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wakecast_tests::sim::coverage::Coverage;
use wakecast_tests::sim::explore::{Summary, explore};
use wakecast_tests::sim::minimise::{law, minimise};
use wakecast_tests::sim::plan::{Piece, Plan};

const USAGE: &str = "\
usage: sim [--seeds N] [--start SEED] [--threads N] [--keep-going] [--herds] [--require-coverage]
       sim --replay SEED [--minimise] [--only PIECE,…] [--luck N]

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
";

/// As many worlds as the test command plays.
const SEEDS: u64 = 2_000;

/// Between two lines of progress where the output is no terminal: calm in a log, soon enough to see
/// that it lives.
const CALM: Duration = Duration::from_secs(30);

/// Between two on a terminal: it looks alive, and costs nothing.
const LIVELY: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    match Order::read(std::env::args().skip(1)) {
        Ok(order) => order.carry_out(),
        Err(problem) => {
            eprintln!("sim: {problem}\n\n{USAGE}");
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
            let mut value = |what: &str| {
                let value = args.next();
                value.ok_or_else(|| format!("{name} needs {what}, as in `{name} 17`"))
            };
            let number = |value: String| {
                let digits: String = value.chars().filter(|c| *c != '_').collect();
                digits
                    .parse::<u64>()
                    .map_err(|_| format!("{name} takes a whole number, not `{value}`"))
            };
            match name.as_str() {
                "--seeds" => order.seeds = Some(number(value("a number")?)?),
                "--start" => order.start = Some(number(value("a seed")?)?),
                "--threads" => order.threads = Some(number(value("a number")?)?),
                "--replay" => order.replay = Some(number(value("a seed")?)?),
                "--luck" => order.luck = Some(number(value("a number")?)?),
                "--only" => order.only = Some(pieces(&value("names")?)),
                "--keep-going" => order.keep_going = true,
                "--herds" => order.herds = true,
                "--require-coverage" => order.require_coverage = true,
                "--minimise" => order.minimise = true,
                "--help" | "-h" => order.help = true,
                other => return Err(format!("there is no argument `{other}`")),
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
        Ok(())
    }

    fn carry_out(&self) -> ExitCode {
        if self.help {
            print!("{USAGE}");
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
        let start = self.start.unwrap_or(1);
        let worlds = self.seeds.unwrap_or(SEEDS);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.map_or(cores, |threads| {
            usize::try_from(threads).unwrap_or(usize::MAX)
        });
        let mut tally = Tally::new(start, worlds);
        explore(
            start..start.saturating_add(worlds),
            threads,
            self.keep_going,
            |summary| tally.add(summary),
        );
        tally.end(threads);
        let mut well = tally.broken.is_empty();
        if self.require_coverage && well {
            for fault in tally.coverage.faults() {
                println!("coverage     {fault}");
                well = false;
            }
        }
        if let Some(seed) = tally.broken.first() {
            tell_smallest(*seed);
        }
        well
    }
}

fn pieces(names: &str) -> BTreeSet<Piece> {
    let names = names.split(',').map(str::trim);
    let names = names.filter(|name| !name.is_empty() && *name != "nothing");
    names.filter_map(|name| name.parse().ok()).collect()
}

/// What many worlds showed together.
struct Tally {
    start: u64,
    worlds: u64,
    played: u64,
    began: Instant,
    told_at: Instant,
    coverage: Coverage,
    served: usize,
    boots: u64,
    outcomes: BTreeMap<String, u64>,
    broken: Vec<u64>,
}

impl Tally {
    fn new(start: u64, worlds: u64) -> Self {
        Self {
            start,
            worlds,
            played: 0,
            began: Instant::now(),
            told_at: Instant::now(),
            coverage: Coverage::default(),
            served: 0,
            boots: 0,
            outcomes: BTreeMap::new(),
            broken: Vec::new(),
        }
    }

    fn add(&mut self, summary: Summary) {
        self.played += 1;
        self.coverage.add(&summary);
        self.served += summary.served;
        self.boots += summary.boots;
        for (code, count) in summary.outcomes {
            *self.outcomes.entry(code).or_default() += count;
        }
        if let Some(first) = summary.violations.first() {
            self.clear_line();
            println!("world {} broke {first}", summary.seed);
            self.broken.push(summary.seed);
        }
        self.progress();
    }

    /// Says how far it is, on the error stream: the output is the same for the same seeds.
    fn progress(&mut self) {
        let terminal = io::stderr().is_terminal();
        let pause = if terminal { LIVELY } else { CALM };
        if self.told_at.elapsed() < pause || self.played == self.worlds {
            return;
        }
        self.told_at = Instant::now();
        let rate = self.rate();
        let left = (self.worlds - self.played) as f64 / rate.max(1.0);
        let text = format!(
            "{} of {} worlds, {rate:.0} a minute, {left:.0} min left, {} broken",
            self.played,
            self.worlds,
            self.broken.len()
        );
        let end = if terminal { "\x1b[K\r" } else { "\n" };
        let _ = write!(io::stderr(), "{text}{end}");
    }

    fn clear_line(&self) {
        if io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "\x1b[K");
        }
    }

    fn rate(&self) -> f64 {
        self.played as f64 / self.began.elapsed().as_secs_f64().max(0.001) * 60.0
    }

    fn end(&self, threads: usize) {
        self.clear_line();
        let last = self.start.saturating_add(self.played).saturating_sub(1);
        let seconds = self.began.elapsed().as_secs_f64();
        println!(
            "worlds       {}, seeds {} to {last}",
            self.played, self.start
        );
        println!(
            "rate         {:.0} a minute on {threads} threads, {seconds:.1} s",
            self.rate()
        );
        println!("people       {} served, {} boots", self.served, self.boots);
        for (code, count) in &self.outcomes {
            println!("             {count:>6} ended with {code}");
        }
        print!("{}", self.coverage);
        match self.broken.len() {
            0 => println!("laws         held in every world"),
            1 => println!("laws         BROKEN in one world"),
            many => println!("laws         BROKEN in {many} worlds"),
        }
    }
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
    print!("{timeline}");
    let violations = timeline.violations();
    if violations.is_empty() {
        println!("\nworld {}: every law held", plan.seed);
        return true;
    }
    println!("\nworld {} broke {} times:", plan.seed, violations.len());
    for violation in &violations {
        println!("  {violation}");
    }
    false
}

fn tell_smallest(seed: u64) {
    println!();
    tell_smaller(&Plan::draw(seed));
    println!("whole: cargo xtask sim --replay {seed}");
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
