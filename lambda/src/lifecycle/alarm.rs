//! What an operator must hear.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::InstanceId;

/// Something that needs a person. It is reported when it begins to hold, not while it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// EC2 cannot be read: nothing is started or stopped.
    Ec2Unreadable,
    /// Image, template, permission or secrets are wrong; tried again every ten minutes of demand.
    Misconfigured {
        /// What EC2 or the media server said.
        cause: String,
    },
    /// An account limit of EC2 or a cap of the fleet is reached.
    QuotaExceeded {
        /// Which.
        cause: String,
    },
    /// The running hours of the day are spent: nothing is started until midnight of UTC, what is in
    /// use goes on.
    BudgetSpent {
        /// Whose.
        cause: String,
    },
    /// Two boots in a row failed.
    StartFailed {
        /// What went wrong in the last one.
        cause: String,
    },
    /// A ready server has not been readable three times in a row: it counts as busy and stays on.
    Unknown {
        /// Which.
        instance: InstanceId,
    },
    /// The server's address is not the one that was proved.
    AddressChanged {
        /// Which.
        instance: InstanceId,
    },
    /// A setting of the app has its default value though another one is configured.
    SettingsLost {
        /// Which.
        instance: InstanceId,
    },
    /// EC2 still shows `running` a minute after the stop.
    StopNotSeen {
        /// Which.
        instance: InstanceId,
    },
    /// EC2 has shown `stopping` for more than ten minutes.
    StuckStopping {
        /// Which.
        instance: InstanceId,
    },
    /// A boot is past its limit on an instance that must not be touched (tag `wakecast:hold`), or
    /// that EC2 does not bring to `running`.
    BootStuck {
        /// Which.
        instance: InstanceId,
    },
    /// A ready server died.
    Died {
        /// Which.
        instance: InstanceId,
    },
    /// More instances live than may.
    Surplus {
        /// One that nothing explains.
        instance: InstanceId,
    },
    /// A row of the fleet's demand cannot be read: nothing is stopped until it expires or is removed.
    UnreadableRow,
    /// EC2 knows the token of an intent with other parameters.
    TokenMismatch {
        /// The intent.
        sequence: u64,
    },
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ec2Unreadable => f.write_str("EC2 cannot be read"),
            Self::Misconfigured { cause } => write!(f, "misconfigured: {cause}"),
            Self::QuotaExceeded { cause } => write!(f, "quota exceeded: {cause}"),
            Self::BudgetSpent { cause } => write!(f, "budget spent: {cause}"),
            Self::StartFailed { cause } => write!(f, "two boots in a row failed: {cause}"),
            Self::Unknown { instance } => write!(f, "the server on {instance} cannot be read"),
            Self::AddressChanged { instance } => {
                write!(
                    f,
                    "the address of {instance} is not the one that was proved"
                )
            }
            Self::SettingsLost { instance } => {
                write!(f, "the server on {instance} has lost its settings")
            }
            Self::StopNotSeen { instance } => {
                write!(f, "EC2 still shows {instance} running after its stop")
            }
            Self::StuckStopping { instance } => write!(f, "{instance} is stuck in `stopping`"),
            Self::BootStuck { instance } => {
                write!(f, "the boot of {instance} is past its limit")
            }
            Self::Died { instance } => write!(f, "the server on {instance} died"),
            Self::Surplus { instance } => write!(f, "nothing explains {instance}"),
            Self::UnreadableRow => f.write_str("a row of the demand cannot be read"),
            Self::TokenMismatch { sequence } => {
                write!(
                    f,
                    "EC2 knows the token of launch {sequence} with other parameters"
                )
            }
        }
    }
}
