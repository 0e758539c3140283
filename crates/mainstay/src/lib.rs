//! The reliability layer for OpenAI-compatible APIs: the walk of a call, the HTTP transport, the client.

pub mod http;
pub mod upstream;
