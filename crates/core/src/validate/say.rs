//! What is told about each kind of fault: what is wrong, by how much, and what to do.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Fault;
use super::nearest::nearest;
use super::schema::{Fields, Form, List, Number, Object, Shape, Text};
use crate::failure::Kind;
use crate::wire::json::{Str, Type};

/// Longest value shown, in characters.
const SHOWN_MAX: usize = 40;
/// When the lists of values were last compared with the vendor's.
const AS_OF: &str = "2026-11";

/// Whether a number as it is written keeps to its bounds.
pub(super) fn within(rule: &Number, raw: &str) -> bool {
    match *rule {
        Number::Integer { min, max } => match raw.parse::<i64>() {
            Ok(value) => (min..=max).contains(&value),
            Err(_) => whole(raw).is_some_and(|value| value >= min as f64 && value <= max as f64),
        },
        Number::Decimal { min, max } => {
            raw.parse::<f64>().is_ok_and(|value| value >= min && value <= max)
        }
    }
}

/// `2.0` and `1e3` are whole numbers too.
fn whole(raw: &str) -> Option<f64> {
    let value = raw.parse::<f64>().ok()?;
    (value.abs() < 9.0e18 && value % 1.0 == 0.0).then_some(value)
}

fn fault(kind: Kind, openai_code: &'static str, param: String, message: String) -> Fault {
    Fault { kind, openai_code: Some(openai_code), param: Some(param), message, offset: 0 }
}

pub(super) fn mistyped(path: String, shape: &Shape, found: Type, raw: &str) -> Fault {
    let expected = describe(shape);
    let is = found.with_article();
    let inside = raw.trim_matches('"');
    let fix = match found {
        Type::String if shape.number.is_some() && inside.parse::<f64>().is_ok() => {
            "Remove the quotes.".to_string()
        }
        Type::String if shape.boolean && matches!(inside, "true" | "false") => {
            "Remove the quotes.".to_string()
        }
        Type::Null => format!("Send {expected}, or leave the field out if it is optional."),
        Type::Bool | Type::Number | Type::String | Type::Array | Type::Object => {
            format!("Send {expected}.")
        }
    };
    let message = format!("Invalid type for '{path}': it must be {expected}, but is {is}. {fix}");
    fault(Kind::InvalidValue, "invalid_type", path, message)
}

pub(super) fn number(path: String, rule: &Number, raw: &str) -> Fault {
    let is: f64 = raw.parse().unwrap_or(f64::NAN);
    let shown = shorten(raw);
    let (min, max, above, below) = match *rule {
        Number::Integer { min, max } => {
            if whole(raw).is_none() && is.abs() < 9.0e18 {
                let message = format!(
                    "Invalid type for '{path}': it must be an integer, but is {shown}. Round it."
                );
                return fault(Kind::InvalidValue, "invalid_type", path, message);
            }
            (min as f64, max as f64, "integer_above_max_value", "integer_below_min_value")
        }
        Number::Decimal { min, max } => {
            (min, max, "decimal_above_max_value", "decimal_below_min_value")
        }
    };
    let range = range(rule).unwrap_or_else(|| "a number that fits in 64 bits".to_string());
    let (code, side) = if is > max {
        (above, format!("above the maximum of {max}"))
    } else {
        (below, format!("below the minimum of {min}"))
    };
    let message = format!("Invalid '{path}': {shown} is {side}. Send {range}.");
    fault(Kind::InvalidValue, code, path, message)
}

pub(super) fn length(path: String, rule: &Text, length: usize) -> Fault {
    if length > rule.max {
        let (max, over) = (rule.max, length - rule.max);
        let message = format!(
            "Invalid '{path}': the string has {length} characters, at most {max} are allowed. Shorten it by {over}."
        );
        return fault(Kind::InvalidValue, "string_above_max_length", path, message);
    }
    let message = if length == 0 {
        format!(
            "Invalid '{path}': the string is empty. Fill it in, or leave the field out if it is optional."
        )
    } else {
        format!(
            "Invalid '{path}': the string has {length} characters, at least {} are needed.",
            rule.min
        )
    };
    fault(Kind::InvalidValue, "string_below_min_length", path, message)
}

pub(super) fn key_length(path: String, max: usize, length: usize) -> Fault {
    let message = format!(
        "Invalid key '{path}': it has {length} characters, at most {max} are allowed. Shorten the key."
    );
    fault(Kind::InvalidValue, "string_above_max_length", path, message)
}

pub(super) fn pairs(path: String, max: usize, count: usize) -> Fault {
    let over = count - max;
    let message = format!(
        "Invalid '{path}': the object has {count} pairs, at most {max} are allowed. Remove {over}."
    );
    fault(Kind::InvalidValue, "object_above_max_properties", path, message)
}

