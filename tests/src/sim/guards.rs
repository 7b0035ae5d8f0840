//! The guards of a world: all of them, unless a test of their absence says otherwise.

use wakecast::machine::{self, Machine};
use wakecast_lambda::gateway::Gateway;
use wakecast_lambda::guards;
use wakecast_lambda::reconcile::Reconciler;
use wakecast_lambda::store::memory::MemoryStore;

/// The guards of both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// Of gateway, reconciler and table.
    pub cloud: guards::Guards,
    /// Of the clients.
    pub client: machine::Guards,
}

#[cfg(feature = "ablation")]
impl Guards {
    pub(super) fn on_gateway(self, gateway: Gateway) -> Gateway {
        gateway.with_guards(self.cloud)
    }

    pub(super) fn on_reconciler(self, reconciler: Reconciler) -> Reconciler {
        reconciler.with_guards(self.cloud)
    }

    pub(super) fn on_store(self, store: MemoryStore) -> MemoryStore {
        store.with_guards(self.cloud)
    }

    pub(super) fn on_machine(self, machine: Machine) -> Machine {
        machine.with_guards(self.client)
    }
}

#[cfg(not(feature = "ablation"))]
impl Guards {
    pub(super) fn on_gateway(self, gateway: Gateway) -> Gateway {
        gateway
    }

    pub(super) fn on_reconciler(self, reconciler: Reconciler) -> Reconciler {
        reconciler
    }

    pub(super) fn on_store(self, store: MemoryStore) -> MemoryStore {
        store
    }

    pub(super) fn on_machine(self, machine: Machine) -> Machine {
        machine
    }
}
