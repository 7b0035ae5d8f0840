//! A region with a recorder on its machines, and the words of its stories.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wakecast_lambda::config::Offering;
use wakecast_lambda::model::{FleetKey, InstanceId, Timestamp};
use wakecast_lambda::ports::{Ec2Instance, Ec2State};
use wakecast_local::ec2::{Ec2Model, Ec2Settings, Halt, Happening, Launch, Machines};
use wakecast_local::random::Span;

pub(crate) const T0: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) fn after(seconds: u64) -> Timestamp {
    T0 + Duration::from_secs(seconds)
}

pub(crate) fn fleet() -> FleetKey {
    FleetKey {
        tenant: "acme".to_owned(),
        fleet: "main".to_owned(),
    }
}

pub(crate) fn offering(instance_type: &str, zone: &str) -> Offering {
    Offering {
        instance_type: instance_type.to_owned(),
        zone: zone.to_owned(),
        subnet: format!("subnet-{zone}"),
    }
}

pub(crate) fn launch() -> Launch {
    Launch {
        stack: "local".to_owned(),
        fleet: fleet(),
        sequence: 7,
        offering: offering("c7g.xlarge", "eu-1a"),
        image: "ami-1".to_owned(),
        template: "3".to_owned(),
    }
}

/// What happened on the machines, shared with the test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) log: Log,
    pub(crate) boots: u32,
}

impl Machines for Recorder {
    fn boot(&mut self, _at: Timestamp, _instance: &InstanceId, start: u32) -> String {
        self.boots += 1;
        self.log.push(format!("boot {start}"));
        format!("10.0.0.{}", self.boots)
    }

    fn halt(&mut self, _at: Timestamp, _instance: &InstanceId, how: Halt) {
        self.log.push(format!("halt {how:?}"));
    }

    fn lead(&mut self, elastic_address: &str, to: Option<&InstanceId>) {
        self.log
            .push(format!("lead {elastic_address} {}", to.is_some()));
    }

    fn note(&mut self, happening: &Happening) {
        let seconds = happening.at.since(T0).as_secs();
        self.log.push(format!("{seconds} {:?}", happening.what));
    }
}

pub(crate) fn slow() -> Ec2Settings {
    Ec2Settings {
        pending: Span::exactly(Duration::from_secs(5)),
        stopping: Span::exactly(Duration::from_secs(10)),
        shutting_down: Span::exactly(Duration::from_secs(4)),
        describe_lag: Span::exactly(Duration::from_secs(2)),
        ..Ec2Settings::instant()
    }
}

pub(crate) fn model(settings: Ec2Settings) -> (Ec2Model, Log) {
    let log = Log::default();
    let recorder = Recorder {
        log: log.clone(),
        boots: 0,
    };
    (Ec2Model::new(settings, 1, Box::new(recorder)), log)
}

pub(crate) fn list(model: &mut Ec2Model, now: Timestamp) -> Vec<Ec2Instance> {
    model.describe(now, "local", &fleet()).unwrap()
}

pub(crate) fn state(model: &mut Ec2Model, now: Timestamp) -> Option<Ec2State> {
    list(model, now).first().map(|instance| instance.state)
}

/// A running instance at `after(100)`, visible.
pub(crate) fn running(settings: Ec2Settings) -> (Ec2Model, Log, InstanceId) {
    let (mut model, log) = model(settings);
    let id = model.run(T0, &launch(), "t").unwrap().id;
    model.advance(after(100));
    log.take();
    (model, log, id)
}

/// A stopped instance at `after(200)`, visible.
pub(crate) fn stopped(settings: Ec2Settings) -> (Ec2Model, Log, InstanceId) {
    let (mut model, log, id) = running(settings);
    model.stop(after(100), &id).unwrap();
    model.advance(after(200));
    log.take();
    (model, log, id)
}
