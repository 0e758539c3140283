use httparse::{EMPTY_HEADER, Response, Status};

use super::*;

/// As many lines as the heads below have, and one more.
const LINES_MAX: usize = 7;

const HEADS: [&str; 5] = [
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nX-Request-Id: req_1\r\nopenai-processing-ms: 12\r\ncontent-length: 613\r\ndate: Sun, 29 Nov 2026 01:29:34 GMT\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    "HTTP/1.1 429 Too Many Requests\r\nretry-after:1\r\nContent-Length: 20\r\nconnection: close\r\n\r\n",
    "HTTP/1.1 200 \r\nserver: caf\u{e9}, 2\r\ncontent-length: 1\r\nx_a: 1 2\tb\r\n\r\n",
    "HTTP/1.1 503 Later\r\n\r\n",
];

/// The same head as httparse reads it.
fn slowly(head: &[u8]) -> Option<(u16, Vec<Line>, usize)> {
    let mut headers = [EMPTY_HEADER; LINES_MAX];
    let mut parsed = Response::new(&mut headers);
    let Ok(Status::Complete(end)) = parsed.parse(head) else { return None };
    assert_eq!(parsed.version, Some(1));
    let place = |part: &[u8]| {
        let start = part.as_ptr().addr() - head.as_ptr().addr();
        [start, start + part.len()].map(|at| u32::try_from(at).unwrap())
    };
    let line = |header: &httparse::Header<'_>| {
        let ([name, colon], [value, end]) = (place(header.name.as_bytes()), place(header.value));
        [name, colon, value, end]
    };
    let lines = parsed.headers.iter().map(line).collect();
    Some((parsed.code.unwrap(), lines, end))
}

/// What must follow from `connection`, `transfer-encoding` and `content-length`, found the slow way.
fn length_alone(head: &[u8], lines: &[Line]) -> Option<u64> {
    let mut lengths = Vec::new();
    for [name, colon, value, end] in lines.iter().map(|line| line.map(|at| at as usize)) {
        match head[name..colon].to_ascii_lowercase().as_slice() {
            b"connection" | b"transfer-encoding" => return None,
            b"content-length" => lengths.push(std::str::from_utf8(&head[value..end]).ok()?),
            _ => {}
        }
    }
    let digits = |length: &&str| length.len() < 19 && length.bytes().all(|b| b.is_ascii_digit());
    let [length] = lengths.as_slice() else { return None };
    Some(*length).filter(digits)?.parse().ok()
}

fn agrees(head: &[u8]) -> bool {
    let Some(quick) = read(head, LINES_MAX) else { return false };
    let text = String::from_utf8_lossy(head);
    let slow = slowly(head);
    assert_eq!(slow.as_ref(), Some(&(quick.status, quick.lines.clone(), quick.end)), "{text}");
    assert_eq!(quick.length, length_alone(head, &quick.lines), "{text}");
    let capital = |[name, colon, ..]: &Line| {
        head[*name as usize..*colon as usize].iter().any(u8::is_ascii_uppercase)
    };
    assert_eq!(quick.capitals, quick.lines.iter().any(capital), "{text}");
    true
}

#[test]
fn usual_heads_are_read_in_one_pass() {
    let taken = HEADS.map(|head| agrees([head, "{body}"].concat().as_bytes()));
    assert_eq!(taken, [true, true, true, false, true], "a tab is not usual");
    let long = "a: b\r\n".repeat(LINES_MAX);
    assert!(agrees(format!("HTTP/1.1 200 OK\r\n{long}\r\n").as_bytes()));
    assert!(!agrees(format!("HTTP/1.1 200 OK\r\n{long}a: b\r\n\r\n").as_bytes()));
}

/// Each head with one or two bytes changed, left out or put in, in each place, any byte in it; and cut short.
#[test]
fn the_one_pass_says_what_httparse_says_or_nothing() {
    const PIECES: [&[u8]; 22] = [
        b"",
        b" ",
        b"\t",
        b"\r",
        b"\n",
        b"\r\n",
        b":",
        b": ",
        b"a",
        b"A",
        b"0",
        b"9",
        b"-",
        b"_",
        b"(",
        b"\x00",
        b"\x7f",
        b"\x80",
        b"\xff",
        b"\r\ncontent-length: 7",
        b"\r\nconnection: x",
        b",",
    ];
    let mut taken = 0;
    for head in HEADS.map(str::as_bytes) {
        for at in 0..=head.len() {
            for behind in (at..=head.len()).take(3) {
                for piece in PIECES {
                    taken += u32::from(agrees(&[&head[..at], piece, &head[behind..]].concat()));
                }
            }
            let behind = head.get(at + 1..).unwrap_or_default();
            for byte in 0..=u8::MAX {
                taken += u32::from(agrees(&[&head[..at], &[byte], behind].concat()));
            }
            assert_eq!(agrees(&head[..at]), at == head.len() && agrees(head));
        }
    }
    assert!(taken > 2_000, "{taken}");
}
