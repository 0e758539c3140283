//! The wire format, RESP2: commands out, answers in. Pure, and bounded: a server that answers
//! nonsense costs a connection and nothing else.

/// Largest answer, bytes.
pub(super) const ANSWER_MAX: usize = 16 << 20;
/// Deepest nesting of lists in an answer.
const DEPTH_MAX: usize = 8;

/// An answer of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Nil,
    /// A number.
    Int(i64),
    /// A word such as `OK`.
    SimpleString(String),
    /// Bytes.
    BulkString(Vec<u8>),
    /// Several answers.
    Array(Vec<Value>),
    /// A refusal inside a list; on its own it is an error of the call.
    ServerError(ServerError),
}

impl Value {
    /// The number it is, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
            Value::Nil | Value::SimpleString(_) | Value::Array(_) | Value::ServerError(_) => None,
        }
    }

    /// The bytes it is, if it is some.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::BulkString(bytes) => Some(bytes),
            Value::SimpleString(text) => Some(text.as_bytes()),
            Value::Nil | Value::Int(_) | Value::Array(_) | Value::ServerError(_) => None,
        }
    }

    /// The answers in it; empty for anything else than a list.
    pub fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) => items,
            Value::Nil
            | Value::Int(_)
            | Value::SimpleString(_)
            | Value::BulkString(_)
            | Value::ServerError(_) => &[],
        }
    }

    /// The numbers in it, when it is a list of numbers only.
    pub fn ints(&self) -> Option<Vec<i64>> {
        match self {
            Value::Array(items) => items.iter().map(Value::as_int).collect(),
            Value::Nil
            | Value::Int(_)
            | Value::SimpleString(_)
            | Value::BulkString(_)
            | Value::ServerError(_) => None,
        }
    }
}

/// A refusal of the server: its code, such as `NOSCRIPT`, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// The first word, in capitals.
    pub code: String,
    /// The rest.
    pub text: String,
}

impl ServerError {
    fn of(line: &str) -> ServerError {
        let (code, text) = line.split_once(' ').unwrap_or((line, ""));
        ServerError { code: code.to_owned(), text: text.to_owned() }
    }
}

/// The bytes are no answer: the connection cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotResp(pub(super) &'static str);

