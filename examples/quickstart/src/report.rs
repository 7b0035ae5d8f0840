//! What is printed at the end: the timeline, the claims, and the bill.

use std::time::Duration;

use crate::claims::Claim;
use crate::cost::{self, PRICES, Use};
use crate::paint::{Paint, Tone};
use crate::timeline::Stretch;
use crate::words::{moment, took};

/// Columns of a claim, so that what was measured stands below each other.
const CLAIM: usize = 47;
/// Columns of the timeline without its picture, which gets what is left, within these bounds.
const TABLE: usize = 60;
const PICTURE: std::ops::RangeInclusive<usize> = 12..=32;

/// The measured times, one stretch a line.
pub(crate) fn timeline(stretches: &[Stretch], width: usize, paint: Paint) -> Vec<String> {
    if stretches.is_empty() {
        return Vec::new();
    }
    let mut lines = heading("Measured, from the publisher's request on", paint);
    let columns = width.saturating_sub(TABLE).min(*PICTURE.end());
    let columns = Some(columns).filter(|columns| paint.signs && PICTURE.contains(columns));
    let whole = stretches.last().map_or(Duration::ZERO, |last| last.at);
    for stretch in stretches {
        let lasted = if stretch.took.is_zero() {
            String::new()
        } else {
            took(stretch.took)
        };
        let mut line = format!(
            "  {}  {:<11}{lasted:>6}  ",
            paint.tone(Tone::Quiet, &moment(stretch.at)),
            stretch.name,
        );
        if let Some(columns) = columns {
            line += &picture(stretch, whole, columns, paint);
            line += "  ";
        }
        line += &paint.tone(Tone::Quiet, stretch.what);
        lines.push(line);
    }
    lines
}

/// Every claim with what was measured; what failed says what was seen instead.
pub(crate) fn claims(claims: &[Claim], paint: Paint) -> Vec<String> {
    let failed = claims.iter().filter(|claim| claim.verdict.is_err()).count();
    let title = match failed {
        0 => format!(
            "{} claims, each checked against what was recorded",
            claims.len()
        ),
        failed => format!("{failed} of {} claims failed", claims.len()),
    };
    let mut lines = heading(&title, paint);
    for claim in claims {
        let mark = paint.verdict(claim.verdict.is_ok());
        match &claim.verdict {
            Ok(seen) => lines.push(format!(
                "  {mark} {:<CLAIM$}{}",
                claim.text,
                paint.tone(Tone::Quiet, seen)
            )),
            Err(seen) => {
                lines.push(format!("  {mark} {}", paint.tone(Tone::Bad, claim.text)));
                lines.push(format!("    {seen}"));
            }
        }
    }
    lines
}

/// What this run and a month like it would have cost on EC2. `up` is how long the instance ran.
pub(crate) fn bill(up: Duration, paint: Paint) -> Vec<String> {
    let usage = Use::EVENING;
    let month = cost::of_month(usage);
    let mut lines = heading(
        "Cost on AWS: an extrapolation from list prices, nothing was billed",
        paint,
    );
    let rows = [
        (
            "this run",
            format!("${:.4}", cost::of_run(up)),
            format!(
                "{} of a server, billed as {} s",
                took(up),
                cost::billed(up).as_secs()
            ),
        ),
        (
            "a month",
            dollars(month.on_demand),
            format!("with one session of {} h a day", usage.hours_a_day),
        ),
        (
            "always on",
            dollars(month.always_on),
            format!("so {:.0} % are saved", month.saved_percent()),
        ),
    ];
    for (name, amount, remark) in rows {
        lines.push(format!(
            "  {name:<11}{amount:>8}  {}",
            paint.tone(Tone::Quiet, &remark)
        ));
    }
    let assumptions = [
        format!(
            "Assumes c6i.xlarge ${:.2}/h, 20 GB gp3 at ${:.2}/GB-month, IPv4 ${:.3}/h, and",
            PRICES.instance_hour, PRICES.disk_gb_month, PRICES.address_hour
        ),
        format!(
            "${:.2} a month of control plane; {} min a day of boot, grace and drain; in",
            PRICES.control_month,
            usage.overhead.as_secs() / 60
        ),
        "us-east-1, November 2026. Traffic is left out: it is the same in both.".to_owned(),
    ];
    lines.extend(assumptions.map(|line| format!("  {}", paint.tone(Tone::Quiet, &line))));
    lines
}

fn heading(title: &str, paint: Paint) -> Vec<String> {
    vec![
        String::new(),
        format!("  {}", paint.tone(Tone::Title, title)),
    ]
}

/// Where a stretch lies in the whole run.
fn picture(stretch: &Stretch, whole: Duration, columns: usize, paint: Paint) -> String {
    let column = |at: Duration| {
        let share = at.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE);
        ((share * columns as f64).round() as usize).min(columns)
    };
    let from = column(stretch.at).min(columns - 1);
    let to = column(stretch.at + stretch.took).max(from + 1);
    let tone = match stretch.name {
        "ready" | "live" => Tone::Good,
        "stopped" => Tone::Quiet,
        _ => Tone::Busy,
    };
    let line = if stretch.took.is_zero() { "·" } else { "━" };
    " ".repeat(from) + &paint.tone(tone, &line.repeat(to - from)) + &" ".repeat(columns - to)
}

fn dollars(amount: f64) -> String {
    format!("${amount:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(name: &'static str, at: u64, took: u64) -> Stretch {
        Stretch {
            name,
            what: "what",
            at: Duration::from_secs(at),
            took: Duration::from_secs(took),
        }
    }

    #[test]
    fn the_timeline_is_a_plain_table_or_a_picture() {
        let stretches = [stretch("asked", 0, 10), stretch("stopped", 10, 0)];
        let plain = timeline(&stretches, 100, Paint::PLAIN);
        assert_eq!(plain[2], "   0.0 s  asked      10.0 s  what");
        assert_eq!(plain[3], "  10.0 s  stopped            what");
        let signs = Paint {
            colours: false,
            signs: true,
        };
        let drawn = timeline(&stretches, 100, signs);
        assert!(drawn[2].contains(&"━".repeat(32)), "{}", drawn[2]);
        assert_eq!(timeline(&stretches, 70, signs)[2], plain[2]);
    }

    #[test]
    fn a_failed_claim_says_what_was_seen_instead() {
        let claim = |verdict| Claim {
            text: "It holds",
            verdict,
        };
        let all = [claim(Ok("7 s".into())), claim(Err("it did not".into()))];
        let lines = claims(&all, Paint::PLAIN);
        assert_eq!(lines[1], "  1 of 2 claims failed");
        assert!(lines[2].starts_with("  ok     It holds ") && lines[2].ends_with("  7 s"));
        assert_eq!(lines[3..], ["  FAILED It holds", "    it did not"]);
    }

    #[test]
    fn the_bill_says_that_it_is_an_extrapolation_and_from_what() {
        let text = bill(Duration::from_secs(35), Paint::PLAIN).join("\n");
        for word in [
            "extrapolation",
            "us-east-1",
            "$0.17/h",
            "$129.44",
            "87 % are saved",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
        assert!(text.is_ascii());
    }
}
