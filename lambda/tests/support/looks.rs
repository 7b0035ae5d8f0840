//! Looks at media servers, and what can be wrong with one.

use wakecast_lambda::lifecycle::{Observation, Probe, Question, Reply};
use wakecast_lambda::model::InstanceId;
use wakecast_lambda::ports::{Ec2State, MediaError};

use super::World;

/// A look at the load that is not surely of this boot at its proved address, or not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    OtherAddress,
    OtherInstance,
    /// Each look shows a server that has just begun.
    OtherBoot,
    NoCounts,
}

impl World {
    pub(super) fn look(&mut self, probe: Probe) -> Observation {
        let sent_at = self.now;
        let machine = self.ec2.machines.get(&probe.instance);
        let reached = machine.is_some_and(|machine| {
            let own = format!("{}-{}", machine.id, machine.starts);
            let here = if machine.elastic {
                "media.example.com:5443"
            } else {
                &own
            };
            machine.state(self.now) == Some(Ec2State::Running) && probe.address == here
        });
        let result = match self.media.get_mut(&probe.instance).filter(|_| reached) {
            Some(media) => media.answer(self.now, &probe.question),
            None => Err(MediaError::NotYet("refused".into())),
        };
        let observation = Observation {
            probe,
            sent_at,
            result,
        };
        match self.stray {
            Some(stray) => stray.of(observation),
            None => observation,
        }
    }
}

impl Stray {
    fn of(self, mut look: Observation) -> Observation {
        if look.probe.question != Question::Load {
            return look;
        }
        match (self, &mut look.result) {
            (Self::OtherAddress, _) => look.probe.address = "198.51.100.9".into(),
            (Self::OtherInstance, _) => look.probe.instance = InstanceId::new("i-other"),
            (Self::OtherBoot, Ok(Reply::Load(load))) => {
                load.start_time_ms = Some(look.sent_at.as_millis());
            }
            (Self::NoCounts, Ok(Reply::Load(load))) => load.live_streams = None,
            _ => {}
        }
        look
    }
}
