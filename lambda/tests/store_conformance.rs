//! The in-memory store keeps every rule of a store.

use futures::executor::block_on;
use wakecast_lambda::store::memory::MemoryStore;

wakecast_lambda::store_conformance!(block_on, MemoryStore::new());
