//! What somebody was told, in order, and how far the scenario has looked through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::matching::fits;

/// A record of entries; clones share it.
#[derive(Clone)]
pub(crate) struct Journal {
    entries: Arc<Mutex<Vec<Value>>>,
    count: Arc<watch::Sender<usize>>,
    /// Where each kind was looked through to.
    places: Arc<Mutex<BTreeMap<String, usize>>>,
    kind: fn(&Map<String, Value>) -> String,
}

impl Journal {
    /// A record whose entries are told apart by `kind`.
    pub(crate) fn new(kind: fn(&Map<String, Value>) -> String) -> Self {
        Self {
            entries: Arc::default(),
            count: Arc::new(watch::Sender::new(0)),
            places: Arc::default(),
            kind,
        }
    }

    pub(crate) fn push(&self, entry: Value) {
        let mut entries = self.entries.lock().unwrap();
        entries.push(entry);
        self.count.send_replace(entries.len());
    }

    pub(crate) fn entries(&self) -> Vec<Value> {
        self.entries.lock().unwrap().clone()
    }

    /// Waits for an entry that fits, after the last of its kind that was seen.
    pub(crate) async fn sees(&self, wanted: &Map<String, Value>, known: &impl Fn(&str) -> Value) {
        let kind = (self.kind)(wanted);
        let mut count = self.count.subscribe();
        loop {
            let seen = *count.borrow_and_update();
            let from = self.places.lock().unwrap().get(&kind).copied();
            let entries = self.entries();
            let found = (entries.iter().enumerate().take(seen))
                .skip(from.unwrap_or(0))
                .find(|(_, entry)| fits(wanted, entry, known));
            if let Some((place, _)) = found {
                self.places.lock().unwrap().insert(kind, place + 1);
                return;
            }
            count.changed().await.expect("a journal that is held");
        }
    }

    pub(crate) fn count(
        &self,
        wanted: &Map<String, Value>,
        known: &impl Fn(&str) -> Value,
    ) -> usize {
        count(&self.entries(), wanted, known)
    }
}

/// How many entries fit.
pub(crate) fn count(
    entries: &[Value],
    wanted: &Map<String, Value>,
    known: &impl Fn(&str) -> Value,
) -> usize {
    let fit = |entry: &&Value| fits(wanted, entry, known);
    entries.iter().filter(fit).count()
}
