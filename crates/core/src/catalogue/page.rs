//! `docs/errors.md`, written from the catalogue.

use super::{Codes, Entry, class_of_status, entry};
use crate::failure::{Class, Kind};
use alloc::string::String;
use core::fmt::Write;

/// The page `docs/errors.md` as Markdown.
pub fn errors_page() -> String {
    let mut page = String::from(HEAD);
    for kind in Kind::ALL {
        let entry = entry(kind);
        line(
            &mut page,
            format_args!(
                "| [`{kind}`](#{kind}) | {} | {} | {} |",
                entry.class.name(),
                entry.status,
                if entry.retryable { "yes" } else { "no" },
            ),
        );
    }
    for kind in Kind::ALL {
        section(&mut page, entry(kind));
    }
    page
}

const HEAD: &str = "\
# Errors

<!-- Written by `cargo run -p mainstay-core --example errors_page`. Change the catalogue in \
`crates/core/src/catalogue`, not this page. -->

Every failure has a kind: the same name in answers (`x-mainstay-kind`), logs, metrics and on the
command line (`mainstay explain KIND`). The SDK class is the one the vendor's guide has for the
kind. What an SDK raises follows the status it is sent; 405, 408 and 413 have no class of their own
there and raise a plain `APIStatusError` (Node: `APIError`). Node calls `APITimeoutError`
`APIConnectionTimeoutError`; the other names are the same.

*Retry* says whether the same request, sent later to the same place with the same key, usually has
a fair chance. A single answer can say otherwise, and `x-should-retry` tells it.

Our own refusals carry the codes of `[policy.errors] codes`, `unified` by default. A provider's own
error passes through with its status, type and code.

| kind | SDK class | our status | retry |
| --- | --- | --- | --- |
";

fn section(page: &mut String, entry: &Entry) {
    let kind = entry.kind;
    line(page, format_args!("\n## {kind}\n\n{}\n", entry.cause));
    for (place, step) in entry.steps.iter().enumerate() {
        line(page, format_args!("{}. {step}", place + 1));
    }
    line(page, format_args!("\n**Retry.** {}\n", entry.retry_advice));
    let class = entry.class;
    let node = match class {
        Class::APITimeoutError => " (Node: `APIConnectionTimeoutError`)",
        Class::AuthenticationError
        | Class::BadRequestError
        | Class::ConflictError
        | Class::InternalServerError
        | Class::NotFoundError
        | Class::PermissionDeniedError
        | Class::RateLimitError
        | Class::UnprocessableEntityError
        | Class::APIConnectionError => "",
    };
    line(page, format_args!("- SDK class: `{}`{node}", class.name()));
    let raised = match class_of_status(entry.status) {
        Some(raised) => raised.name(),
        None => "APIStatusError",
    };
    line(page, format_args!("- Our own refusal: status {}, raised as `{raised}`", entry.status));
    line(
        page,
        format_args!("- Codes: unified {}; openai {}", shown(entry.unified), shown(entry.openai)),
    );
    line(
        page,
        format_args!(
            "- Policies: circuit breaker: {}; pacer: {}; retry budget: {}; another target may help: {}",
            entry.breaker.name(),
            entry.pacer.name(),
            entry.budget.name(),
            if entry.other_target_helps { "yes" } else { "no" },
        ),
    );
    let mut guide = String::new();
    for (place, heading) in entry.guide.iter().enumerate() {
        let comma = if place == 0 { "" } else { "; " };
        let _ = write!(guide, "{comma}“{heading}”"); // writing to a String cannot fail
    }
    line(page, format_args!("- In the guides: {guide}"));
}

fn shown(codes: Codes) -> String {
    let mut text = String::new();
    let code = codes.code.unwrap_or("null");
    let _ = write!(text, "type `{}`, code `{code}`", codes.r#type); // cannot fail
    text
}

fn line(page: &mut String, text: core::fmt::Arguments<'_>) {
    let _ = page.write_fmt(text); // writing to a String cannot fail
    page.push('\n');
}
