//! What the gateway stand-in is told to do wrong.

use serde::Serialize;

/// Faults of the gateway. Counts are used up; `None` lasts until it is cleared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GatewayFaults {
    /// Handshakes are refused with this status, before any function hears of them.
    pub refuse_connects: Option<Counted<u16>>,
    /// Pushes that `@connections` accepts and never delivers.
    pub drop_pushes: Option<Counted<()>>,
    /// Pushes that `@connections` refuses as too many.
    pub throttle_pushes: Option<Counted<()>>,
    /// What happens to invocations of the function.
    pub function: Option<Counted<FunctionFault>>,
}

/// A fault and how often it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counted<T> {
    /// What.
    pub what: T,
    /// How often; `None` until it is cleared.
    pub times: Option<u32>,
}

/// What happens to an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FunctionFault {
    /// It ends without a response, before it has done anything.
    Crashes,
    /// It does its work and its response is lost.
    LosesResponse,
    /// It ends without a response, long after the integration's time is over.
    Hangs,
}

impl GatewayFaults {
    pub(super) fn take_refusal(&mut self) -> Option<u16> {
        take(&mut self.refuse_connects)
    }

    pub(super) fn take_dropped_push(&mut self) -> bool {
        take(&mut self.drop_pushes).is_some()
    }

    pub(super) fn take_throttled_push(&mut self) -> bool {
        take(&mut self.throttle_pushes).is_some()
    }

    pub(super) fn take_function_fault(&mut self) -> Option<FunctionFault> {
        take(&mut self.function)
    }
}

fn take<T: Copy>(fault: &mut Option<Counted<T>>) -> Option<T> {
    let counted = fault.as_mut()?;
    let what = counted.what;
    if let Some(times) = &mut counted.times {
        *times = times.saturating_sub(1);
        if *times == 0 {
            *fault = None;
        }
    }
    Some(what)
}
