//! Simulated power over a server that always runs: the machines that "run" it, and the looks at
//! it, which find nothing while no instance has power.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use wakecast_lambda::model::{InstanceId, Timestamp};
use wakecast_lambda::ports::{Load, MediaError, MediaServer};

use crate::cloud::{Timeline, What};
use crate::ec2::{Halt, Happening, Machines};

/// What a count of this server is recorded as, in place of a boot's phase: its boots are its own.
const PHASE: &str = "real";

/// Which simulated instances have power, by the address of their present run. Clones share it.
#[derive(Clone)]
pub(crate) struct RealMachines {
    powered: Arc<Mutex<BTreeMap<String, Powered>>>,
    timeline: Timeline,
}

struct Powered {
    instance: InstanceId,
    /// Publishers and viewers as they were last recorded.
    told: Option<(u64, u64)>,
}

impl RealMachines {
    pub(crate) fn new(timeline: Timeline) -> Self {
        Self {
            powered: Arc::default(),
            timeline,
        }
    }

    /// Tells whether an instance has power.
    pub(crate) fn runs(&self, instance: &InstanceId) -> bool {
        let powered = self.powered();
        powered.values().any(|known| known.instance == *instance)
    }

    fn answers(&self, address: &str) -> Result<(), MediaError> {
        if self.powered().contains_key(address) {
            Ok(())
        } else {
            Err(silence())
        }
    }

    fn any_answers(&self) -> Result<(), MediaError> {
        if self.powered().is_empty() {
            Err(silence())
        } else {
            Ok(())
        }
    }

    fn counted(&self, address: &str, load: &Load) {
        let publishers = load.live_streams.unwrap_or_default();
        let viewers = [load.webrtc_viewers, load.hls_viewers, load.dash_viewers];
        let counts = (publishers, viewers.iter().flatten().sum());
        let mut powered = self.powered();
        let Some(known) = powered.get_mut(address) else {
            return;
        };
        if known.told.replace(counts) == Some(counts) {
            return;
        }
        self.timeline.record(What::Media {
            instance: known.instance.clone(),
            phase: PHASE.to_owned(),
            publishers: counts.0,
            viewers: counts.1,
        });
    }

    fn powered(&self) -> MutexGuard<'_, BTreeMap<String, Powered>> {
        self.powered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a box without power says.
fn silence() -> MediaError {
    MediaError::NotYet("connection refused: the simulated instance does not run".to_owned())
}

impl fmt::Debug for RealMachines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let powered = self.powered();
        f.debug_set().entries(powered.keys()).finish()
    }
}

impl Machines for RealMachines {
    /// Returns a name that only this run of this instance has, so that a look at one that was
    /// stopped does not find its successor.
    fn boot(&mut self, _at: Timestamp, instance: &InstanceId, start: u32) -> String {
        let address = format!("{instance}-{start}.simulated");
        let powered = Powered {
            instance: instance.clone(),
            told: None,
        };
        self.powered().insert(address.clone(), powered);
        address
    }

    fn halt(&mut self, _at: Timestamp, instance: &InstanceId, _how: Halt) {
        self.powered()
            .retain(|_, known| known.instance != *instance);
    }

    fn note(&mut self, happening: &Happening) {
        self.timeline.record_at(happening.at, What::ec2(happening));
    }
}

/// The port to the real server. `inner` is asked at `address` once the instance has power.
#[derive(Debug)]
pub(crate) struct GatedMediaServer {
    pub(crate) inner: Arc<dyn MediaServer>,
    pub(crate) address: String,
    pub(crate) machines: RealMachines,
}

#[async_trait]
impl MediaServer for GatedMediaServer {
    async fn liveness(&self, address: &str) -> Result<(), MediaError> {
        self.machines.answers(address)?;
        self.inner.liveness(&self.address).await
    }

    async fn applications(&self, address: &str) -> Result<Vec<String>, MediaError> {
        self.machines.answers(address)?;
        self.inner.applications(&self.address).await
    }

    async fn setting(
        &self,
        address: &str,
        app: &str,
        name: &str,
    ) -> Result<Option<Value>, MediaError> {
        self.machines.answers(address)?;
        self.inner.setting(&self.address, app, name).await
    }

    async fn ping(&self, address: &str, app: &str) -> Result<(), MediaError> {
        self.machines.answers(address)?;
        self.inner.ping(&self.address, app).await
    }

    async fn ping_endpoint(&self, websocket_url: &str) -> Result<(), MediaError> {
        self.machines.any_answers()?;
        self.inner.ping_endpoint(websocket_url).await
    }

    async fn load(&self, address: &str) -> Result<Load, MediaError> {
        self.machines.answers(address)?;
        let load = self.inner.load(&self.address).await?;
        self.machines.counted(address, &load);
        Ok(load)
    }
}
