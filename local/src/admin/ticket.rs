//! `POST /ticket`: what a page in development asks before it makes the vendor's SDK.

use serde::Deserialize;
use serde_json::{Value, json};
use wakecast_lambda::auth::FIRST_USE;

use super::AdminError;
use crate::cloud::{Parts, TicketRequest};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    subject: String,
    stream: String,
    purpose: Purpose,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Purpose {
    Play,
    Publish,
}

pub(super) fn ticket(parts: &Parts, body: &[u8]) -> Result<Value, AdminError> {
    let body: Body = serde_json::from_slice(body)
        .map_err(|error| AdminError::Malformed("ticket request", error.to_string()))?;
    for (field, value) in [("subject", &body.subject), ("stream", &body.stream)] {
        if value.is_empty() {
            let expected = "a name";
            return Err(AdminError::Field { field, expected });
        }
    }
    if !parts.vendor_sdk {
        return Err(AdminError::VendorSdk);
    }
    let ticket = parts.ticket(&TicketRequest {
        subject: body.subject,
        stream: body.stream,
        publish: body.purpose == Purpose::Publish,
    })?;
    Ok(json!({
        "ticket": ticket.secret.expose(),
        "endpoint_url": ticket.endpoint_url(&parts.access_url).expose(),
        "first_use_within_s": FIRST_USE.as_secs(),
    }))
}
