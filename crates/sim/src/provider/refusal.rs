//! What the provider finds wrong with a request, in its own words.
//!
//! Source: error bodies of the vendor's validation, OpenAI, collected 2026-11.

use crate::provider::answer::Answer;
use crate::provider::kinds::{INVALID, error_body};

/// A request that is refused before it reaches a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) code: Option<&'static str>,
    pub(crate) param: Option<String>,
    pub(crate) message: String,
}

impl Refusal {
    /// A refusal of type `invalid_request_error` without code and param.
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, kind: INVALID, code: None, param: None, message: message.into() }
    }

    /// A required field is absent.
    pub(crate) fn missing(param: &str) -> Refusal {
        Refusal::new(400, format!("Missing required parameter: '{param}'."))
            .coded("missing_required_parameter")
            .about(param)
    }

    /// A field has the wrong JSON type. Both are written with their article.
    pub(crate) fn wrong_type(param: &str, expected: &str, got: &str) -> Refusal {
        let message =
            format!("Invalid type for '{param}': expected {expected}, but got {got} instead.");
        Refusal::new(400, message).coded("invalid_type").about(param)
    }

    /// A number is outside its range.
    pub(crate) fn out_of_range(
        param: &str,
        value: f64,
        low: f64,
        high: f64,
        whole: bool,
    ) -> Refusal {
        let (noun, low_code, high_code) = if whole {
            ("integer", "integer_below_min_value", "integer_above_max_value")
        } else {
            ("decimal", "decimal_below_min_value", "decimal_above_max_value")
        };
        let (side, sign, bound, code) = if value < low {
            ("below minimum", ">=", low, low_code)
        } else {
            ("above maximum", "<=", high, high_code)
        };
        let message = format!(
            "Invalid '{param}': {noun} {side} value. Expected a value {sign} {bound}, but got {value} instead."
        );
        Refusal::new(400, message).coded(code).about(param)
    }

    /// A word that is none of those to choose from.
    pub(crate) fn no_choice(param: &str, got: &str, names: &[&str]) -> Refusal {
        let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
        let (last, others) =
            quoted.split_last().map_or(("", &[][..]), |(last, o)| (last.as_str(), o));
        let list = if others.is_empty() {
            last.to_owned()
        } else {
            format!("{} and {last}", others.join(", "))
        };
        let message = format!("Invalid value: '{got}'. Supported values are: {list}.");
        Refusal::new(400, message).coded("invalid_value").about(param)
    }

    /// No model has this name.
    pub(crate) fn no_model(model: &str) -> Refusal {
        let message =
            format!("The model `{model}` does not exist or you do not have access to it.");
        Refusal::new(404, message).coded("model_not_found")
    }

    /// Prompt and asked output are larger than the window.
    pub(crate) fn too_long(window: u64, prompt: u64, output: u64, param: &str) -> Refusal {
        let message = format!(
            "This model's maximum context length is {window} tokens. However, you requested {} tokens ({prompt} in the {param}, {output} in the completion). Please reduce the length of the {param} or completion.",
            prompt + output
        );
        Refusal::new(400, message).coded("context_length_exceeded").about(param)
    }

    /// The body is larger than the provider reads.
    pub(crate) fn too_large(limit: u64, read: u64) -> Refusal {
        let message = format!("Maximum content size limit ({limit}) exceeded ({read} bytes read)");
        Refusal { kind: "server_error", ..Refusal::new(413, message) }
    }

    fn coded(self, code: &'static str) -> Refusal {
        Refusal { code: Some(code), ..self }
    }

    fn about(self, param: &str) -> Refusal {
        Refusal { param: Some(param.into()), ..self }
    }

    /// The answer that says so.
    pub(crate) fn answer(&self) -> Answer {
        let body = error_body(&self.message, Some(self.kind), self.param.as_deref(), self.code);
        Answer::json(self.status, body)
    }
}
