//! The settings that say which hosts can be reached, and how.

use super::address::InsecureHosts;
use super::builder::invalid;
use super::dial::Dialer;
use super::proxy::Proxy;
use crate::Error;

/// What every builder of something that connects lets the app set.
#[derive(Default)]
pub(super) struct Reach {
    /// Hosts for which plain text is allowed.
    pub(super) insecure: InsecureHosts,
    /// DER certificates that replace all other roots.
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) proxy: Proxy,
}

impl Reach {
    /// Returns what dials by these settings; `invalid_argument` for an unusable certificate or proxy.
    pub(super) fn dialer(&self) -> Result<Dialer, Error> {
        Dialer::new(&self.roots, &self.proxy).map_err(invalid)
    }
}
