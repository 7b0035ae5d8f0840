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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use wakecast_lambda::ports::Clock;

    use super::*;
    use crate::system::SystemClock;

    /// A server that always answers, and says at which address it was asked.
    #[derive(Debug)]
    struct Always;

    #[async_trait]
    impl MediaServer for Always {
        async fn liveness(&self, address: &str) -> Result<(), MediaError> {
            assert_eq!(address, "media.example.com:5443");
            Ok(())
        }

        async fn applications(&self, address: &str) -> Result<Vec<String>, MediaError> {
            Ok(vec![address.to_owned()])
        }

        async fn setting(&self, _: &str, _: &str, _: &str) -> Result<Option<Value>, MediaError> {
            Ok(None)
        }

        async fn ping(&self, _: &str, _: &str) -> Result<(), MediaError> {
            Ok(())
        }

        async fn ping_endpoint(&self, _: &str) -> Result<(), MediaError> {
            Ok(())
        }

        async fn load(&self, _: &str) -> Result<Load, MediaError> {
            Ok(Load {
                live_streams: Some(2),
                hls_viewers: Some(3),
                ..Load::default()
            })
        }
    }

    /// What each look finds at an address.
    fn looks(server: &GatedMediaServer, address: &str) -> Vec<bool> {
        let looks = async {
            vec![
                server.liveness(address).await.is_ok(),
                server.applications(address).await.is_ok(),
                server.setting(address, "live", "name").await.is_ok(),
                server.ping(address, "live").await.is_ok(),
                server.load(address).await.is_ok(),
            ]
        };
        looks.now_or_never().expect("nothing waits")
    }

    #[tokio::test]
    async fn nothing_answers_at_an_instance_that_does_not_run() {
        let clock = SystemClock::start();
        let now = clock.now();
        let timeline = Timeline::new(Arc::new(clock));
        let mut machines = RealMachines::new(timeline.clone());
        let server = GatedMediaServer {
            inner: Arc::new(Always),
            address: "media.example.com:5443".to_owned(),
            machines: machines.clone(),
        };
        let endpoint = "wss://media.example.com:5443/live/websocket";
        let id = InstanceId::new("i-1");
        assert_eq!(looks(&server, "i-1-1.simulated"), [false; 5]);
        assert!(server.ping_endpoint(endpoint).await.is_err());

        let first = machines.boot(now, &id, 1);
        assert_eq!(looks(&server, &first), [true; 5]);
        assert!(server.ping_endpoint(endpoint).await.is_ok());
        // An unchanged count is one line.
        assert_eq!(looks(&server, &first), [true; 5]);
        assert_eq!(timeline.events().len(), 1);

        machines.halt(now, &id, Halt::Stopped);
        assert_eq!(looks(&server, &first), [false; 5]);
        assert!(server.ping_endpoint(endpoint).await.is_err());

        // The next run is not found at the last one's address.
        let second = machines.boot(now, &id, 2);
        assert_eq!(looks(&server, &first), [false; 5]);
        assert_eq!(looks(&server, &second), [true; 5]);
        assert!(machines.runs(&id));
    }
}
