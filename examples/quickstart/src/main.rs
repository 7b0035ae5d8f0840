//! wakecast on one machine, in under a minute: a cold start, a stream, a drain, a stop.
//!
//! Prints what happens while it happens, then measured times, the claims that the run was to
//! prove, and what it would have cost. The exit code is 0 only if every claim held.

use std::process::ExitCode;

mod board;
mod claims;
mod cloud;
mod cost;
mod cues;
mod journal;
mod media;
mod narration;
mod paint;
mod people;
mod record;
mod report;
mod screen;
mod story;
mod timeline;
mod words;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("quickstart: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime can be started: {error}"))?;
    runtime.block_on(story::run(&mut screen::Screen::new()))
}
