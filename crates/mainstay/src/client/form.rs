//! Forms with files, as uploads and sound take them.

use bytes::Bytes;
use http::HeaderValue;
use mainstay_core::dice::Dice;

use crate::compose::fresh_dice;

/// A form: fields of text and files, in order. Kept in memory, so it can be sent again.
#[derive(Clone, Default)]
pub struct Form {
    parts: Vec<Part>,
}

#[derive(Clone)]
struct Part {
    name: String,
    file: Option<(String, String)>,
    content: Bytes,
}

impl Form {
    /// An empty form.
    pub fn new() -> Form {
        Form::default()
    }

    /// Adds a field.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Form {
        let content = Bytes::from(value.into());
        self.parts.push(Part { name: name.to_owned(), file: None, content });
        self
    }

    /// Adds a file: its name for the provider, its media type, its content.
    #[must_use]
    pub fn file(
        mut self,
        name: &str,
        file_name: &str,
        media: &str,
        content: impl Into<Bytes>,
    ) -> Form {
        let file = Some((file_name.to_owned(), media.to_owned()));
        self.parts.push(Part { name: name.to_owned(), file, content: content.into() });
        self
    }

    /// The content type and the body.
    pub(super) fn encode(&self) -> (HeaderValue, Bytes) {
        let mut dice: Dice = fresh_dice();
        // 128 bits of chance: it does not occur in any content.
        let boundary = format!("mainstay-{:016x}{:016x}", dice.bits(), dice.bits());
        let mut body = Vec::new();
        for Part { name, file, content } in &self.parts {
            let name = escaped(name);
            let mut head =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
            if let Some((file_name, media)) = file {
                let file = ["; filename=\"", &escaped(file_name), "\"\r\nContent-Type: "];
                head.extend(file);
                head.push_str(&escaped(media));
            }
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"));
        (kind.expect("the boundary is ASCII"), Bytes::from(body))
    }
}

/// A name inside quotes. Source: WHATWG HTML, multipart/form-data, read 2026-11.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.parts.iter().map(|part| (&part.name, part.content.len()));
        f.debug_map().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_written_part_by_part_and_names_cannot_break_out() {
        let form = Form::new().text("model", "m").file(
            "fi\"le",
            "a\r\n.wav",
            "audio/wav",
            &b"\x00\xff"[..],
        );
        let (kind, body) = form.encode();
        let boundary = kind.to_str().unwrap().split_once("boundary=").unwrap().1;
        let text = String::from_utf8_lossy(&body);
        assert_eq!(text.matches(boundary).count(), 3);
        assert!(text.contains("name=\"model\"\r\n\r\nm\r\n"), "{text}");
        assert!(
            text.contains("name=\"fi%22le\"; filename=\"a%0D%0A.wav\"\r\nContent-Type: audio/wav"),
            "{text}"
        );
        assert!(body.windows(2).any(|pair| pair == b"\x00\xff"));
        assert!(!format!("{form:?}").contains("audio"), "contents stay out of logs");
    }
}
