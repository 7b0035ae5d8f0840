//! The idempotency token of a launch.

use sha2::{Digest, Sha256};

use super::pass::Pass;
use crate::model::{Intent, LaunchKind};

/// Bytes of the hash that are kept: 64 characters in hex, the most that EC2 takes.
const TOKEN_BYTES: usize = 32;

/// Returns the token: the same for the same attempt, another one for every other.
pub(super) fn client_token(pass: &Pass<'_>, intent: &Intent) -> String {
    let candidate = match &intent.kind {
        LaunchKind::New {
            offering,
            image,
            template,
        } => {
            format!(
                "{}|{}|{}|{image}|{template}",
                offering.instance_type, offering.zone, offering.subnet
            )
        }
        LaunchKind::Start { instance } => instance.to_string(),
    };
    let fleet = pass.snapshot.fleet;
    let text = format!(
        "{}|{}|{}|{}|{candidate}|{}",
        pass.config.table_id, fleet.tenant, fleet.fleet, intent.sequence, intent.attempt
    );
    Sha256::digest(text.as_bytes())
        .iter()
        .take(TOKEN_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
