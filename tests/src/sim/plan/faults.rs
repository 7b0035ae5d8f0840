//! What goes wrong at random in a world, and how often.

use std::collections::BTreeMap;
use std::fmt;

use wakecast_local::ec2::{Ec2Settings, Noise};

use crate::sim::network::NetworkFaults;
use crate::sim::process::CallFaults;
use crate::sim::world::Hands;

/// One kind of random fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An upgrade does not reach the gateway.
    ConnectFails,
    /// A frame meets a broken link.
    Cut,
    /// A frame makes its link a black hole.
    BlackHole,
    /// A frame takes seconds.
    SlowFrame,
    /// A message reaches the function twice.
    Twice,
    /// Two pushes change places.
    Reorder,
    /// `$disconnect` is never delivered.
    NoDisconnect,
    /// A function's call is lost before its effect.
    LostRequest,
    /// A function's call has its effect, and its reply is lost.
    LostReply,
    /// A function's call takes seconds.
    SlowCall,
    /// A function dies at a call.
    Crash,
    /// A request of a function takes effect when its caller has given up or died.
    LateCall,
    /// A function freezes for longer than a lock lives.
    Freeze,
    /// A wake is lost.
    WakeLost,
    /// A wake starts two runs.
    WakeTwice,
    /// EC2 throttles.
    Ec2Throttled,
    /// A request to EC2 is lost.
    Ec2LostRequest,
    /// An answer of EC2 is lost.
    Ec2LostReply,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::ConnectFails,
        Self::Cut,
        Self::BlackHole,
        Self::SlowFrame,
        Self::Twice,
        Self::Reorder,
        Self::NoDisconnect,
        Self::LostRequest,
        Self::LostReply,
        Self::SlowCall,
        Self::Crash,
        Self::LateCall,
        Self::Freeze,
        Self::WakeLost,
        Self::WakeTwice,
        Self::Ec2Throttled,
        Self::Ec2LostRequest,
        Self::Ec2LostReply,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectFails => "connect-fails",
            Self::Cut => "cut",
            Self::BlackHole => "black-hole",
            Self::SlowFrame => "slow-frame",
            Self::Twice => "twice",
            Self::Reorder => "reorder",
            Self::NoDisconnect => "no-disconnect",
            Self::LostRequest => "lost-request",
            Self::LostReply => "lost-reply",
            Self::SlowCall => "slow-call",
            Self::Crash => "crash",
            Self::LateCall => "late-call",
            Self::Freeze => "freeze",
            Self::WakeLost => "wake-lost",
            Self::WakeTwice => "wake-twice",
            Self::Ec2Throttled => "ec2-throttled",
            Self::Ec2LostRequest => "ec2-lost-request",
            Self::Ec2LostReply => "ec2-lost-reply",
        }
    }
}

/// The random faults of a world, each in per mille of its occasions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(BTreeMap<Fault, u64>);

impl Faults {
    /// Sets how often a fault happens; never is as good as not named.
    pub fn set(&mut self, fault: Fault, per_mille: u64) {
        if per_mille > 0 {
            self.0.insert(fault, per_mille);
        }
    }

    /// Returns the kinds that happen at all.
    pub fn kinds(&self) -> impl Iterator<Item = Fault> + '_ {
        self.0.keys().copied()
    }

    /// Keeps only these kinds.
    pub fn retain(&mut self, keep: impl Fn(Fault) -> bool) {
        self.0.retain(|fault, _| keep(*fault));
    }

    pub(super) fn network(&self) -> NetworkFaults {
        NetworkFaults {
            connect_fails: self.of(Fault::ConnectFails),
            cut: self.of(Fault::Cut),
            black_hole: self.of(Fault::BlackHole),
            slow: self.of(Fault::SlowFrame),
            twice: self.of(Fault::Twice),
            reorder: self.of(Fault::Reorder),
            no_disconnect: self.of(Fault::NoDisconnect),
            late_close: 0,
        }
    }

    pub(super) fn calls(&self) -> CallFaults {
        CallFaults {
            lost_request: self.of(Fault::LostRequest),
            lost_reply: self.of(Fault::LostReply),
            slow: self.of(Fault::SlowCall),
            crash: self.of(Fault::Crash),
            late: self.of(Fault::LateCall),
            pause: self.of(Fault::Freeze),
            ..CallFaults::default()
        }
    }

    pub(super) fn hands(&self) -> Hands {
        Hands {
            reconciler: self.calls(),
            wake_lost: self.of(Fault::WakeLost),
            wake_twice: self.of(Fault::WakeTwice),
        }
    }

    pub(super) fn ec2(&self) -> Ec2Settings {
        let of = |fault| u16::try_from(self.of(fault)).unwrap_or(u16::MAX);
        Ec2Settings {
            noise: Noise {
                throttled: of(Fault::Ec2Throttled),
                lost_request: of(Fault::Ec2LostRequest),
                lost_reply: of(Fault::Ec2LostReply),
            },
            ..Ec2Settings::default()
        }
    }

    fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or(0)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (number, (fault, per_mille)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{} {per_mille} ‰", fault.name())?;
        }
        Ok(())
    }
}
