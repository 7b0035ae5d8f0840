//! What stands behind the gateway.

use std::fmt;

use async_trait::async_trait;
use serde_json::Value;

use super::FunctionResponse;

/// A Lambda function: an event in, a response out, both as JSON.
#[async_trait]
pub trait Function: Send + Sync + fmt::Debug {
    /// Handles one event. Invocations run concurrently, also those of one connection.
    async fn invoke(&self, event: Value) -> Result<Value, Crash>;
}

/// A function ended without a response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the function ended without a response: {0}")]
pub struct Crash(pub String);

/// Reads a proxy integration's response; `None` where API Gateway could not use it.
pub(super) fn response(answer: &Value) -> Option<FunctionResponse> {
    let status = u16::try_from(answer.get("statusCode")?.as_u64()?).ok()?;
    let headers = answer
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let headers = headers
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let body = answer
        .get("body")
        .and_then(Value::as_str)
        .map(str::to_owned);
    Some(FunctionResponse {
        status,
        headers,
        body,
    })
}
