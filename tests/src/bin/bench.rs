//! Measures the client and prints Markdown: `cargo xtask bench core` writes it to the page. One part
//! alone is printed by `cargo run --profile sim -p wakecast-tests --bin bench core driver`.

use std::alloc::System;
use std::process::ExitCode;

use cap::Cap;
use wakecast_tests::bench::{self, server::Wire};

/// Counts what is allocated and not freed; it limits nothing.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["core"] => core(None),
        ["core", part] => core(Some(part)),
        [bench::server::SERVE, wire] => match Wire::parse(wire) {
            Some(wire) => bench::server::serve(wire),
            None => Err(format!("a wire is plain or tls, not `{wire}`")),
        },
        _ => {
            eprintln!("usage: bench core [machine | driver | herd | idle | memory]");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn core(part: Option<&str>) -> Result<(), String> {
    bench::core(|| HEAP.allocated(), part).map(|page| print!("{page}"))
}
