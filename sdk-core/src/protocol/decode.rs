//! The structures of server messages, read from their fields.

use super::fields::{Fields, FromFields};
use super::server::{
    Ack, Bye, Draining, Endpoint, EndpointPush, ErrorPush, GatewayError, LeaseReport, Lost, Moved,
    ProgressPush, Ready, Renewed, RequestReport, Welcome,
};
use super::status::{CapReport, InstanceReport, OperatorStatus, PauseReport, Status};

impl FromFields for Endpoint {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            websocket_url: fields.required("websocket_url"),
            http_url: fields.required("http_url"),
            app: fields.required("app"),
            stream_token: fields.optional("stream_token"),
            stream_token_expires_in_ms: fields.optional("stream_token_expires_in_ms"),
        }
    }
}

impl FromFields for Welcome {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            id: fields.required("id"),
            session: fields.required("session"),
            token_expires_in_ms: fields.required("token_expires_in_ms"),
            heartbeat_ms: fields.required("heartbeat_ms"),
            max_age_ms: fields.required("max_age_ms"),
            reconnect_spread_ms: fields.required("reconnect_spread_ms"),
            leases: fields.optional("leases").unwrap_or_default(),
            requests: fields.optional("requests").unwrap_or_default(),
        }
    }
}

impl FromFields for LeaseReport {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            id: fields.required("id"),
            state: fields.required("state"),
            rev: fields.optional("rev"),
            endpoint: fields.optional("endpoint"),
            deadline_ms: fields.optional("deadline_ms"),
            reason: fields.optional("reason"),
        }
    }
}

impl FromFields for RequestReport {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            id: fields.required("id"),
            state: fields.required("state"),
            rev: fields.optional("rev"),
            phase: fields.optional("phase"),
            endpoint: fields.optional("endpoint"),
            code: fields.optional("code"),
        }
    }
}

impl FromFields for Ack {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            id: fields.required("id"),
        }
    }
}

impl FromFields for ProgressPush {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            id: fields.required("id"),
            rev: fields.required("rev"),
            phase: fields.required("phase"),
            elapsed_ms: fields.required("elapsed_ms"),
            eta_p50_ms: fields.required("eta_p50_ms"),
            eta_p90_ms: fields.required("eta_p90_ms"),
            overdue: fields.required("overdue"),
            note: fields.optional("note"),
        }
    }
}

impl FromFields for Ready {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            id: fields.required("id"),
            rev: fields.required("rev"),
            endpoint: fields.required("endpoint"),
            verify_spread_ms: fields.required("verify_spread_ms"),
        }
    }
}

impl FromFields for EndpointPush {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            id: fields.optional("id"),
            lease: fields.required("lease"),
            rev: fields.required("rev"),
            endpoint: fields.required("endpoint"),
        }
    }
}

impl FromFields for Draining {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            lease: fields.required("lease"),
            rev: fields.required("rev"),
            deadline_ms: fields.required("deadline_ms"),
        }
    }
}

impl FromFields for Moved {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            lease: fields.required("lease"),
            rev: fields.required("rev"),
            endpoint: fields.required("endpoint"),
        }
    }
}

impl FromFields for Lost {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            lease: fields.required("lease"),
            rev: fields.required("rev"),
            reason: fields.required("reason"),
        }
    }
}

impl FromFields for Renewed {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            id: fields.required("id"),
            expires_in_ms: fields.required("expires_in_ms"),
            reconnect_spread_ms: fields.required("reconnect_spread_ms"),
        }
    }
}

impl FromFields for ErrorPush {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            id: fields.optional("id"),
            code: fields.required("code"),
            message: fields.required("message"),
            retryable: fields.required("retryable"),
            retry_after_ms: fields.optional("retry_after_ms"),
            outcome: fields.required("outcome"),
        }
    }
}

impl FromFields for Bye {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            code: fields.required("code"),
            retry_after_ms: fields.optional("retry_after_ms"),
            reconnect: fields.required("reconnect"),
        }
    }
}

impl FromFields for GatewayError {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            message: fields.required("message"),
            connection_id: fields.optional("connectionId"),
            request_id: fields.optional("requestId"),
        }
    }
}

impl FromFields for Status {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            id: fields.required("id"),
            fleet: fields.required("fleet"),
            ready: fields.required("ready"),
            phase: fields.optional("phase"),
            eta_p50_ms: fields.required("eta_p50_ms"),
            eta_p90_ms: fields.required("eta_p90_ms"),
            overdue: fields.required("overdue"),
            note: fields.optional("note"),
            code: fields.optional("code"),
            retry_after_ms: fields.optional("retry_after_ms"),
            operator: fields.optional("operator").map(Box::new),
        }
    }
}

impl FromFields for OperatorStatus {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            mode: fields.required("mode"),
            mode_ends_in_ms: fields.optional("mode_ends_in_ms"),
            instances: fields.required("instances"),
            leases: fields.required("leases"),
            waiters: fields.required("waiters"),
            caps: fields.required("caps"),
            pause: fields.optional("pause"),
            alarms: fields.required("alarms"),
        }
    }
}

impl FromFields for InstanceReport {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            id: fields.required("id"),
            state: fields.required("state"),
            ready_for_ms: fields.optional("ready_for_ms"),
            streams: fields.optional("streams"),
            viewers: fields.optional("viewers"),
            read_ago_ms: fields.optional("read_ago_ms"),
        }
    }
}

impl FromFields for CapReport {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.required("name"),
            spent: fields.required("spent"),
            limit: fields.required("limit"),
            window_ms: fields.required("window_ms"),
        }
    }
}

impl FromFields for PauseReport {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            code: fields.required("code"),
            cause: fields.required("cause"),
            began_ago_ms: fields.required("began_ago_ms"),
            ends_in_ms: fields.required("ends_in_ms"),
        }
    }
}
