use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn boundary(content_type: &str) -> Option<String> {
    match ContentType::of(content_type) {
        ContentType::Form(boundary) => Some(boundary.into_owned()),
        ContentType::NoBoundary | ContentType::Other => None,
    }
}

#[test]
fn a_content_type_names_the_boundary_or_says_that_it_has_none() {
    for (value, expected) in [
        ("multipart/form-data; boundary=abc", Some("abc")),
        ("Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b;c\"", Some("a b;c")),
        ("multipart/form-data; boundary=\"a\\\"b\"; x=1", Some("a\"b")),
        ("multipart/form-data; boundary = abc ; x", Some("abc")),
    ] {
        assert_eq!(boundary(value).as_deref(), expected, "{value}");
    }
    for value in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data;x"]
    {
        assert_eq!(ContentType::of(value), ContentType::NoBoundary, "{value}");
    }
    for value in ["", "application/json", "multipart/mixed; boundary=a", "boundary=a"] {
        assert_eq!(ContentType::of(value), ContentType::Other, "{value}");
    }
}

/// Name, whether a file, content, whether whole.
type Seen = (String, bool, String, bool);

fn read(body: &[u8]) -> (Vec<Seen>, End) {
    let mut form = Form::new(body, "XX");
    let mut parts = Vec::new();
    for part in form.by_ref() {
        assert_eq!(&body[part.at..part.at + part.content.len()], part.content);
        let content = String::from_utf8_lossy(part.content).to_string();
        parts.push((part.name.to_string(), part.file, content, part.whole));
    }
    (parts, form.end().expect("a form that gives no part has ended"))
}

fn seen(name: &str, file: bool, content: &str, whole: bool) -> Seen {
    (name.to_string(), file, content.to_string(), whole)
}

const FORM: &str = "--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
    --XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".mp3\"\r\n\
    Content-Type: audio/mpeg\r\n\r\n\r\n--X\r\n--XXy\n-\r\n--XX--\r\n";

#[test]
fn the_parts_of_a_form_are_told_with_their_content() {
    let whole =
        [seen("model", false, "whisper-1", true), seen("file", true, "\r\n--X\r\n--XXy\n-", true)];
    assert_eq!(read(FORM.as_bytes()), (whole.to_vec(), End::Closed));
    let before = format!("to be read past\r\n{FORM}to be read past as well");
    assert_eq!(read(before.as_bytes()).0, whole);
    let feeds = "--XX\ncontent-disposition: form-data; name=a\n\n1\n--XX--";
    assert_eq!(read(feeds.as_bytes()), ([seen("a", false, "1", true)].to_vec(), End::Closed));
    let bare = "--XX\r\n\r\nnobody\r\n--XX--";
    assert_eq!(read(bare.as_bytes()), ([seen("", false, "nobody", true)].to_vec(), End::Closed));
    let empty = "--XX\r\ncontent-disposition: form-data; name=a\r\n\r\n\r\n--XX--";
    assert_eq!(read(empty.as_bytes()), ([seen("a", false, "", true)].to_vec(), End::Closed));
    assert_eq!(read(b"--XX--"), (Vec::new(), End::Closed));
}

#[test]
fn a_form_that_is_cut_gives_what_is_there() {
    for at in 0..FORM.len() - 4 {
        let (parts, end) = read(&FORM.as_bytes()[..at]);
        let expected = if FORM[..at].ends_with("--XX--") { End::Closed } else { End::Cut };
        assert_eq!(end, expected, "at {at}");
        let whole = parts.iter().filter(|part| part.3).count();
        assert!(parts.len() - whole <= 1, "at most the last is cut");
        if let Some(model) = parts.first().filter(|part| part.3) {
            assert_eq!(model.2, "whisper-1");
        }
    }
}

#[test]
fn what_is_no_form_says_where() {
    assert_eq!(read(b"{\"model\":1}").1, End::Broken(0));
    assert_eq!(read(b"--YY\r\n\r\nx\r\n--YY--").1, End::Broken(0));
    assert_eq!(read(b"x--XX\r\n").1, End::Broken(0));
    assert_eq!(read(b"--XX junk\r\n\r\n").1, End::Broken(4));
    let endless = format!("--XX\r\n{}", "a".repeat(HEADERS_MAX + 1));
    assert_eq!(read(endless.as_bytes()).1, End::Broken(6));
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(body in prop::collection::vec(any::<u8>(), 0..300), prefix in any::<bool>()) {
        let mut bytes = if prefix { b"--XX\r\n".to_vec() } else { Vec::new() };
        bytes.extend(body);
        read(&bytes);
        ContentType::of(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn what_was_written_is_read(fields in prop::collection::vec(("[a-z\\[\\]]{1,8}", "[ -~\r\n]{0,40}", any::<bool>()), 0..6)) {
        let mut body = String::new();
        for (name, content, file) in &fields {
            let filename = if *file { "; filename=\"f\"" } else { "" };
            body.extend(["--XX\r\nContent-Disposition: form-data; name=\"", name, "\"", filename, "\r\n\r\n", content, "\r\n"]);
        }
        body += "--XX--\r\n";
        prop_assume!(fields.iter().all(|field| !field.1.contains("--XX")));
        let expected: Vec<Seen> = fields.iter().map(|(name, content, file)| seen(name, *file, content, true)).collect();
        prop_assert_eq!(read(body.as_bytes()), (expected, End::Closed));
    }
}
