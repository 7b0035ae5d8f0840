//! What the client costs, against plain peers and against limits: `cargo xtask bench core`.
//!
//! Each part returns Markdown. No figure is asserted: a slow machine is not a fault.

mod echo;
mod idle;
mod machine;
mod memory;
pub mod server;

#[path = "../../../sdk-core/tests/herd/model.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    reason = "shared with the tests of the herd"
)]
mod herd;
#[path = "../../../sdk-core/tests/support/mod.rs"]
#[allow(
    missing_debug_implementations,
    reason = "shared with the tests of the machine"
)]
mod support;

use std::fmt::Write as _;
use std::future::Future;

pub use memory::{built, offline};

/// Returns the bytes that are allocated and not freed.
pub type Heap = fn() -> usize;

/// How many clients the herd has.
const HERD: usize = 20_000;

/// A part of the page: its name and how it is measured.
type Part<'a> = (&'a str, &'a dyn Fn() -> Result<String, String>);

/// Measures everything. `heap` counts this process's bytes.
///
/// # Errors
/// What could not be set up, in a sentence.
pub fn core(heap: Heap) -> Result<String, String> {
    let mut page = String::new();
    let parts: [Part<'_>; 5] = [
        ("the machine", &|| Ok(machine::section())),
        ("the driver", &|| echo::section()),
        ("a herd", &|| Ok(herd_section())),
        ("an idle client", &|| Ok(idle::section())),
        ("memory", &|| memory::section(heap)),
    ];
    for (name, part) in parts {
        let begun = std::time::Instant::now();
        page.push_str(&part()?);
        page.push('\n');
        eprintln!("{name}: {:.0} s", begun.elapsed().as_secs_f64());
    }
    Ok(page.trim_end().to_owned() + "\n")
}

fn herd_section() -> String {
    let mut text = format!(
        "### A herd that was cut off at once\n\n\
         {HERD} clients lose their links in the same moment, in virtual time; the account lets \
         {:.0} new connections a second through and answers 429 to the rest. During an outage \
         everything gets 503. The other schedules are those of well-known clients, restated as \
         formulas. With *stale spreads* each client holds the spread of the moment when it joined. \
         Limits: 1.05 / 1.3 / 2 / 3.5 attempts a client after 0 / 5 / 30 / 120 s, and a peak of \
         500, after an outage 650, a second.\n\n{}\n",
        herd::QUOTA,
        herd::HEAD
    );
    for outage_s in [0, 5, 30, 120] {
        for policy in herd::Policy::ALL {
            let _ = writeln!(text, "{}", herd::run(policy, HERD, outage_s));
        }
    }
    text
}

/// Runs client code on one thread, so that a peer's is measured alike.
fn block_on<T>(future: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .map_err(|error| format!("no runtime: {error}"))?
        .block_on(future)
}

/// The middle one.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
