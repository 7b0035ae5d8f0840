//! Crashes of both functions at every await, enumerated: each call to table, EC2, media server and
//! `@connections` is a point. One story is played once to count its points, then once for each of
//! them with a crash there; then with a second crash in the run that mends the first. Whatever dies
//! where, every law holds and everybody in the story is served.
//!
//! `cargo test --profile sim -p wakecast-tests --features ablation --test crashes -- --nocapture`
//! prints the figures.

mod pairs;
mod singles;
mod story;
mod troubles;
