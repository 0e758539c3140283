//! The wire: what requests and answers of OpenAI-compatible APIs look like as bytes.

pub mod answer;
pub mod endpoint;
pub mod error_body;
pub mod form;
pub mod json;
pub mod notes;
pub mod quoted;
pub mod repeat;
pub mod request;
pub mod sound;
pub mod sse;
pub mod stitch;
pub mod stream;
pub mod traceparent;
pub mod transcript;
pub mod usage;
pub mod verify;
