//! The faults that can be asked for, as JSON.

use serde::Deserialize;

use super::AdminError;
use crate::ec2::CallName;

/// One fault. `times` is how often it happens; without it, until `DELETE /faults`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// Cuts open sockets without a Close frame; all of them without a filter.
    CutSockets {
        /// Only those of this subject.
        subject: Option<String>,
        /// Only those of this client.
        client_id: Option<String>,
        /// The gateway does not notice: `$disconnect` never comes.
        #[serde(default)]
        silent: bool,
    },
    /// Refuses handshakes: 429 for throttling, 503 for an outage.
    RefuseConnects {
        /// The status, 400 to 599.
        status: u16,
        /// How often.
        times: Option<u32>,
    },
    /// Kills the gateway: its sockets end without a Close frame, no `$disconnect` comes, and nobody
    /// listens until the faults are ended. It comes back with nothing in its memory.
    GatewayDown {},
    /// Accepts pushes and never delivers them.
    DropPushes {
        /// How often.
        times: Option<u32>,
    },
    /// Refuses pushes as too many.
    ThrottlePushes {
        /// How often.
        times: Option<u32>,
    },
    /// Lets invocations of the gateway function go wrong.
    Function {
        /// In which way.
        how: FunctionOutcome,
        /// How often.
        times: Option<u32>,
    },
    /// Ends the reconciler's runs under way. Its lock runs out by itself.
    CrashReconciler {},
    /// Has no capacity for a type and zone; for any without them.
    NoCapacity {
        /// The instance type.
        instance_type: Option<String>,
        /// The availability zone.
        zone: Option<String>,
        /// How often.
        times: Option<u32>,
    },
    /// Lets EC2 calls go wrong.
    Ec2 {
        /// In which way.
        how: CallOutcome,
        /// Which; any without it.
        call: Option<CallName>,
        /// How often.
        times: Option<u32>,
    },
    /// Hides changes from `describe` for this long.
    DescribeLag {
        /// In milliseconds.
        ms: u64,
    },
    /// Keeps the next boot `pending`, or lets it fall back.
    FailBoot {
        /// It falls back instead of hanging.
        #[serde(default)]
        falls_back: bool,
    },
    /// Keeps the next stop `stopping`.
    HangStop {},
    /// Terminates instances from outside.
    Terminate {
        /// Which; every live one without it.
        instance: Option<String>,
    },
    /// Stops instances from outside.
    StopOutside {
        /// Which; every running one without it.
        instance: Option<String>,
    },
    /// Lets media servers accept connections and answer nothing.
    MediaHangs {},
    /// Lets media servers answer 403 to everything but liveness.
    MediaForbids {},
    /// Slows the next boots down to this many percent of their usual time.
    MediaBootsSlowly {
        /// 100 is the usual time.
        percent: u32,
    },
    /// Kills the running media servers; a service manager starts them again.
    MediaCrashes {
        /// After this many milliseconds.
        #[serde(default = "service_manager_delay")]
        restart_after_ms: u64,
    },
    /// Lets a setting of the next boots read another value.
    MediaLosesSetting {
        /// Its name.
        name: String,
        /// What it reads.
        value: serde_json::Value,
    },
    /// Freezes a publisher: its connection stays and nothing comes.
    FreezePublisher {
        /// The stream.
        stream: String,
    },
}

/// systemd's `RestartSec` as the vendor's unit sets it.
fn service_manager_delay() -> u64 {
    5_000
}

/// How an invocation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FunctionOutcome {
    /// It ends before it has done anything.
    Crash,
    /// It does its work and its response is lost.
    LoseResponse,
    /// It ends without a response, long after the integration's time is over.
    Hang,
}

/// How an EC2 call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// Refused as too frequent.
    Throttle,
    /// Refused for an account limit.
    Quota,
    /// Refused for a wrong parameter.
    Config,
    /// Refused for a missing permission.
    Auth,
    /// Lost on the way there.
    LoseRequest,
    /// Lost on the way back.
    LoseReply,
}

impl Fault {
    /// Reads and checks a fault.
    ///
    /// # Errors
    /// What is wrong with the body or one of its fields.
    pub fn parse(body: &[u8]) -> Result<Self, AdminError> {
        let fault: Self = serde_json::from_slice(body)
            .map_err(|error| AdminError::Malformed("fault", error.to_string()))?;
        fault.check()?;
        Ok(fault)
    }

    fn check(&self) -> Result<(), AdminError> {
        let times = match self {
            Self::RefuseConnects { times, .. }
            | Self::DropPushes { times }
            | Self::ThrottlePushes { times }
            | Self::Function { times, .. }
            | Self::NoCapacity { times, .. }
            | Self::Ec2 { times, .. } => *times,
            _ => None,
        };
        if times == Some(0) {
            return Err(AdminError::Field {
                field: "times",
                expected: "at least 1, or nothing",
            });
        }
        match self {
            Self::RefuseConnects { status, .. } if !(400..600).contains(status) => {
                Err(AdminError::Field {
                    field: "status",
                    expected: "400 to 599",
                })
            }
            Self::MediaBootsSlowly { percent: 0 } => Err(AdminError::Field {
                field: "percent",
                expected: "at least 1",
            }),
            _ => Ok(()),
        }
    }
}
