//! An app in Rust, told what to do word by word; whatever it is told goes into its journal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use wakecast::{Acquire, Acquisition, Client, Endpoint, Error, Event, Lease, Token};

use crate::file::{AppSetup, Does};
use crate::journal::Journal;
use crate::provider::Provider;
use crate::words;
use crate::world::{APP, World};

/// A client with its journal. Dropping it ends both.
pub(crate) struct App {
    pub(crate) journal: Journal,
    client: Client,
    named: Named,
    cancels: BTreeMap<String, oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

/// What the scenario has given names to.
#[derive(Clone, Default)]
struct Named(Arc<Mutex<Names>>);

#[derive(Default)]
struct Names {
    /// The names of acquisitions and leases, by their ids.
    ids: BTreeMap<String, String>,
    leases: BTreeMap<String, Arc<Lease>>,
    endpoints: BTreeMap<String, Endpoint>,
}

impl Named {
    fn lock(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap()
    }

    fn name(&self, id: &str) -> String {
        let name = self.lock().ids.get(id).cloned();
        name.unwrap_or_else(|| panic!("an event of {id}, which nobody has acquired"))
    }

    fn lease(&self, name: &str) -> Arc<Lease> {
        let lease = self.lock().leases.get(name).cloned();
        lease.unwrap_or_else(|| panic!("there is no lease `{name}` yet"))
    }
}

impl App {
    pub(crate) fn new(world: &World, name: &str, setup: &AppSetup) -> Self {
        let subject = setup.subject.as_deref().unwrap_or(name);
        let mut provider = Provider::new(&world.admin_url, subject);
        if let Some(life) = setup.token_life_s {
            provider = provider.life(Duration::from_secs(life));
        }
        let wrong = (0..setup.tokens.len()).map(|nth| Token::new(format!("wrong-{nth}")));
        let provider = provider.first(wrong);
        let journal = Journal::new(words::kind);
        let client = Client::builder(&world.websocket_url)
            .access_url(&world.access_url)
            .token_provider(provider.clone())
            .build()
            .unwrap();
        let named = Named::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(tell_tokens(provider, journal.clone()));
        tasks.spawn(tell_events(client.clone(), named.clone(), journal.clone()));
        Self {
            journal,
            client,
            named,
            cancels: BTreeMap::new(),
            tasks,
        }
    }

    /// Does something. What comes of it is told in the journal.
    pub(crate) fn does(&mut self, does: &Does) {
        let does = match does {
            Does::Word(word) => return self.does_one(word),
            Does::With(does) => does,
        };
        let text = |field: &str| does.get(field).and_then(Value::as_str);
        let journal = self.journal.clone();
        if let Some(name) = text("acquire") {
            self.acquire(name, does);
        } else if let Some(name) = text("cancel") {
            let cancel = self.cancels.remove(name).expect("an acquisition");
            // It may be settled already.
            let _ = cancel.send(());
        } else if let Some(lease) = text("endpoint") {
            let named = self.named.clone();
            let lease = named.lease(lease);
            let name = text("as").expect("`endpoint` has `as`").to_owned();
            self.tasks.spawn(async move {
                let answer = lease.endpoint().await;
                journal.push(match &answer {
                    Ok(endpoint) => words::endpoint(&name, endpoint),
                    Err(error) => json!({ "endpoint": name, "error": words::error(error) }),
                });
                if let Ok(endpoint) = answer {
                    named.lock().endpoints.insert(name, endpoint);
                }
            });
        } else if let Some(name) = text("release") {
            let (lease, name) = (self.named.lease(name), name.to_owned());
            self.tasks.spawn(async move {
                let answer = lease.release().await.err();
                let error = answer.as_ref().map(words::error);
                journal.push(json!({ "released": name, "error": error }));
            });
        } else {
            panic!("an app cannot do {does:?}");
        }
    }

    fn does_one(&mut self, word: &str) {
        let client = self.client.clone();
        match word {
            "connect" => client.connect(),
            "retry" => client.retry(),
            "close" => {
                self.tasks.spawn(async move { client.close().await });
            }
            "detach" => {
                self.tasks.spawn(async move { client.detach().await });
            }
            word => panic!("an app cannot `{word}`"),
        }
    }

    fn acquire(&mut self, name: &str, does: &Map<String, Value>) {
        let stream = does["stream"].as_str().expect("`acquire` has `stream`");
        let mut acquire = match does["purpose"].as_str() {
            Some("publish") => Acquire::publish(APP, stream),
            Some("play") => Acquire::play(APP, stream),
            Some("watch") => Acquire::watch(APP, stream),
            other => panic!("{other:?} is no purpose"),
        };
        if let Some(id) = does.get("id").and_then(Value::as_str) {
            acquire = acquire.id(id);
        }
        if let Some(deadline) = does.get("deadline_ms").and_then(Value::as_u64) {
            acquire = acquire.deadline(Duration::from_millis(deadline));
        }
        // No event is read between these two: they hold no await.
        let acquisition = self.client.acquire(acquire);
        let id = acquisition.id().to_owned();
        self.named.lock().ids.insert(id, name.to_owned());
        let (cancel, cancelled) = oneshot::channel();
        self.cancels.insert(name.to_owned(), cancel);
        let (name, named, journal) = (name.to_owned(), self.named.clone(), self.journal.clone());
        self.tasks.spawn(async move {
            match settle(acquisition, cancelled).await {
                Ok(lease) => {
                    named.lock().leases.insert(name.clone(), Arc::new(lease));
                    journal.push(json!({ "settled": name, "answer": "lease" }));
                }
                Err(error) => {
                    journal.push(json!({ "settled": name, "error": words::error(&error) }));
                }
            }
        });
    }

    /// What is so at this moment, without waiting for anything to be told.
    pub(crate) fn now(&self, about: &Map<String, Value>) -> Value {
        match about.get("lease").and_then(Value::as_str) {
            Some(name) => {
                let status = words::status(self.named.lease(name).status());
                json!({ "lease": name, "status": status })
            }
            None => words::state(&self.client.state()),
        }
    }

    /// Returns an endpoint that was got under this name.
    pub(crate) fn endpoint(&self, name: &str) -> Endpoint {
        let endpoint = self.named.lock().endpoints.get(name).cloned();
        endpoint.unwrap_or_else(|| panic!("there is no endpoint `{name}` yet"))
    }
}

async fn settle(
    mut acquisition: Acquisition,
    cancelled: oneshot::Receiver<()>,
) -> Result<Lease, Error> {
    tokio::select! {
        outcome = &mut acquisition => outcome,
        Ok(()) = cancelled => {
            acquisition.cancel();
            acquisition.await
        }
    }
}

async fn tell_tokens(provider: Provider, journal: Journal) {
    for nth in 0.. {
        provider.asked(nth + 1).await;
        let reason = provider.calls()[nth];
        journal.push(json!({ "token": words::snake(reason) }));
    }
}

async fn tell_events(client: Client, named: Named, journal: Journal) {
    let mut events = client.events();
    drop(client);
    while let Some(event) = events.next().await {
        journal.push(match event {
            Event::State(state) => words::state(&state),
            Event::Progress { id, progress } => words::progress(&named.name(&id), &progress),
            Event::Lease {
                lease,
                status,
                change,
            } => words::lease(&named.name(&lease), status, &change),
            Event::Diagnostic(error) => words::diagnostic(&error),
            event => panic!("{event:?} has no words"),
        });
    }
}
