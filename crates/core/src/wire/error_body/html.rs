//! What a reader sees of a web page: title and text, without tags, scripts and styles.

use alloc::string::String;

/// Most bytes of text kept.
const VISIBLE_MAX: usize = 4096;

/// The text of a page, tags replaced by blanks.
pub(super) fn visible(page: &str) -> String {
    let mut out = String::new();
    let mut rest = page;
    while let Some(open) = rest.find('<') {
        push(&mut out, rest.get(..open).unwrap_or_default());
        if out.len() >= VISIBLE_MAX {
            return out;
        }
        let tag = rest.get(open..).unwrap_or_default();
        let close = tag.find('>').map_or(tag.len(), |at| at + 1);
        rest = tag.get(close..).unwrap_or_default();
        for hidden in ["script", "style"] {
            let name = tag.get(1..=hidden.len()).unwrap_or_default();
            if name.eq_ignore_ascii_case(hidden) {
                // To the closing tag; a page cut inside a script has no text after it.
                let end = rest.find("</").unwrap_or(rest.len());
                rest = rest.get(end..).unwrap_or_default();
            }
        }
    }
    push(&mut out, rest);
    out
}

fn push(out: &mut String, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(super::cut_at(text, VISIBLE_MAX.saturating_sub(out.len())));
    }
}
