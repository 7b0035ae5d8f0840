//! The protocol's closed vocabularies: each word is written once, beside its variant.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::fields::FromField;
use super::tree::Tree;

/// Declares a vocabulary whose unknown words are refused.
macro_rules! closed_words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every word of this vocabulary.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the word as it is written on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Reads a wire word; `None` if it is not part of this vocabulary.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl FromField for $name {
            fn from_field(value: Tree) -> Option<Self> {
                value.as_text().and_then(Self::parse)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| D::Error::custom(concat!("unknown ", stringify!($name))))
            }
        }
    };
}

/// Declares a vocabulary that may grow: an unknown word becomes `Unrecognised`.
macro_rules! open_words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
            /// A word of a newer version of the protocol. Never sent.
            Unrecognised,
        }

        impl $name {
            /// Every word of this vocabulary that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the word as it is written on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ Self::Unrecognised => "unrecognised" }
            }

            /// Reads a wire word.
            pub fn parse(text: &str) -> Self {
                match text { $($text => Self::$variant,)+ _ => Self::Unrecognised }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl FromField for $name {
            fn from_field(value: Tree) -> Option<Self> {
                value.as_text().map(Self::parse)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::parse(&String::deserialize(deserializer)?))
            }
        }
    };
}

closed_words! {
    /// What an acquisition is for.
    Purpose {
        /// Sends a stream. Starts and protects an instance.
        Publish = "publish",
        /// Plays a stream. Starts and protects an instance.
        Play = "play",
        /// Waits until somebody else's demand made an instance ready. Never starts one.
        Watch = "watch",
    }
}

closed_words! {
    /// What an operator's override asks of a fleet.
    OverrideMode {
        /// Demand decides.
        Auto = "auto",
        /// At least one instance stays on.
        On = "on",
        /// Nothing starts; what runs is drained and stopped.
        Off = "off",
        /// No power action and no drain.
        Hold = "hold",
    }
}

closed_words! {
    /// Why a client gives a lease back.
    ReleaseReason {
        /// The app is done.
        Done = "done",
        /// The client's own network could not reach the endpoint.
        Unreachable = "unreachable",
    }
}

open_words! {
    /// How far an instance is on its way to `ready`. Ordered: later phases compare greater.
    Phase {
        /// The demand is stored.
        Requested = "requested",
        /// No capacity at the moment; other types and zones are tried.
        WaitingForCapacity = "waiting_for_capacity",
        /// EC2 has accepted the start.
        Launching = "launching",
        /// The instance runs its operating system's start.
        Booting = "booting",
        /// The media server starts and loads its applications.
        Warming = "warming",
        /// The client proves the endpoint from its own network.
        Verifying = "verifying",
        /// The endpoint can be used.
        Ready = "ready",
    }
}

open_words! {
    /// The state of a lease in `welcome`.
    LeaseState {
        /// Granted, and its instance is ready.
        Held = "held",
        /// Its instance drains.
        Draining = "draining",
        /// Its instance died; another one is started for it.
        Moving = "moving",
        /// Gone.
        Lost = "lost",
    }
}

open_words! {
    /// The state of a request in `welcome`.
    RequestState {
        /// The server has never seen it: it is sent again.
        Unknown = "unknown",
        /// It waits for an instance.
        Waiting = "waiting",
        /// It is granted.
        Ready = "ready",
        /// It has ended with `code`.
        Ended = "ended",
    }
}

open_words! {
    /// Why a lease was lost.
    LostReason {
        /// The instance was stopped after its grace.
        Stopped = "stopped",
        /// The instance died.
        InstanceGone = "instance_gone",
        /// Its replacement could not be started.
        StartFailed = "start_failed",
        /// Another client claimed the same id.
        TakenOver = "taken_over",
        /// It had been released.
        Released = "released",
    }
}

open_words! {
    /// What is known about a request that failed.
    Outcome {
        /// It was never written: trying again is safe.
        NotSent = "not_sent",
        /// It may have been carried out: try again with the same id.
        Unknown = "unknown",
        /// The server refused it: it was not carried out.
        Rejected = "rejected",
    }
}
