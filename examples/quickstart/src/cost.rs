//! What a server that sleeps costs against one that never does.

use std::time::Duration;

/// List prices of us-east-1 in US dollars, November 2026. They differ by region and change: put
/// yours here before you rely on the sum.
pub(crate) struct Prices {
    /// A c6i.xlarge (4 vCPU, 8 GB), Linux on demand, an hour.
    pub(crate) instance_hour: f64,
    /// A gp3 volume, a GB and month.
    pub(crate) disk_gb_month: f64,
    /// A public IPv4 address, an hour, in use or kept.
    pub(crate) address_hour: f64,
    /// What the control plane stays under in a month: functions, table, gateway.
    pub(crate) control_month: f64,
}

pub(crate) const PRICES: Prices = Prices {
    instance_hour: 0.17,
    disk_gb_month: 0.08,
    address_hour: 0.005,
    control_month: 0.25,
};

/// The disk of the media server's image.
const DISK_GB: f64 = 20.0;
/// 365.25 days of 24 hours in twelve parts.
const HOURS_A_MONTH: f64 = 730.5;
/// EC2 bills by the second, but at least a minute a start.
const LEAST_BILLED: Duration = Duration::from_mins(1);

/// What the extrapolation assumes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    /// Hours a day in which somebody streams or watches.
    pub(crate) hours_a_day: f64,
    /// Sessions a day: each starts a server and ends in a drain.
    pub(crate) sessions_a_day: f64,
    /// Billed time of a session that is no use: boot, grace, settle and stop.
    pub(crate) overhead: Duration,
}

impl Use {
    /// Two hours in one session. Its overhead, with the settings of production: a minute to boot,
    /// 5 min of grace, a settle of 65 s, and the last looks.
    pub(crate) const EVENING: Self = Self {
        hours_a_day: 2.0,
        sessions_a_day: 1.0,
        overhead: Duration::from_mins(8),
    };
}

/// Two bills for a month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Month {
    pub(crate) awake_hours: f64,
    pub(crate) on_demand: f64,
    pub(crate) always_on: f64,
}

impl Month {
    /// The share that is saved, in percent.
    pub(crate) fn saved_percent(&self) -> f64 {
        100.0 * (1.0 - self.on_demand / self.always_on)
    }
}

/// What one run of this length would have cost on EC2: the instance and its address.
pub(crate) fn of_run(up: Duration) -> f64 {
    let hours = billed(up).as_secs_f64() / 3_600.0;
    hours * (PRICES.instance_hour + PRICES.address_hour)
}

/// What EC2 bills of a run of this length.
pub(crate) fn billed(up: Duration) -> Duration {
    up.max(LEAST_BILLED)
}

/// The month that such a use extrapolates to. Traffic is left out: it is the same in both.
pub(crate) fn of_month(usage: Use) -> Month {
    let days = HOURS_A_MONTH / 24.0;
    let overhead_hours = usage.overhead.as_secs_f64() / 3_600.0;
    let awake_hours = days * (usage.hours_a_day + usage.sessions_a_day * overhead_hours);
    // Both keep the disk, and the address so that its name stays right.
    let kept = DISK_GB * PRICES.disk_gb_month + HOURS_A_MONTH * PRICES.address_hour;
    Month {
        awake_hours,
        on_demand: awake_hours * PRICES.instance_hour + kept + PRICES.control_month,
        always_on: HOURS_A_MONTH * PRICES.instance_hour + kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cents(dollars: f64) -> i64 {
        (dollars * 100.0).round() as i64
    }

    #[test]
    fn a_month_of_two_hours_a_day_is_computed_from_its_parts() {
        let month = of_month(Use::EVENING);
        // 30.4375 days × (2 h + 8 min) = 64.93 h × $0.17 = $11.04, + $1.60 + $3.65 + $0.25.
        assert_eq!(cents(month.on_demand), 1_654);
        // 730.5 h × $0.17 = $124.19, + $1.60 + $3.65.
        assert_eq!(cents(month.always_on), 12_944);
        assert_eq!(month.saved_percent().round() as i64, 87);
    }

    #[test]
    fn round_the_clock_is_no_cheaper_than_always_on() {
        let month = of_month(Use {
            hours_a_day: 24.0,
            sessions_a_day: 0.0,
            overhead: Duration::ZERO,
        });
        assert_eq!(cents(month.on_demand - month.always_on), 25);
        assert!(month.saved_percent() < 0.0);
    }

    #[test]
    fn a_short_run_is_billed_as_a_minute() {
        assert_eq!(of_run(Duration::from_secs(5)), of_run(LEAST_BILLED));
        assert!(of_run(Duration::from_secs(61)) > of_run(LEAST_BILLED));
        assert_eq!(cents(of_run(Duration::from_hours(10))), 175);
    }
}
