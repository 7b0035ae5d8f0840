//! What an instance is launched from.

use wakecast_lambda::config::Offering;
use wakecast_lambda::model::{FleetKey, Intent, LaunchKind};
use wakecast_lambda::ports::{Ec2Error, Ec2State};

/// The parameters of one `RunInstances`, tags included: a client token is good for exactly these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The tag that separates two stacks in one account.
    pub stack: String,
    /// The tag of the fleet.
    pub fleet: FleetKey,
    /// The tag of the intent.
    pub sequence: u64,
    /// Type, zone and subnet.
    pub offering: Offering,
    /// The image id.
    pub image: String,
    /// The launch template's version.
    pub template: String,
}

impl Launch {
    /// Reads the parameters from an intent, as an adapter sends them.
    ///
    /// # Errors
    ///
    /// An intent to start a stopped instance is [`Ec2Error::Config`].
    pub fn from_intent(stack: &str, fleet: &FleetKey, intent: &Intent) -> Result<Self, Ec2Error> {
        let LaunchKind::New {
            offering,
            image,
            template,
        } = &intent.kind
        else {
            return Err(Ec2Error::Config(
                "InvalidParameterCombination: the intent starts a stopped instance; \
                 RunInstances needs one for a new instance"
                    .to_owned(),
            ));
        };
        Ok(Self {
            stack: stack.to_owned(),
            fleet: fleet.clone(),
            sequence: intent.sequence,
            offering: offering.clone(),
            image: image.clone(),
            template: template.clone(),
        })
    }
}

/// An instance that exists before the story begins, or that somebody else made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The tag that separates two stacks in one account.
    pub stack: String,
    /// The tag of the fleet.
    pub fleet: FleetKey,
    /// The tag of the intent, if it bears one.
    pub sequence: Option<u64>,
    /// Type, zone and subnet.
    pub offering: Offering,
    /// The state it is found in.
    pub state: Ec2State,
}
