//! What the checks in `tests/` need to read this workspace: its files and its Rust source.
//!
//! Unpublished, and nothing depends on it. The checks themselves are in `tests/`: the arrows
//! between crates (`architecture.rs`), sizes and words (`tidy.rs`), links and generated pages
//! (`docs.rs`). The suites that need a running server are in `sdk/`, `raw/` and `cli/` and are
//! started by `cargo xtask test`.

pub mod files;
pub mod markdown;
pub mod mask;
pub mod source;
