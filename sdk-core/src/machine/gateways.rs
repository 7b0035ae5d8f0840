//! The gateways of a service, in order of preference.

/// How many gateways can be configured: more regions than a service has.
pub(super) const MAX_GATEWAYS: u8 = 8;

/// Names a gateway by its place in the order of preference; 0 is the preferred one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct GatewayIndex(pub u8);

impl GatewayIndex {
    /// The first in the order.
    pub const PREFERRED: Self = Self(0);
}
