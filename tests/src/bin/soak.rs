//! Lives through minutes with hundreds of clients, and says whether anything was lost.

use std::alloc::System;
use std::process::ExitCode;

use cap::Cap;
use tokio::runtime::Builder;
use wakecast_lambda::ports::Entropy;
use wakecast_local::system::OsEntropy;
use wakecast_tests::soak;
use wakecast_tests::soak::arguments::{Arguments, HELP};
use wakecast_tests::soak::{report, verdict};

/// Counts what is allocated and not freed; it limits nothing.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// Short enough to type again.
const SEEDS: u64 = 1_000_000;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("soak: {problem}\nTry `cargo xtask soak --help`.");
            return ExitCode::from(2);
        }
    };
    let seed = arguments
        .seed
        .unwrap_or_else(|| OsEntropy.next_u64() % SEEDS);
    println!(
        "{} clients for {} min, seed {seed}",
        arguments.clients, arguments.minutes
    );
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("soak: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let figures = runtime.block_on(soak::run(
        &arguments,
        seed,
        || HEAP.allocated(),
        |line| println!("{line}"),
    ));
    let figures = match figures {
        Ok(figures) => figures,
        Err(problem) => {
            eprintln!("soak: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let checks = verdict::checks(&figures);
    println!("\n{}", report::table(&figures, &checks));
    let broken = checks.iter().filter(|check| !check.holds).count();
    if broken == 0 {
        println!("nothing was lost and nothing is left");
        return ExitCode::SUCCESS;
    }
    let again = arguments.again(seed);
    println!("{broken} checks are broken; the same script again (its timing is the machine's):");
    println!("  {again}");
    ExitCode::FAILURE
}
