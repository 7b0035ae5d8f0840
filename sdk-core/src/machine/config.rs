//! What a machine must know of its surroundings before it begins.

use super::gateways::{GatewayIndex, MAX_GATEWAYS};
use crate::protocol::{MAX_ID, Outcome, is_id};
use crate::{Error, ErrorCode, Stage};

/// What the machine must know of its surroundings. Made by [`Config::new`]; the rest is set on it.
///
/// ```
/// use wakecast::machine::Config;
///
/// // Two gateways: the preferred one with an access address, the other without.
/// let config = Config::new("example/1.0").access_check(true).fallback(false);
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Config {
    /// Name and version of the SDK, such as `wakecast-rust/0.1.0`.
    pub sdk: String,
    /// Names this client; random unless the app sets it. See [`Config::check`].
    pub client_id: Option<String>,
    /// Gateways besides the preferred one.
    fallbacks: u8,
    /// One bit for each gateway whose access address the driver has.
    access: u8,
}

impl Config {
    /// Begins with one gateway without an access address, and a random client id.
    pub fn new(sdk: impl Into<String>) -> Self {
        Self {
            sdk: sdk.into(),
            client_id: None,
            fallbacks: 0,
            access: 0,
        }
    }

    /// Names this client.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Sets whether the driver has an access address of the preferred gateway and so can answer
    /// `CheckAccess` for it.
    pub fn access_check(mut self, has: bool) -> Self {
        self.set_access(GatewayIndex::PREFERRED, has);
        self
    }

    /// Adds a gateway after those that are there, and says whether the driver has its access
    /// address. At most 8 gateways in all.
    pub fn fallback(mut self, access_check: bool) -> Self {
        self.fallbacks = self.fallbacks.saturating_add(1);
        self.set_access(GatewayIndex(self.fallbacks), access_check);
        self
    }

    /// Checks what an app can set, before a machine is made of it.
    ///
    /// # Errors
    ///
    /// `invalid_argument` if the server would refuse every `hello` for its `client_id`, or for more
    /// than 8 gateways.
    pub fn check(&self) -> Result<(), Error> {
        if self.fallbacks >= MAX_GATEWAYS {
            return Err(invalid(format!(
                "there are {} gateways and at most {MAX_GATEWAYS} can be tried: leave the last out",
                u16::from(self.fallbacks) + 1
            )));
        }
        if self.client_id.as_deref().is_none_or(is_id) {
            return Ok(());
        }
        Err(invalid(format!(
            "`client_id` must have 1 to {MAX_ID} visible ASCII characters, no spaces among them: \
             leave it out for a random one"
        )))
    }

    /// How many gateways there are, at least one.
    pub(super) fn gateways(&self) -> u8 {
        self.fallbacks.saturating_add(1).min(MAX_GATEWAYS)
    }

    /// Whether `CheckAccess` can be answered for a gateway.
    pub(super) fn can_check(&self, gateway: GatewayIndex) -> bool {
        self.access & bit(gateway) != 0
    }

    fn set_access(&mut self, gateway: GatewayIndex, has: bool) {
        if has {
            self.access |= bit(gateway);
        } else {
            self.access &= !bit(gateway);
        }
    }
}

/// The bit of a gateway; none for one that is too many.
fn bit(gateway: GatewayIndex) -> u8 {
    1u8.checked_shl(u32::from(gateway.0)).unwrap_or(0)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, Outcome::NotSent, Stage::Local).with_message(message)
}