pub(super) fn not_one_of(path: String, words: &[&'static str], found: Str<'_>) -> Fault {
    let text = found.text().unwrap_or(Cow::Borrowed(found.raw));
    let guess = nearest(&text, words.iter().copied())
        .map_or_else(String::new, |word| format!(" Did you mean '{word}'?"));
    let shown = shorten(&text);
    let known = listed(words);
    let message = format!(
        "Invalid value for '{path}': '{shown}' is not one of {known} (as of {AS_OF}; level `lenient` lets newer values \
         pass).{guess}"
    );
    fault(Kind::InvalidValue, "invalid_value", path, message)
}

pub(super) fn not_a_name(path: String, max: usize) -> Fault {
    let message = format!(
        "Invalid '{path}': a name may hold only the letters a-z and A-Z, digits, '_' and '-', at most {max} of them. \
         Replace the other characters."
    );
    fault(Kind::InvalidValue, "invalid_value", path, message)
}

pub(super) fn items(path: String, rule: &List, count: usize) -> Fault {
    let (min, max) = (rule.min.max(1), rule.max);
    if count == 0 {
        let message = format!(
            "Invalid '{path}': the array is empty, at least {} needed. Fill it in.",
            counted(min)
        );
        return fault(Kind::InvalidValue, "empty_array", path, message);
    }
    if count > max {
        let over = count - max;
        let message = format!(
            "Invalid '{path}': the array has {count} items, at most {max} are allowed. Remove {over}."
        );
        return fault(Kind::InvalidValue, "array_above_max_length", path, message);
    }
    let message =
        format!("Invalid '{path}': the array has {count} items, at least {} needed.", counted(min));
    fault(Kind::InvalidValue, "array_below_min_length", path, message)
}

pub(super) fn not_alike(path: String, expected: Type, found: Type) -> Fault {
    let (expected, found) = (expected.with_article(), found.with_article());
    let message = format!(
        "Invalid type for '{path}': the array begins with {expected} and this item is {found}. Send items of one type."
    );
    fault(Kind::InvalidValue, "invalid_type", path, message)
}

pub(super) fn unlisted(path: String, key: Str<'_>, rule: &Fields) -> Fault {
    let name = key.text().unwrap_or(Cow::Borrowed(key.raw));
    let guess = nearest(&name, rule.list.iter().map(|field| field.name)).map_or_else(
        || "Remove it".to_string(),
        |near| format!("Did you mean '{near}'? Otherwise remove it"),
    );
    let message = format!(
        "Unsupported parameter '{path}': the vendor's API has no such field here (as of {AS_OF}). {guess}; level \
         `lenient` lets it pass."
    );
    fault(Kind::UnsupportedParameter, "unknown_parameter", path, message)
}

pub(super) fn missing(path: String, shape: &Shape) -> Fault {
    let expected = describe(shape);
    let message = format!(
        "Missing required parameter '{path}': the request is refused without it. Add {expected}."
    );
    fault(Kind::MissingRequiredField, "missing_required_parameter", path, message)
}

pub(super) fn missing_tag(path: String, words: &[&'static str]) -> Fault {
    let known = listed(words);
    let message = format!(
        "Missing required parameter '{path}': it says what the object is. Add one of {known}."
    );
    fault(Kind::MissingRequiredField, "missing_required_parameter", path, message)
}

/// A fault of a rule between fields.
pub(super) fn between(path: String, why: &str) -> Fault {
    let message = format!("Invalid '{path}': {why}");
    fault(Kind::InvalidValue, "invalid_value", path, message)
}

/// A shape in a sentence: "a string or an array of 1 to 4 items".
pub(super) fn describe(shape: &Shape) -> String {
    if shape.anything {
        return "a value".to_string();
    }
    let mut choices = Vec::new();
    if let Some(text) = &shape.text {
        choices.push(match text.form {
            Form::OneOf(words) => format!("one of {}", listed(words)),
            Form::Any | Form::Name if text.max < usize::MAX => {
                format!("a string of at most {} characters", text.max)
            }
            Form::Any | Form::Name => "a string".to_string(),
        });
    }
    if let Some(number) = &shape.number {
        choices.push(range(number).unwrap_or_else(|| kind_of(number).to_string()));
    }
    if shape.boolean {
        choices.push("true or false".to_string());
    }
    if let Some(list) = &shape.list {
        choices.push(describe_list(list));
    }
    if let Some(object) = &shape.object {
        choices.push(match object {
            Object::Free | Object::Fields(_) | Object::Map { .. } => "an object".to_string(),
            Object::Tagged(tagged) => format!("an object with a '{}'", tagged.tag),
        });
    }
    if shape.null && choices.len() < 2 {
        choices.push("null".to_string());
    }
    choices.join(" or ")
}

fn describe_list(list: &List) -> String {
    match (list.min, list.max) {
        (0, usize::MAX) => "an array".to_string(),
        (0, max) => format!("an array of at most {}", counted(max)),
        (min, usize::MAX) => format!("an array of at least {}", counted(min)),
        (min, max) => format!("an array of {min} to {}", counted(max)),
    }
}

fn counted(n: usize) -> String {
    if n == 1 { "1 item".to_string() } else { format!("{n} items") }
}

fn kind_of(rule: &Number) -> &'static str {
    match rule {
        Number::Integer { .. } => "an integer",
        Number::Decimal { .. } => "a number",
    }
}

fn range(rule: &Number) -> Option<String> {
    let (low, high) = match *rule {
        Number::Integer { min, max } => {
            ((min > i64::MIN).then(|| min.to_string()), (max < i64::MAX).then(|| max.to_string()))
        }
        Number::Decimal { min, max } => {
            ((min > f64::MIN).then(|| min.to_string()), (max < f64::MAX).then(|| max.to_string()))
        }
    };
    let kind = kind_of(rule);
    match (low, high) {
        (Some(low), Some(high)) => Some(format!("{kind} from {low} to {high}")),
        (Some(low), None) => Some(format!("{kind} of at least {low}")),
        (None, Some(high)) => Some(format!("{kind} of at most {high}")),
        (None, None) => None,
    }
}

fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    quoted.join(", ")
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_MAX).filter(|c| !c.is_control()).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        short.push('…');
    }
    short
}
