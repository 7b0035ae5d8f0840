//! Everything that the process logs at level debug, searched for secrets while it is written.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tracing_subscriber::filter::LevelFilter;

/// In every token of these tests that is no JWT.
pub(crate) const CANARY: &str = "canary-7f3a9c";

/// How every JWT begins: `{"` in base64url. Client, stream and server tokens are JWTs.
const JWT: &str = "eyJ";

/// What has been logged so far. One for the process: the tests run side by side.
#[derive(Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    lines: usize,
    targets: Vec<&'static str>,
    leaks: Vec<String>,
}

/// Parts of the product that have to be seen, or the search has searched nothing.
pub(crate) const TARGETS: [&str; 5] = [
    "wakecast::client",
    "wakecast::connection",
    "wakecast::acquisition",
    "wakecast_lambda",
    "wakecast_local",
];

impl Logs {
    /// Captures `tracing` and `log`, once for the process.
    pub(crate) fn install() -> Self {
        static LOGS: OnceLock<Logs> = OnceLock::new();
        LOGS.get_or_init(|| {
            let logs = Self::default();
            let writer = logs.clone();
            tracing_subscriber::fmt()
                .with_max_level(LevelFilter::DEBUG)
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .init();
            log::set_logger(Box::leak(Box::new(logs.clone()))).expect("the only logger");
            log::set_max_level(log::LevelFilter::Debug);
            logs
        })
        .clone()
    }

    /// Panics if a secret was logged by whatever test.
    pub(crate) fn hold_no_secret(&self) {
        let leaks = self.seen().leaks.clone();
        assert!(
            leaks.is_empty(),
            "secrets were logged:\n{}",
            leaks.join("\n")
        );
    }

    /// Returns which parts of the product have logged something.
    pub(crate) fn targets(&self) -> Vec<&'static str> {
        self.seen().targets.clone()
    }

    /// Takes a text as if it had been logged, and searches.
    pub(crate) fn finds(&self, text: &str) {
        self.take(text);
        self.hold_no_secret();
    }

    fn take(&self, text: &str) {
        let mut seen = self.seen();
        seen.lines += 1;
        for target in TARGETS {
            if !seen.targets.contains(&target) && text.contains(target) {
                seen.targets.push(target);
            }
        }
        if text.contains(CANARY) || text.contains(JWT) {
            seen.leaks.push(text.to_owned());
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }
}

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl log::Log for Logs {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.take(&format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}
