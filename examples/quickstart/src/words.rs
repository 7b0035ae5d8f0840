//! How times, phases and waits read.

use std::time::Duration;

use wakecast::Phase;

use crate::journal::Wait;

/// `3.4 s`, right-aligned in six columns.
pub(crate) fn moment(at: Duration) -> String {
    format!("{:>4.1} s", at.as_secs_f64())
}

/// `3.4 s`, or `7 ms` below a tenth of a second.
pub(crate) fn took(time: Duration) -> String {
    if time < Duration::from_millis(100) {
        // Nothing that was measured reads as nothing.
        format!("{} ms", time.as_millis().max(1))
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// `3 people`, `1 person`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The phase as a person would say it.
pub(crate) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Requested => "asked",
        Phase::WaitingForCapacity => "no capacity",
        Phase::Launching => "launching",
        Phase::Booting => "booting",
        Phase::Warming => "warming",
        Phase::Verifying => "proving",
        Phase::Ready => "ready",
        _ => "waiting",
    }
}

/// How long it will still take: `about 6 s left, seldom over 9 s`. Empty while nobody knows.
pub(crate) fn eta(wait: &Wait) -> String {
    if wait.overdue {
        return "longer than usual".to_owned();
    }
    let (Some(half), Some(most)) = (wait.eta_p50, wait.eta_p90) else {
        return String::new();
    };
    let (half, most) = (whole_seconds(half), whole_seconds(most));
    match (half, most) {
        (_, 0) => "any moment now".to_owned(),
        (0, most) => format!("any moment, seldom over {most} s"),
        (half, most) if most > half => format!("about {half} s left, seldom over {most} s"),
        (half, _) => format!("about {half} s left"),
    }
}

/// The next whole second: a wait that is told too short annoys, one told too long does not.
fn whole_seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_columns() {
        assert_eq!(moment(Duration::from_millis(3_449)), " 3.4 s");
        assert_eq!(moment(Duration::from_millis(31_960)), "32.0 s");
        assert_eq!(took(Duration::from_micros(300)), "1 ms");
        assert_eq!(took(Duration::from_millis(99)), "99 ms");
        assert_eq!(took(Duration::from_millis(1_250)), "1.2 s");
    }

    #[test]
    fn a_wait_is_told_in_both_percentiles_and_overdue_replaces_them() {
        let told = |p50, p90, overdue| {
            eta(&Wait {
                phase: Phase::Booting,
                eta_p50: p50,
                eta_p90: p90,
                fraction: 0.5,
                overdue,
            })
        };
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(
            told(ms(5_100), ms(8_900), false),
            "about 6 s left, seldom over 9 s"
        );
        assert_eq!(told(ms(5_100), ms(5_900), false), "about 6 s left");
        assert_eq!(told(ms(0), ms(1_200), false), "any moment, seldom over 2 s");
        assert_eq!(told(ms(0), ms(0), false), "any moment now");
        assert_eq!(told(ms(0), ms(0), true), "longer than usual");
        assert_eq!(told(None, None, false), "");
    }
}
