//! The three files of our own, and the headers that keep everything else out.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body_util::Full;
use mainstay_store::digest;

use crate::admin::Reply;

/// A file.
pub(super) struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset {
        path: "/console.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("static/console.css"),
    },
    Asset {
        path: "/console.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("static/console.js"),
    },
    Asset { path: "/icon.svg", kind: "image/svg+xml", text: include_str!("static/icon.svg") },
];

/// A name for the content of all files, so that a browser may keep them and yet never uses old ones.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all: String = ASSETS.iter().map(|asset| asset.text).collect();
    let nibble = |value: u8| char::from_digit(u32::from(value), 16);
    let six = digest(all.as_bytes()).0.into_iter().take(6);
    six.flat_map(|byte| [nibble(byte >> 4), nibble(byte & 15)]).flatten().collect()
});

/// Nothing but our own files: no script or style in a page, no other host, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const PROTECTION: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: with it browsers hide the origin of forms from us, too.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The file of a path.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// The name of the present content.
pub(super) fn version() -> &'static str {
    &VERSION
}

/// The answer with a file. Asked for by its present name it may be kept for good.
pub(super) fn reply(asset: &'static Asset, query: Option<&str>) -> Reply {
    let mut reply = Reply::new(Full::new(Bytes::from_static(asset.text.as_bytes())));
    let present = query.and_then(|query| query.strip_prefix("v=")) == Some(version());
    let kept = if present { "public, max-age=31536000, immutable" } else { "no-cache" };
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    reply
}

/// Puts the protection on an answer of the console. Pages are not kept: they show keys and spend.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in PROTECTION {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
