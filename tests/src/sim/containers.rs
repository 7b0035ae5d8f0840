//! The Lambda functions of a world: containers that live on between invocations, and crash.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use futures::channel::oneshot;
use futures::future::{self, Either};

use super::chance::Chance;
use super::executor::VirtualClock;
use super::process::{CallFaults, Logs, Process};

/// A function: it keeps warm containers and starts a new one when all are busy.
pub struct Function<F: ?Sized> {
    build: Build<F>,
    idle: Rc<RefCell<Vec<Container<F>>>>,
    chance: RefCell<Chance>,
    clock: VirtualClock,
    logs: Logs,
}

/// Makes the code of a container over its process.
type Build<F> = Box<dyn Fn(&Process) -> Arc<F>>;

struct Container<F: ?Sized> {
    code: Arc<F>,
    process: Process,
    crashed: oneshot::Receiver<&'static str>,
}

/// How an invocation ended.
#[derive(Debug)]
pub enum Invocation<T> {
    /// With an answer.
    Returned(T),
    /// The container died at this call.
    Crashed(&'static str),
}

impl<F: ?Sized> Function<F> {
    /// Builds a function whose containers are made by `build`.
    pub fn new(
        clock: VirtualClock,
        chance: Chance,
        logs: Logs,
        build: impl Fn(&Process) -> Arc<F> + 'static,
    ) -> Self {
        Self {
            build: Box::new(build),
            idle: Rc::default(),
            chance: RefCell::new(chance),
            clock,
            logs,
        }
    }

    /// Invokes the function under these faults.
    pub async fn invoke<T, R>(
        &self,
        faults: CallFaults,
        body: impl FnOnce(Arc<F>) -> R,
    ) -> Invocation<T>
    where
        R: Future<Output = T>,
    {
        let mut container = self.idle.borrow_mut().pop().unwrap_or_else(|| self.start());
        container.process.begin(faults);
        let work = std::pin::pin!(body(Arc::clone(&container.code)));
        let outcome = match future::select(work, &mut container.crashed).await {
            Either::Left((answer, _)) => Invocation::Returned(answer),
            Either::Right((call, _)) => Invocation::Crashed(call.unwrap_or("?")),
        };
        if matches!(outcome, Invocation::Returned(_)) {
            self.idle.borrow_mut().push(container);
        }
        outcome
    }

    fn start(&self) -> Container<F> {
        let chance = self.chance.borrow_mut().fork();
        let (process, crashed) = Process::new(chance, self.clock.clone(), self.logs.clone());
        Container {
            code: (self.build)(&process),
            process,
            crashed,
        }
    }
}

impl<F: ?Sized> fmt::Debug for Function<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function({} idle)", self.idle.borrow().len())
    }
}
