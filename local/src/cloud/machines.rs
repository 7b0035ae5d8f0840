//! The media servers that run on the simulated instances.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use wakecast_lambda::model::{InstanceId, Timestamp};

use super::timeline::{Timeline, What};
use crate::ec2::{Halt, Happening, Machines};
use crate::media::{Faults, MediaConfig, MediaProcess, MediaStatus, Power};

/// An address at which nothing answers: port 9, discard.
const NOBODY: &str = "127.0.0.1:9";

/// Media servers by the instance they run on. Clones share them.
#[derive(Clone)]
pub(crate) struct MediaMachines {
    shared: Arc<Shared>,
}

struct Shared {
    config: MediaConfig,
    timeline: Timeline,
    runtime: Handle,
    state: Mutex<State>,
    /// The instance that the Elastic IP is on.
    elastic: watch::Sender<Option<InstanceId>>,
}

#[derive(Default)]
struct State {
    running: BTreeMap<InstanceId, Running>,
    /// In force for boots to come.
    faults: Faults,
    /// Clean shutdowns under way.
    ending: JoinSet<()>,
}

/// A process and the task that records its life.
struct Running {
    process: Arc<MediaProcess>,
    watcher: Watcher,
}

/// A task that ends with its owner, or when the process has ended.
struct Watcher(JoinHandle<()>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl MediaMachines {
    /// Installs nothing yet: every boot starts a process of this configuration.
    pub(crate) fn new(config: MediaConfig, timeline: Timeline, runtime: Handle) -> Self {
        let shared = Shared {
            config,
            timeline,
            runtime,
            state: Mutex::default(),
            elastic: watch::Sender::new(None),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Returns what runs, by instance.
    pub(crate) fn running(&self) -> BTreeMap<InstanceId, Arc<MediaProcess>> {
        let state = self.state();
        let pairs = state.running.iter();
        pairs
            .map(|(id, running)| (id.clone(), running.process.clone()))
            .collect()
    }

    /// Returns where the server of an instance listens, if one runs.
    pub(super) fn address(&self, instance: &InstanceId) -> Option<SocketAddr> {
        self.state()
            .running
            .get(instance)
            .map(|running| running.process.address())
    }

    /// Follows the instance that the Elastic IP is on.
    pub(super) fn elastic_target(&self) -> watch::Receiver<Option<InstanceId>> {
        self.shared.elastic.subscribe()
    }

    /// Returns the faults in force for boots to come.
    pub(crate) fn faults(&self) -> Faults {
        self.state().faults.clone()
    }

    /// Changes the faults of what runs and of boots to come.
    pub(crate) fn change_faults(&self, change: impl Fn(&mut Faults)) {
        let mut state = self.state();
        change(&mut state.faults);
        for running in state.running.values() {
            running.process.control(|model, now| {
                let mut faults = model.faults().clone();
                change(&mut faults);
                model.set_faults(now, faults);
            });
        }
    }

    /// Ends everything cleanly and waits for it.
    pub(crate) async fn stop_all(&self) {
        let (running, mut ending) = {
            let mut state = self.state();
            (
                std::mem::take(&mut state.running),
                std::mem::take(&mut state.ending),
            )
        };
        for running in running.into_values() {
            ending.spawn(running.end(Halt::Stopped));
        }
        while ending.join_next().await.is_some() {}
    }

    fn start(&self, instance: &InstanceId) -> std::io::Result<String> {
        let _in_runtime = self.shared.runtime.enter();
        let mut state = self.state();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = self.shared.config.clone();
        // Starting waits for nothing; it is asynchronous only to be called inside a runtime.
        let started = MediaProcess::start_with(config, state.faults.clone(), any_port)
            .now_or_never()
            .unwrap_or_else(|| Err(std::io::ErrorKind::WouldBlock.into()));
        let process = Arc::new(started?);
        let address = process.address().to_string();
        let watched = watch(
            instance.clone(),
            process.clone(),
            self.shared.timeline.clone(),
        );
        let watcher = Watcher(tokio::spawn(watched));
        state
            .running
            .insert(instance.clone(), Running { process, watcher });
        Ok(address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Ends the process, and returns when its end is recorded.
    async fn end(mut self, how: Halt) {
        match how {
            Halt::Stopped => self.process.stop().await,
            Halt::Killed => self.process.kill().await,
        }
        let _ = (&mut self.watcher.0).await;
    }
}

impl fmt::Debug for MediaMachines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaMachines").finish_non_exhaustive()
    }
}

impl Machines for MediaMachines {
    fn boot(&mut self, _at: Timestamp, instance: &InstanceId, _start: u32) -> String {
        self.start(instance).unwrap_or_else(|error| {
            tracing::error!(%instance, %error, "the media server did not start");
            NOBODY.to_owned()
        })
    }

    fn halt(&mut self, _at: Timestamp, instance: &InstanceId, how: Halt) {
        let _in_runtime = self.shared.runtime.enter();
        let mut state = self.state();
        let Some(running) = state.running.remove(instance) else {
            return;
        };
        // The ends of earlier boots are over.
        while state.ending.try_join_next().is_some() {}
        state.ending.spawn(running.end(how));
    }

    fn lead(&mut self, _elastic_address: &str, to: Option<&InstanceId>) {
        self.shared.elastic.send_replace(to.cloned());
    }

    fn note(&mut self, happening: &Happening) {
        self.shared
            .timeline
            .record_at(happening.at, What::ec2(happening));
    }
}

/// Records a server's boot and load until its end.
async fn watch(instance: InstanceId, process: Arc<MediaProcess>, timeline: Timeline) {
    let mut told = None;
    loop {
        let status = process.wait_for(|status| Some(seen(status)) != told).await;
        let now = seen(&status);
        let (phase, publishers, viewers) = now.clone();
        timeline.record(What::Media {
            instance: instance.clone(),
            phase,
            publishers,
            viewers,
        });
        told = Some(now);
        if matches!(status.power, Power::Down { .. }) {
            return;
        }
    }
}

/// What of a status is worth a line.
fn seen(status: &MediaStatus) -> (String, u64, u64) {
    let phase = format!("{:?}", status.phase).to_lowercase();
    let viewers = status.counts.webrtc_viewers + status.counts.hls_viewers;
    (phase, status.counts.live_streams, viewers)
}
