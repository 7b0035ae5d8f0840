//! What a person can do.

use super::{Condition, Finding};
use crate::ErrorCode;
use crate::machine::record::{EndCause, TokenFault};
use crate::machine::words::words;

words! {
    /// What a person can do.
    Remedy {
        /// Ask for something: `connect()` or `acquire()`.
        AskForSomething = "ask_for_something",
        /// Check the network of the device.
        CheckNetwork = "check_network",
        /// Check the address that the client was built with.
        CheckAddress = "check_address",
        /// Check the root certificates and the device's clock.
        CheckCertificates = "check_certificates",
        /// Use a network that lets WebSockets through.
        AllowWebsockets = "allow_websockets",
        /// Let the network reach the media server's port.
        AllowMediaServer = "allow_media_server",
        /// Mend the token provider.
        MendTokenProvider = "mend_token_provider",
        /// Let the provider's cache step aside when it is asked with `Rejected`.
        FetchFreshToken = "fetch_fresh_token",
        /// Sign in again.
        SignIn = "sign_in",
        /// Call `retry()` once that is done.
        CallRetry = "call_retry",
        /// Update the SDK.
        UpdateSdk = "update_sdk",
        /// Ask the operator of the service.
        AskOperator = "ask_operator",
        /// Bring the app to the front, or acquire.
        BringToFront = "bring_to_front",
        /// Acquire again.
        AcquireAgain = "acquire_again",
        /// Wait longer: set a longer deadline.
        LongerDeadline = "longer_deadline",
        /// Use an id for one client at a time.
        OwnId = "own_id",
        /// End what is played or published, and acquire again when it is needed.
        FinishSoon = "finish_soon",
        /// Send less in one message.
        SendLess = "send_less",
        /// Ask for less at once.
        AskLess = "ask_less",
        /// Pass another argument.
        MendArgument = "mend_argument",
        /// Make a new client.
        NewClient = "new_client",
        /// Try the same again later.
        TryLater = "try_later",
    }
}

/// What can be done about the link.
pub(super) fn of_link(finding: &Finding, fault: Option<TokenFault>) -> Vec<Remedy> {
    match (finding.what, &finding.code) {
        (Condition::NothingWanted, _) => vec![Remedy::AskForSomething],
        (Condition::Paused, _) => vec![Remedy::BringToFront],
        (Condition::Closed, _) => vec![Remedy::NewClient],
        (Condition::Failed, Some(code)) => {
            let mut remedies = of_code(code);
            remedies.push(Remedy::CallRetry);
            remedies
        }
        (Condition::AskingToken | Condition::TokenLater, code) => match (fault, code) {
            (Some(fault), _) => of_fault(fault),
            (None, Some(code)) => of_code(code),
            (None, None) => Vec::new(),
        },
        (
            _,
            Some(
                ErrorCode::TokenProviderFailed
                | ErrorCode::TokenRejected
                | ErrorCode::TokenExpired
                | ErrorCode::InvalidArgument,
            ),
        ) => fault.map_or_else(Vec::new, of_fault),
        (Condition::Healthy | Condition::Unanswered | Condition::Closing, _) | (_, None) => {
            Vec::new()
        }
        _ if finding.evidence.contains(&super::Evidence::NoNetwork) => vec![Remedy::CheckNetwork],
        (_, Some(code)) => {
            let tls = finding.evidence.iter().find_map(|evidence| match evidence {
                super::Evidence::Attempt { cause, .. } => Some(*cause == EndCause::Tls),
                _ => None,
            });
            match code {
                ErrorCode::NetworkUnreachable if tls == Some(true) => {
                    vec![Remedy::CheckCertificates, Remedy::CheckAddress]
                }
                code => of_code(code),
            }
        }
    }
}

/// What can be done about a token that is missing.
pub(super) fn of_fault(fault: TokenFault) -> Vec<Remedy> {
    match fault {
        TokenFault::Provider | TokenFault::NoAnswer | TokenFault::Unusable => {
            vec![Remedy::MendTokenProvider]
        }
        TokenFault::Stale => vec![Remedy::FetchFreshToken],
        TokenFault::Refused => vec![Remedy::SignIn, Remedy::FetchFreshToken],
        TokenFault::Ended => vec![Remedy::FetchFreshToken],
    }
}

/// The code that tells a fault to an app.
pub(super) fn code_of_fault(fault: TokenFault) -> ErrorCode {
    match fault {
        TokenFault::Provider | TokenFault::NoAnswer => ErrorCode::TokenProviderFailed,
        TokenFault::Unusable => ErrorCode::InvalidArgument,
        TokenFault::Stale | TokenFault::Refused => ErrorCode::TokenRejected,
        TokenFault::Ended => ErrorCode::TokenExpired,
    }
}

/// What can be done while something is waited for.
pub(super) fn of_wait(what: Condition) -> Vec<Remedy> {
    match what {
        Condition::ProofFailing => vec![Remedy::AllowMediaServer],
        _ => Vec::new(),
    }
}

/// What can be done about a lease.
pub(super) fn of_lease(what: Condition) -> Vec<Remedy> {
    match what {
        Condition::Draining => vec![Remedy::FinishSoon],
        _ => Vec::new(),
    }
}

/// What can be done about a code. Empty where the client mends it by itself.
pub(super) fn of_code(code: &ErrorCode) -> Vec<Remedy> {
    match code {
        ErrorCode::NetworkUnreachable | ErrorCode::ConnectTimeout => {
            vec![Remedy::CheckNetwork, Remedy::CheckAddress]
        }
        ErrorCode::WebsocketBlocked => vec![Remedy::AllowWebsockets],
        ErrorCode::TokenProviderFailed => vec![Remedy::MendTokenProvider],
        ErrorCode::TokenRejected => vec![Remedy::SignIn],
        ErrorCode::TokenExpired => vec![Remedy::FetchFreshToken],
        ErrorCode::Forbidden | ErrorCode::Misconfigured | ErrorCode::QuotaExceeded => {
            vec![Remedy::AskOperator]
        }
        ErrorCode::ClientTooOld | ErrorCode::Other(_) => vec![Remedy::UpdateSdk],
        ErrorCode::ProtocolError => vec![Remedy::CheckAddress, Remedy::AskOperator],
        ErrorCode::MessageTooLarge => vec![Remedy::SendLess],
        ErrorCode::QueueFull => vec![Remedy::AskLess],
        ErrorCode::RequestTimeout | ErrorCode::CapacityUnavailable => vec![Remedy::TryLater],
        ErrorCode::StartFailed => vec![Remedy::TryLater, Remedy::AskOperator],
        ErrorCode::StartTimeout => vec![Remedy::AcquireAgain, Remedy::LongerDeadline],
        ErrorCode::EndpointUnreachable => vec![Remedy::AllowMediaServer, Remedy::AcquireAgain],
        ErrorCode::LeaseLost | ErrorCode::Cancelled => vec![Remedy::AcquireAgain],
        ErrorCode::Closed => vec![Remedy::NewClient],
        ErrorCode::InvalidArgument => vec![Remedy::MendArgument],
        ErrorCode::ConnectionLost
        | ErrorCode::Throttled
        | ErrorCode::ServiceUnavailable
        | ErrorCode::GatewayError => Vec::new(),
    }
}
