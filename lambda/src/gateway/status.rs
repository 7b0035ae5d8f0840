//! `status`: what a fleet does, for every token that names it, and more of it for its operator.
//! It only reads, and it tells of no other client.

use std::collections::BTreeSet;
use std::time::Duration;

use wakecast::protocol::{
    CapReport, InstanceReport, OperatorStatus, OverrideMode, PauseReport, ServerMessage, Status,
    StatusRequest,
};

use super::Gateway;
use super::call::Caller;
use super::reply::Refusal;
use crate::config::FleetConfig;
use crate::leases;
use crate::lifecycle::{Forecast, Stand};
use crate::model::{Counters, Day, FleetRecords, Instance, Row, RowState, Scope, Timestamp};
use crate::store::keys;

/// Most instances in an answer: a fleet runs few, and its stopped ones are not many more.
const MOST_INSTANCES: usize = 32;
/// Most alarms in an answer; more than a few say the same.
const MOST_ALARMS: usize = 16;
/// Longest alarm in bytes: with [`MOST_ALARMS`] of them an answer stays under 32 KB.
const LONGEST_ALARM: usize = 256;
/// Longest cause of a pause in bytes: EC2's messages end before that.
const LONGEST_CAUSE: usize = 512;

impl Gateway {
    /// One read for everybody; for an operator the rows and the caps too.
    pub(super) async fn status(
        &self,
        caller: &Caller,
        request: StatusRequest,
    ) -> Result<ServerMessage, Refusal> {
        let (fleet, config) = self.fleet(caller, request.fleet.as_deref())?;
        let store = &self.ports.store;
        let unread = |error| Refusal::from(error).rejected();
        let records = store.fleet(&fleet).await.map_err(unread)?;
        let now = self.ports.clock.now();
        let is_operator = caller.connection.grants.scopes.contains(&Scope::Admin);
        let operator = if is_operator {
            let rows = store.rows(&fleet, now).await.map_err(unread)?;
            let nobody = BTreeSet::new();
            let spent = store.counters(&fleet, &nobody, now).await.map_err(unread)?;
            Some(Box::new(operator(&records, &rows, &spent, config, now)))
        } else {
            None
        };
        let Forecast {
            ready,
            phase,
            eta,
            restarted,
            refusal,
        } = Forecast::of(&records, config, now);
        Ok(ServerMessage::Status(Status {
            id: request.id,
            fleet: fleet.fleet,
            ready,
            phase,
            eta_p50_ms: millis(eta.p50),
            eta_p90_ms: millis(eta.p90),
            overdue: eta.overdue,
            note: restarted.then(|| "restarting".to_owned()),
            retry_after_ms: refusal.as_ref().map(|pause| millis(now.until(pause.until))),
            code: refusal.map(|pause| pause.code),
            operator,
        }))
    }
}

/// What an operator sees.
fn operator(
    records: &FleetRecords,
    rows: &[Row],
    spent: &Counters,
    config: &FleetConfig,
    now: Timestamp,
) -> OperatorStatus {
    let timing = &config.timing;
    let held = |row: &&Row| {
        matches!(row.state, RowState::Held { .. }) && !leases::dormant(row, timing, now)
    };
    let waiting = |row: &&Row| leases::grantable(row, timing, now);
    let pause = records.state.pause.as_ref().map(|pause| PauseReport {
        code: pause.code.clone(),
        cause: cut(&pause.cause, LONGEST_CAUSE),
        began_ago_ms: millis(now.since(pause.since)),
        ends_in_ms: millis(now.until(pause.until)),
    });
    let alarms = records.state.raised.iter().take(MOST_ALARMS);
    OperatorStatus {
        // Demand decides: this version of the server takes no override.
        mode: OverrideMode::Auto,
        mode_ends_in_ms: None,
        instances: instances(records, now),
        leases: count(rows.iter().filter(held)),
        waiters: count(rows.iter().filter(waiting)),
        caps: caps(records, spent, config, now),
        pause,
        alarms: alarms
            .map(|alarm| cut(&alarm.to_string(), LONGEST_ALARM))
            .collect(),
    }
}

/// Those that live first.
fn instances(records: &FleetRecords, now: Timestamp) -> Vec<InstanceReport> {
    let mut known = records.instances.values().collect::<Vec<_>>();
    known.sort_by_key(|instance| matches!(Stand::of(instance), Stand::Stopped | Stand::Gone));
    let known = known.into_iter().take(MOST_INSTANCES);
    known.map(|instance| report(instance, now)).collect()
}

fn report(instance: &Instance, now: Timestamp) -> InstanceReport {
    let stand = Stand::of(instance);
    let alive = !matches!(stand, Stand::Stopped | Stand::Gone | Stand::Absent);
    let boot = instance.boot.as_ref().filter(|_| alive);
    let sample = boot.and_then(|boot| boot.sample.as_ref());
    InstanceReport {
        id: instance.id.as_str().to_owned(),
        state: stand.to_string(),
        ready_for_ms: boot
            .and_then(|boot| boot.ready_at)
            .map(|ready| millis(now.since(ready))),
        streams: sample.map(|sample| sample.streams),
        viewers: sample.map(|sample| sample.viewers),
        read_ago_ms: sample.map(|sample| millis(now.since(sample.at))),
    }
}

/// The caps, and the running time of the day in seconds where the operator has set a budget.
fn caps(
    records: &FleetRecords,
    spent: &Counters,
    config: &FleetConfig,
    now: Timestamp,
) -> Vec<CapReport> {
    let hourly = |name: &str, spent: u32, limit: u32| CapReport {
        name: name.to_owned(),
        spent: spent.into(),
        limit: limit.into(),
        window_ms: millis(keys::CAP_WINDOW),
    };
    let daily = |name: &str, ran: Duration, budget: Option<Duration>| {
        budget.map(|budget| CapReport {
            name: name.to_owned(),
            spent: ran.as_secs(),
            limit: budget.as_secs(),
            window_ms: millis(Duration::from_hours(24)),
        })
    };
    let own = records.state.ran.days.get(&Day::of(now));
    let own = own.copied().unwrap_or_default();
    let budget = config.budget;
    let hours = [
        daily("fleet_running_s", own, budget.fleet_per_day),
        daily("tenant_running_s", spent.tenant_ran, budget.tenant_per_day),
    ];
    let starts = [
        hourly("starts", spent.starts, config.caps.starts_per_hour),
        hourly("launches", spent.launches, config.caps.launches_per_hour),
    ];
    starts
        .into_iter()
        .chain(hours.into_iter().flatten())
        .collect()
}

fn count<'a>(rows: impl Iterator<Item = &'a Row>) -> u32 {
    u32::try_from(rows.count()).unwrap_or(u32::MAX)
}

/// Cuts a text from outside, and takes out what JSON writes in six bytes.
fn cut(text: &str, longest: usize) -> String {
    let mut end = longest.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let kept = text.get(..end).unwrap_or_default();
    kept.replace(char::is_control, " ")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
