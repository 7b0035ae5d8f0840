//! The Lambda functions of a world: containers that live on between invocations, and crash.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use futures::channel::oneshot;
use futures::future::{self, Either, FutureExt};

use super::chance::Chance;
use super::executor::Tasks;
use super::process::{CallFaults, Death, Host, Process};

/// A function: it keeps warm containers and starts a new one when all are busy.
pub struct Function<F: ?Sized> {
    build: Build<F>,
    idle: Rc<RefCell<Vec<Container<F>>>>,
    chance: RefCell<Chance>,
    host: Host,
    tasks: Tasks,
}

/// Makes the code of a container over its process.
type Build<F> = Box<dyn Fn(&Process) -> Arc<F>>;

struct Container<F: ?Sized> {
    code: Arc<F>,
    process: Process,
    crashed: oneshot::Receiver<Death>,
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
        host: Host,
        tasks: Tasks,
        chance: Chance,
        build: impl Fn(&Process) -> Arc<F> + 'static,
    ) -> Self {
        Self {
            build: Box::new(build),
            idle: Rc::default(),
            chance: RefCell::new(chance),
            host,
            tasks,
        }
    }

    /// Invokes the function under these faults.
    pub async fn invoke<T, R>(
        &self,
        faults: CallFaults,
        body: impl FnOnce(Arc<F>) -> R,
    ) -> Invocation<T>
    where
        T: 'static,
        R: Future<Output = T> + 'static,
    {
        let mut container = self.idle.borrow_mut().pop().unwrap_or_else(|| self.start());
        container.process.begin(faults);
        let work = thawed(container.process.clone(), body(Arc::clone(&container.code)));
        match future::select(Box::pin(work), &mut container.crashed).await {
            Either::Left((answer, _)) => {
                self.idle.borrow_mut().push(container);
                Invocation::Returned(answer)
            }
            Either::Right((Ok(Death { call, late: true }), work)) => {
                // What it had sent arrives; it itself does nothing any more, for good.
                self.tasks.spawn(work.map(drop));
                Invocation::Crashed(call)
            }
            Either::Right((death, _)) => Invocation::Crashed(death.map_or("?", |death| death.call)),
        }
    }

    fn start(&self) -> Container<F> {
        let chance = self.chance.borrow_mut().fork();
        let (process, crashed) = Process::new(chance, self.host.clone());
        Container {
            code: (self.build)(&process),
            process,
            crashed,
        }
    }
}

/// Lets a process do nothing while it is frozen: no timer fires in it, no answer is read.
async fn thawed<T>(process: Process, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut thaw = None;
    poll_fn(move |context| {
        loop {
            if let Some(until) = process.frozen_until() {
                let clock = &process.host().clock;
                let wait = clock.sleep(clock.true_now().until(until));
                let thaw = thaw.insert(wait);
                if thaw.poll_unpin(context).is_pending() {
                    return Poll::Pending;
                }
            }
            thaw = None;
            let answer = work.as_mut().poll(context);
            if answer.is_ready() || process.frozen_until().is_none() {
                return answer;
            }
        }
    })
    .await
}

impl<F: ?Sized> fmt::Debug for Function<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function({} idle)", self.idle.borrow().len())
    }
}
