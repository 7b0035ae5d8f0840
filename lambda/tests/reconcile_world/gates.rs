//! Where a call to a port begins and ends.

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wakecast_lambda::ports::Clock;

use super::VirtualClock;

/// Every call of every port, in order, and what a test lets happen there.
#[derive(Default)]
pub struct Gates(Mutex<State>);

type Event = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    passed: usize,
    log: Vec<String>,
    crash_at: Option<usize>,
    then_crash_at: Option<usize>,
    crashed: bool,
    events: Vec<(String, Event)>,
    at: Vec<(usize, Event)>,
    refused: Option<(String, usize)>,
    table_takes: Option<(Arc<VirtualClock>, Duration)>,
}

impl Gates {
    /// Lets `event` happen just before the next call with this name takes effect.
    pub fn before(&self, call: &str, event: impl FnOnce() + Send + 'static) {
        self.state().events.push((call.to_owned(), Box::new(event)));
    }

    /// Lets `event` happen just after the next call with this name took effect.
    pub fn after(&self, call: &str, event: impl FnOnce() + Send + 'static) {
        self.state()
            .events
            .push((format!("{call} done"), Box::new(event)));
    }

    /// Lets `event` happen at the gate with this number, counted from zero.
    pub fn at(&self, number: usize, event: impl FnOnce() + Send + 'static) {
        self.state().at.push((number, Box::new(event)));
    }

    /// Makes every call to the table take this long.
    pub fn table_takes(&self, clock: &Arc<VirtualClock>, time: Duration) {
        self.state().table_takes = Some((Arc::clone(clock), time));
    }

    /// Waits as long as a call to the table takes.
    pub async fn wait(&self) {
        let slow = self.state().table_takes.clone();
        if let Some((clock, time)) = slow {
            clock.sleep_until(clock.now() + time).await;
        }
    }

    /// Makes the table not answer the next `times` calls with this name; with ` done` after the
    /// name they take effect all the same.
    pub fn refuse(&self, call: &str, times: usize) {
        self.state().refused = Some((call.to_owned(), times));
    }

    /// Tells whether this call is not answered.
    pub fn refuses(&self, call: &str) -> bool {
        match &mut self.state().refused {
            Some((name, times)) if name == call && *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        }
    }

    /// Makes the process crash at the gate with this number, counted from zero.
    pub fn crash_at(&self, number: usize) {
        self.state().crash_at = Some(number);
    }

    /// Makes the next process crash as well, at the gate with this number.
    pub fn then_crash_at(&self, number: usize) {
        self.state().then_crash_at = Some(number);
    }

    /// Lets a new process go on after a crash.
    pub fn heal(&self) {
        let mut state = self.state();
        state.crash_at = state.then_crash_at.take();
        state.crashed = false;
    }

    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// How many gates were passed.
    pub fn passed(&self) -> usize {
        self.state().passed
    }

    /// Every call that was begun, in order.
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// Adds a line of the test's own.
    pub fn note(&self, line: &str) {
        self.state().log.push(line.to_owned());
    }

    /// How many calls were begun whose line starts so.
    pub fn count(&self, prefix: &str) -> usize {
        self.state()
            .log
            .iter()
            .filter(|line| line.starts_with(prefix))
            .count()
    }

    /// The lines since this one began a run, without what came before.
    pub fn clear(&self) {
        self.state().log.clear();
    }

    /// Passes the gates around a call: `line` is what the log says, its first word the name.
    pub async fn around<T>(&self, line: String, call: impl Future<Output = T>) -> T {
        let name = line.split(' ').next().unwrap_or_default().to_owned();
        self.state().log.push(line);
        self.pass(&name).await;
        let output = call.await;
        self.pass(&format!("{name} done")).await;
        output
    }

    async fn pass(&self, name: &str) {
        let mut due = Vec::new();
        let crash = {
            let mut state = self.state();
            let number = state.passed;
            state.passed += 1;
            if let Some(index) = state.events.iter().position(|(call, _)| call == name) {
                due.push(state.events.remove(index).1);
            }
            while let Some(index) = state.at.iter().position(|(at, _)| *at == number) {
                due.push(state.at.remove(index).1);
            }
            state.crashed |= state.crash_at == Some(number);
            state.crashed
        };
        if crash {
            pending::<()>().await;
        }
        for event in due {
            event();
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("the gates")
    }
}

impl fmt::Debug for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gates")
    }
}
