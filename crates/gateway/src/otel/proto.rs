//! Spans as OTLP's protobuf: the few messages that a trace of calls needs.
//!
//! Source: opentelemetry-proto 1.9, `trace/v1/trace.proto`, `common/v1/common.proto`,
//! `resource/v1/resource.proto`, `collector/trace/v1/trace_service.proto`, read 2026-11. The tests read
//! what is written here with the project's own generated types.

/// A span, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) trace_id: u128,
    /// Its own id.
    pub(crate) id: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Nanoseconds since 1970.
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did.
    pub(crate) error: Option<String>,
}

/// Which side of a call a span is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Server = 2,
    Client = 3,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Texts(Vec<String>),
    Flag(bool),
    Whole(i64),
    Real(f64),
}

/// The bit of a span's flags that says it was recorded by decision of whoever began the trace.
const SAMPLED: u32 = 1;
/// `STATUS_CODE_ERROR`.
const STATUS_ERROR: u64 = 2;

/// An `ExportTraceServiceRequest`.
pub(crate) fn request(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let mut scope = Message::default();
    scope.message(1, |scope| {
        scope.text(1, "mainstay");
        scope.text(2, env!("CARGO_PKG_VERSION"));
    });
    for span in spans {
        scope.message(2, |message| write_span(message, span));
    }
    let mut out = Message::default();
    out.message(1, |all| {
        all.message(1, |message| {
            for (key, value) in resource {
                message.message(1, |pair| write_text(pair, key, value));
            }
        });
        all.bytes(2, &scope.0);
    });
    out.0
}

fn write_span(message: &mut Message, span: &Span) {
    message.bytes(1, &span.trace_id.to_be_bytes());
    message.bytes(2, &span.id.to_be_bytes());
    if let Some(parent) = span.parent {
        message.bytes(4, &parent.to_be_bytes());
    }
    message.text(5, &span.name);
    message.number(6, span.kind as u64);
    message.fixed64(7, span.start);
    message.fixed64(8, span.end);
    for (key, value) in &span.attributes {
        message.message(9, |pair| {
            pair.text(1, key);
            pair.message(2, |any| write_value(any, value));
        });
    }
    if let Some(error) = &span.error {
        message.message(15, |status| {
            status.text(2, error);
            status.number(3, STATUS_ERROR);
        });
    }
    message.fixed32(16, SAMPLED);
}

fn write_text(pair: &mut Message, key: &str, value: &str) {
    pair.text(1, key);
    pair.message(2, |any| any.text(1, value));
}

fn write_value(any: &mut Message, value: &Value) {
    match value {
        Value::Text(text) => any.text(1, text),
        Value::Texts(texts) => any.message(5, |array| {
            for text in texts {
                array.message(1, |one| one.text(1, text));
            }
        }),
        Value::Flag(flag) => any.number(2, u64::from(*flag)),
        // Negative numbers are two's complement in ten bytes; none is sent here.
        Value::Whole(number) => any.number(3, number.cast_unsigned()),
        Value::Real(number) => any.fixed64(4, number.to_bits()),
    }
}

/// Bytes of a protobuf message under way.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn tag(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    fn varint(&mut self, mut number: u64) {
        loop {
            let low = u8::try_from(number & 0x7F).unwrap_or(0);
            number >>= 7;
            if number == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    fn number(&mut self, field: u32, number: u64) {
        self.tag(field, 0);
        self.varint(number);
    }

    fn fixed64(&mut self, field: u32, bits: u64) {
        self.tag(field, 1);
        self.0.extend_from_slice(&bits.to_le_bytes());
    }

    fn fixed32(&mut self, field: u32, number: u32) {
        self.tag(field, 5);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u32, write: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }
}
