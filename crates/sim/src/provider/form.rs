//! Multipart forms (RFC 7578), read piece by piece: of a file only the beginning is kept, so that an
//! upload of any size takes a bounded amount of memory.

use bytes::Bytes;
use memchr::memmem;

/// How much of one file is kept, in bytes.
pub(crate) const KEPT_MAX: usize = 16 << 20;
/// The most fields of a form.
const FIELDS_MAX: usize = 10_000;
/// The most bytes of the head of a field.
const HEAD_MAX: usize = 8 << 10;

/// One field of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Set for a file.
    pub(crate) filename: Option<String>,
    /// The beginning of its content.
    pub(crate) kept: Bytes,
    /// The length of its content.
    pub(crate) size: u64,
}

/// A form that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) fields: Vec<Field>,
}

impl Form {
    /// The text of the first field with this name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        std::str::from_utf8(&field.kept).ok()
    }

    /// The first file with this name, or with `[]` after it.
    pub(crate) fn file(&self, name: &str) -> Option<&Field> {
        let named = |field: &&Field| field.name.strip_suffix("[]").unwrap_or(&field.name) == name;
        self.fields.iter().find(named)
    }
}

/// Reads a form as it comes.
#[derive(Debug)]
pub(crate) struct Reader {
    /// What ends a field: a line break, two hyphens and the boundary.
    end: Vec<u8>,
    waiting: Vec<u8>,
    state: State,
    form: Form,
    content: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Before,
    /// After a boundary: a line break, or the end.
    Boundary,
    Head,
    Content,
    Over,
    Broken,
}

impl Reader {
    /// A reader for a body of this content type; `None` when that is no form.
    pub(crate) fn of(content_type: &str) -> Option<Reader> {
        let lower = content_type.to_ascii_lowercase();
        if !lower.starts_with("multipart/form-data") {
            return None;
        }
        let at = lower.find("boundary=")? + "boundary=".len();
        let boundary = content_type[at..].split(';').next()?.trim().trim_matches('"');
        let sound = (1..=70).contains(&boundary.len());
        sound.then(|| Reader {
            end: [b"\r\n--", boundary.as_bytes()].concat(),
            // The first boundary may stand at the very beginning, without a line break before it.
            waiting: b"\r\n".to_vec(),
            state: State::Before,
            form: Form::default(),
            content: Vec::new(),
        })
    }

    /// Takes the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(used) = self.step(at) {
            at += used;
        }
        self.waiting.drain(..at);
    }

    /// The form, if it came to its end.
    pub(crate) fn finish(self) -> Option<Form> {
        (self.state == State::Over).then_some(self.form)
    }

    /// Does one thing with what waits from `at`; how many bytes that took, `None` when more must come.
    fn step(&mut self, at: usize) -> Option<usize> {
        let rest = &self.waiting[at..];
        match self.state {
            State::Over | State::Broken => (!rest.is_empty()).then_some(rest.len()),
            State::Before | State::Content => {
                let found = memmem::find(rest, &self.end);
                let free = found.unwrap_or_else(|| rest.len().saturating_sub(self.end.len() - 1));
                if self.state == State::Content {
                    let field = self.form.fields.last_mut()?;
                    field.size += free as u64;
                    let room = KEPT_MAX.saturating_sub(self.content.len());
                    self.content.extend_from_slice(&rest[..free.min(room)]);
                    if found.is_some() {
                        field.kept = std::mem::take(&mut self.content).into();
                    }
                }
                if found.is_some() {
                    self.state = State::Boundary;
                    return Some(free + self.end.len());
                }
                (free > 0).then_some(free)
            }
            State::Boundary => {
                let next = rest.get(..2)?;
                self.state = match next {
                    b"\r\n" => State::Head,
                    b"--" => State::Over,
                    _ => State::Broken,
                };
                Some(2)
            }
            State::Head => {
                // A head without a line is an empty line alone.
                let Some(length) = memmem::find(rest, b"\r\n\r\n") else {
                    if rest.len() > HEAD_MAX {
                        self.state = State::Broken;
                    }
                    return None;
                };
                let field = field_of(&rest[..length]);
                let full = self.form.fields.len() >= FIELDS_MAX;
                self.state = match field.filter(|_| !full) {
                    Some(field) => {
                        self.form.fields.push(field);
                        State::Content
                    }
                    None => State::Broken,
                };
                // The line break before the content may be the one that the boundary begins with.
                Some(length + 4)
            }
        }
    }
}

/// The field that a head announces.
fn field_of(head: &[u8]) -> Option<Field> {
    let text = String::from_utf8_lossy(head);
    let line = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let parameter = |name: &str| {
        line.split(';').find_map(|part| {
            let (key, value) = part.trim().split_once('=')?;
            (key == name).then(|| value.trim_matches('"').to_owned())
        })
    };
    let name = parameter("name")?;
    Some(Field { name, filename: parameter("filename"), ..Field::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=abc";

    fn read(body: &[u8], piece: usize) -> Option<Form> {
        let mut reader = Reader::of(TYPE).unwrap();
        body.chunks(piece).for_each(|piece| reader.feed(piece));
        reader.finish()
    }

    #[test]
    fn a_form_is_the_same_however_it_is_cut() {
        let body = b"--abc\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
            --abc\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\
            Content-Type: text/plain\r\n\r\none\r\n--ab\r\ntwo\r\n--abc--\r\n";
        let whole = read(body, body.len()).unwrap();
        assert_eq!(whole.text("purpose"), Some("batch"));
        let file = whole.file("file").unwrap();
        assert_eq!((file.filename.as_deref(), file.size), (Some("a.jsonl"), 14));
        assert_eq!(&file.kept[..], b"one\r\n--ab\r\ntwo");
        for piece in 1..body.len() {
            assert_eq!(read(body, piece).as_ref(), Some(&whole), "pieces of {piece}");
        }
    }

    #[test]
    fn a_form_without_its_end_is_none() {
        assert_eq!(read(b"--abc\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nb", 3), None);
        assert_eq!(read(b"--abcx", 1), None);
        assert!(Reader::of("application/json").is_none());
        assert!(Reader::of("multipart/form-data").is_none());
    }

    #[test]
    fn of_a_large_file_the_beginning_is_kept_and_the_size_known() {
        let mut reader = Reader::of(TYPE).unwrap();
        reader.feed(
            b"--abc\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n",
        );
        let piece = vec![7_u8; 1 << 20];
        (0..20).for_each(|_| reader.feed(&piece));
        assert!(reader.waiting.len() < 64 && reader.content.len() == KEPT_MAX);
        reader.feed(b"\r\n--abc--");
        let form = reader.finish().unwrap();
        assert_eq!((form.fields[0].size, form.fields[0].kept.len()), (20 << 20, KEPT_MAX));
    }
}
