//! Whether an entry is as it must be.

use serde_json::{Map, Value};

/// Whether an entry has every field as it is wanted; others may be anything. `known` looks up what
/// `$name.field` stands for.
pub(crate) fn fits(
    wanted: &Map<String, Value>,
    entry: &Value,
    known: &impl Fn(&str) -> Value,
) -> bool {
    let field = |(name, wanted): (&String, &Value)| value_fits(wanted, &entry[name], known);
    wanted.iter().all(field)
}

/// Whether one value is as it must be.
pub(crate) fn value_fits(wanted: &Value, value: &Value, known: &impl Fn(&str) -> Value) -> bool {
    match wanted {
        Value::String(text) if text == "*" => !value.is_null(),
        Value::String(text) if text.starts_with('$') => *value == known(&text[1..]),
        Value::Number(number) => value.as_f64() == number.as_f64(),
        Value::Object(fields) => match fields.iter().next() {
            Some((word, wanted)) if fields.len() == 1 => match word.as_str() {
                "not" => !value.is_null() && !value_fits(wanted, value, known),
                "one_of" => {
                    let wanted = wanted.as_array().expect("`one_of` has a list");
                    wanted.iter().any(|wanted| value_fits(wanted, value, known))
                }
                "at_least" => value.as_f64() >= wanted.as_f64() && value.is_number(),
                "contains" => {
                    let part = wanted.as_str().expect("`contains` has a text");
                    value.as_str().is_some_and(|text| text.contains(part))
                }
                _ => fits(fields, value, known),
            },
            _ => fits(fields, value, known),
        },
        wanted => wanted == value,
    }
}
