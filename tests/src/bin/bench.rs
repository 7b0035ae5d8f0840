//! Measures the client and prints Markdown: `cargo xtask bench core` writes it to the page.

use std::alloc::System;
use std::process::ExitCode;

use cap::Cap;
use wakecast_tests::bench;

/// Counts what is allocated and not freed; it limits nothing.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["core"] => bench::core(|| HEAP.allocated()).map(|page| print!("{page}")),
        [bench::server::SERVE] => bench::server::serve(),
        _ => {
            eprintln!("usage: bench core");
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