/// A command in bytes.
pub(super) fn command(parts: &[&[u8]]) -> Vec<u8> {
    let size: usize = parts.iter().map(|part| part.len() + 16).sum();
    let mut out = Vec::with_capacity(size + 16);
    push_length(&mut out, b'*', parts.len());
    for part in parts {
        push_length(&mut out, b'$', part.len());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn push_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.push(kind);
    out.extend_from_slice(length.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The first answer in `bytes` and its length; `None` when it is not whole yet.
pub(super) fn answer(bytes: &[u8]) -> Result<Option<(Value, usize)>, NotResp> {
    let mut reader = Reader { bytes, at: 0 };
    match reader.value(0) {
        Ok(value) => Ok(Some((value, reader.at))),
        Err(Stop::Short) if bytes.len() > ANSWER_MAX => Err(NotResp("its answer is too large")),
        Err(Stop::Short) => Ok(None),
        Err(Stop::Broken(why)) => Err(NotResp(why)),
    }
}

enum Stop {
    /// More bytes have to come.
    Short,
    Broken(&'static str),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::Broken("its answer is nested too deeply"));
        }
        let line = self.line()?;
        let (kind, rest) = line.split_first().ok_or(Stop::Broken("its answer is an empty line"))?;
        match kind {
            b'+' => Ok(Value::SimpleString(String::from_utf8_lossy(rest).into_owned())),
            b'-' => Ok(Value::ServerError(ServerError::of(&String::from_utf8_lossy(rest)))),
            b':' => Ok(Value::Int(number(rest)?)),
            b'$' => match length(rest)? {
                None => Ok(Value::Nil),
                Some(length) => self.bulk(length),
            },
            b'*' => match length(rest)? {
                None => Ok(Value::Nil),
                Some(count) => self.list(count, depth),
            },
            _ => Err(Stop::Broken("its answer is not of the protocol: is this Redis or Valkey?")),
        }
    }

    fn list(&mut self, count: usize, depth: usize) -> Result<Value, Stop> {
        // Each item has three bytes at least, so a false count cannot ask for memory.
        let mut items = Vec::with_capacity(count.min(self.bytes.len() / 3));
        for _ in 0..count {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    fn bulk(&mut self, length: usize) -> Result<Value, Stop> {
        let end = self.at + length;
        let bytes = self.bytes.get(self.at..end).ok_or(Stop::Short)?.to_vec();
        match self.bytes.get(end..end + 2) {
            None => Err(Stop::Short),
            Some(b"\r\n") => {
                self.at = end + 2;
                Ok(Value::BulkString(bytes))
            }
            Some(_) => Err(Stop::Broken("its answer has another length than it says")),
        }
    }

    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or(Stop::Short)?;
        self.at += end + 2;
        Ok(&rest[..end])
    }
}

fn number(text: &[u8]) -> Result<i64, Stop> {
    let text = std::str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok()).ok_or(Stop::Broken("its answer has no number"))
}

/// A length; `None` is the protocol's −1, which stands for nothing.
fn length(text: &[u8]) -> Result<Option<usize>, Stop> {
    match number(text)? {
        -1 => Ok(None),
        number => match usize::try_from(number) {
            Ok(length) if length <= ANSWER_MAX => Ok(Some(length)),
            Ok(_) | Err(_) => Err(Stop::Broken("its answer is too large")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Value {
        let (value, used) = answer(bytes).expect("an answer").expect("a whole one");
        assert_eq!(used, bytes.len());
        value
    }

    #[test]
    fn every_shape_of_an_answer_is_read() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        assert_eq!(whole(b"+OK\r\n"), Value::SimpleString("OK".to_owned()));
        assert_eq!(whole(b":-42\r\n"), Value::Int(-42));
        assert_eq!(whole(b"$-1\r\n"), Value::Nil);
        assert_eq!(whole(b"*-1\r\n"), Value::Nil);
        assert_eq!(whole(b"$4\r\na\r\nb\r\n"), bulk("a\r\nb"));
        assert_eq!(whole(b"*2\r\n$1\r\nx\r\n*1\r\n:7\r\n").items()[1].ints(), Some(vec![7]));
        let refused = ServerError { code: "NOSCRIPT".to_owned(), text: "No matching".to_owned() };
        assert_eq!(whole(b"-NOSCRIPT No matching\r\n"), Value::ServerError(refused));
    }

    #[test]
    fn what_is_no_answer_ends_the_connection_and_asks_for_no_memory() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"$999999999999\r\n",
            b"*-7\r\n",
            b":x\r\n",
            b"$1\r\nxyz\r\n",
            b"\r\n",
        ] {
            assert!(answer(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
        assert!(answer(&b"*1\r\n".repeat(20)).is_err(), "nested without end");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<i64>().prop_map(Value::Int),
            "[A-Za-z ]{0,12}".prop_map(Value::SimpleString),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::BulkString),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            proptest::collection::vec(inner, 0..6).prop_map(Value::Array)
        })
    }

    fn bytes_of(value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Nil => out.extend_from_slice(b"$-1\r\n"),
            Value::Int(number) => out.extend_from_slice(format!(":{number}\r\n").as_bytes()),
            Value::SimpleString(text) => out.extend_from_slice(format!("+{text}\r\n").as_bytes()),
            Value::BulkString(bytes) => {
                push_length(out, b'$', bytes.len());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Value::Array(items) => {
                push_length(out, b'*', items.len());
                for item in items {
                    bytes_of(item, out);
                }
            }
            Value::ServerError(error) => {
                out.extend_from_slice(format!("-{} {}\r\n", error.code, error.text).as_bytes());
            }
        }
    }

    proptest! {
        #[test]
        fn an_answer_is_the_same_however_it_arrives(value in any_value(), cut in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            bytes_of(&value, &mut bytes);
            let cut = cut.index(bytes.len());
            prop_assert_eq!(answer(&bytes[..cut]).expect("no fault"), None);
            bytes.extend_from_slice(b"+next\r\n");
            let (read, used) = answer(&bytes).expect("no fault").expect("whole");
            prop_assert_eq!(read, value);
            prop_assert_eq!(&bytes[used..], b"+next\r\n");
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = answer(&bytes);
        }
    }
}
