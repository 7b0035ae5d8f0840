//! How long instances have run: counted once, whatever crashes, and held against the day's budget.
//!
//! The state says up to when everything is counted, and changes in the one commit that adds the time
//! to the tenant's day: a commit that is refused, sent twice or decided again adds nothing. The
//! count may lag by a minute and never leads.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Alarm;
use super::pass::Pass;
use crate::model::{Day, FleetRecords, Instance, InstanceStatus, Timestamp};

/// Time is counted this often while something runs, and at its end: a budget needs no finer grain,
/// and each count is a write.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// Days that are remembered: a pass around midnight needs two.
const DAYS: usize = 2;

/// Counts what has run since the last count.
pub(super) fn step(pass: &mut Pass<'_>) {
    let ran = count(pass.snapshot.records);
    let runs = pass.instances.values().filter(|known| is_up(known)).count();
    if ran > 0 {
        match pass.state.ran.until {
            Some(until) if runs == 0 || pass.now.since(until) >= COUNT_EVERY => {
                add(pass, until, ran);
            }
            Some(_) => {}
            None => pass.state.ran.until = Some(pass.now),
        }
    }
    if runs == 0 {
        pass.state.ran.until = None;
    } else {
        pass.state.ran.until.get_or_insert(pass.now);
    }
    report(pass);
}

/// Says which budget of today is spent, if one is.
pub(super) fn spent(pass: &Pass<'_>) -> Option<&'static str> {
    let budget = pass.config.budget;
    let own = pass.state.ran.days.get(&Day::of(pass.now));
    let own = own.copied().unwrap_or_default();
    let tenant = pass.snapshot.counters.tenant_ran;
    if budget.fleet_per_day.is_some_and(|budget| own >= budget) {
        Some("the fleet's running hours of today are spent")
    } else if budget.tenant_per_day.is_some_and(|budget| tenant >= budget) {
        Some("the tenant's running hours of today are spent")
    } else {
        None
    }
}

/// Tells the operator once that a budget is spent which somebody uses or asks for.
fn report(pass: &mut Pass<'_>) {
    let Some(cause) = spent(pass) else { return };
    let alarm = Alarm::BudgetSpent {
        cause: cause.to_owned(),
    };
    let known = pass.snapshot.records.state.raised.contains(&alarm);
    if known || !pass.live().is_empty() || pass.wanted() || pass.refused_for_budget {
        pass.alarm(alarm);
    }
}

/// Adds the time from `until` to now to each day's count; a clock that was set back adds nothing.
fn add(pass: &mut Pass<'_>, until: Timestamp, instances: u32) {
    if pass.now <= until {
        return;
    }
    for (day, time) in per_day(until, pass.now) {
        let time = time.saturating_mul(instances);
        let own = pass.state.ran.days.entry(day).or_default();
        *own = own.saturating_add(time);
        let tenant = pass.ran.entry(day).or_default();
        *tenant = tenant.saturating_add(time);
    }
    while pass.state.ran.days.len() > DAYS {
        pass.state.ran.days.pop_first();
    }
    pass.state.ran.until = Some(pass.now);
}

/// Splits a time at midnight. Older days than yesterday bound nothing any more.
fn per_day(from: Timestamp, to: Timestamp) -> BTreeMap<Day, Duration> {
    let today = Day::of(to);
    let yesterday = Day(today.0.saturating_sub(1));
    let mut days = BTreeMap::new();
    for day in [yesterday, today] {
        let time = from.max(day.start()).until(to.min(day.end()));
        if !time.is_zero() {
            days.insert(day, time);
        }
    }
    days
}

fn count(records: &FleetRecords) -> u32 {
    let up = records.instances.values().filter(|known| is_up(known));
    u32::try_from(up.count()).unwrap_or(u32::MAX)
}

/// What EC2 has not shown as down counts as running.
const fn is_up(known: &Instance) -> bool {
    !matches!(known.status, InstanceStatus::Stopped | InstanceStatus::Gone)
}
