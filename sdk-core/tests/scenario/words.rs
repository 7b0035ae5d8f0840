//! Times, and when what was seen is what was expected.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Matches anything that is there.
const ANYTHING: &str = "*";

/// A length of time: a number of milliseconds, or a text such as `25s` or `1h 35min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        read_time(&value).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{value} is no time: write milliseconds (250) or a text of ms, s, min, h, d (\"1h 35min\")"
            ))
        })
    }
}

/// Reads a time.
pub fn read_time(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.split_whitespace().try_fold(None, |sum, part| {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = part.split_at(digits);
            let unit = match unit {
                "ms" => 1,
                "s" => 1_000,
                "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return None,
            };
            let time = number.parse::<u64>().ok()?.checked_mul(unit)?;
            Some(Some(sum.unwrap_or(0) + time))
        })?,
        _ => None,
    }
}

/// How what was seen differs from what was expected, at the first place; `None` if it fits.
pub fn difference(expected: &Value, seen: &Value, place: &str) -> Option<String> {
    let differs = || Some(format!("`{place}` is {seen}, expected {expected}"));
    match expected {
        Value::Null if seen.is_null() => None,
        Value::String(text) if text == ANYTHING && !seen.is_null() => None,
        Value::Object(fields) => match condition(fields) {
            Some((word, operand)) if fits(word, operand, seen) => None,
            Some(_) => differs(),
            None if seen.is_object() => fields.iter().find_map(|(name, expected)| {
                let inner = match place {
                    "" => name.clone(),
                    _ => format!("{place}.{name}"),
                };
                difference(expected, seen.get(name).unwrap_or(&Value::Null), &inner)
            }),
            None => differs(),
        },
        Value::Array(items) => match seen.as_array() {
            Some(seen) if seen.len() == items.len() => {
                let mut pairs = items.iter().zip(seen).enumerate();
                pairs.find_map(|(at, (expected, seen))| {
                    difference(expected, seen, &format!("{place}[{at}]"))
                })
            }
            _ => differs(),
        },
        // Times are numbers on the wire, and texts where people write them.
        Value::String(_) if seen.is_number() => {
            if read_time(expected).is_some() && read_time(expected) == seen.as_u64() {
                None
            } else {
                differs()
            }
        }
        Value::Number(_) if seen.is_number() => {
            let close = (expected.as_f64()? - seen.as_f64()?).abs() < 1e-6;
            if close { None } else { differs() }
        }
        _ if expected == seen => None,
        _ => differs(),
    }
}

/// The words of a condition: an object of one of them is no object to compare with.
const CONDITIONS: [&str; 5] = ["between", "contains", "not", "one_of", "at_least"];

fn condition(fields: &serde_json::Map<String, Value>) -> Option<(&str, &Value)> {
    let (word, operand) = fields.iter().next()?;
    (fields.len() == 1 && CONDITIONS.contains(&word.as_str())).then_some((word, operand))
}

fn fits(word: &str, operand: &Value, seen: &Value) -> bool {
    let same = |value: &Value| difference(value, seen, "").is_none();
    match word {
        "between" => match (range(operand), seen.as_f64()) {
            (Some((from, to)), Some(seen)) => from <= seen && seen <= to,
            _ => false,
        },
        "at_least" => match (number(operand), seen.as_f64()) {
            (Some(least), Some(seen)) => seen >= least,
            _ => false,
        },
        "contains" => match (operand.as_str(), seen.as_str()) {
            (Some(part), Some(text)) => text.contains(part),
            _ => false,
        },
        "not" => !seen.is_null() && !same(operand),
        _ => operand
            .as_array()
            .is_some_and(|choices| choices.iter().any(same)),
    }
}

/// Checks the operands of the conditions in an expectation, however deep.
pub fn check_conditions(expected: &Value) -> Result<(), String> {
    match expected {
        Value::Object(fields) => {
            let wrong = match condition(fields) {
                Some(("between", operand)) if range(operand).is_none() => {
                    Some("`between` wants two numbers or times, the lower first")
                }
                Some(("at_least", operand)) if number(operand).is_none() => {
                    Some("`at_least` wants a number or a time")
                }
                Some(("contains", operand)) if !operand.is_string() => {
                    Some("`contains` wants a text")
                }
                Some(("one_of", operand)) if !operand.is_array() => Some("`one_of` wants a list"),
                _ => None,
            };
            match wrong {
                Some(wrong) => Err(format!("{wrong}: {expected}")),
                None => fields.values().try_for_each(check_conditions),
            }
        }
        Value::Array(items) => items.iter().try_for_each(check_conditions),
        _ => Ok(()),
    }
}

/// The values that an expectation names for a field, conditions looked into.
pub fn named(expected: &Value) -> Vec<&str> {
    match expected {
        Value::String(text) if text == ANYTHING => Vec::new(),
        Value::String(text) => vec![text],
        Value::Object(fields) => match condition(fields) {
            Some(("not" | "one_of", operand)) => named(operand),
            _ => Vec::new(),
        },
        Value::Array(items) => items.iter().flat_map(named).collect(),
        _ => Vec::new(),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        _ => read_time(value).map(|millis| millis as f64),
    }
}

fn range(value: &Value) -> Option<(f64, f64)> {
    match value.as_array()?.as_slice() {
        [from, to] => Some((number(from)?, number(to)?)).filter(|(from, to)| from <= to),
        _ => None,
    }
}
