//! A simulated EC2 that keeps the rules which matter to a launcher.
//!
//! [`Ec2Model`] is pure: time comes in with every call and every random draw comes from its seed.
//! [`SimulatedEc2`] puts the [`Fleet`](wakecast_lambda::ports::Fleet) port over it and runs on any
//! clock, tokio's or a virtual one.

mod adapter;
mod effects;
mod instance;
mod launch;
mod model;
mod script;
mod settings;

pub use adapter::SimulatedEc2;
pub use instance::{Halt, Happened, Happening, Machines, Truth};
pub use launch::{Launch, Placement};
pub use model::Ec2Model;
pub use script::{BootFault, CallFault, CallName, CallRule, CapacityRule, Script};
pub use settings::{Ec2Settings, Noise};
