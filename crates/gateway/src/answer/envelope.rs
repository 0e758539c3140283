//! The error object of our own answers: the four keys that every SDK reads, and beside them all that
//! is wrong with a request.

use bytes::Bytes;
use mainstay_core::catalogue;
use mainstay_core::failure::Kind;
use mainstay_core::policy::CodeSet;
use serde::Serialize;

use crate::refused::Refused;

#[derive(Serialize)]
struct Envelope<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<Vec<FaultObject<'a>>>,
    /// How many faults there are beyond those told.
    #[serde(skip_serializing_if = "Option::is_none")]
    faults_more: Option<usize>,
}

#[derive(Serialize)]
struct FaultObject<'a> {
    code: Option<&'static str>,
    param: Option<&'a str>,
    message: &'a str,
}

/// The error object of a failure, always with all four keys.
pub(super) fn envelope(kind: Kind, codes: CodeSet, param: Option<&str>, message: &str) -> Bytes {
    let entry = catalogue::entry(kind);
    let param = param.or(entry.param);
    let (r#type, code) = names(kind, codes, None);
    written(ErrorObject { message, r#type, param, code, faults: None, faults_more: None })
}

/// The error object of a refusal of our own, with everything that was found wrong.
pub(super) fn refusal_body(refused: &Refused, codes: CodeSet) -> Bytes {
    let (r#type, code) = names(refused.kind, codes, refused.vendor_code);
    let report = refused.faults.as_deref();
    let faults = report.map(|report| {
        let told = report.faults.iter().map(|fault| FaultObject {
            code: names(fault.kind, codes, fault.openai_code).1,
            param: fault.param.as_deref(),
            message: &fault.message,
        });
        told.collect()
    });
    written(ErrorObject {
        message: &refused.message,
        r#type,
        param: refused.param.as_deref().or_else(|| catalogue::entry(refused.kind).param),
        code,
        faults,
        faults_more: report.map(|report| report.more).filter(|more| *more > 0),
    })
}

/// Type and code of a kind in the names asked for; the vendor's more exact code, where there is one.
fn names(
    kind: Kind,
    codes: CodeSet,
    vendor_code: Option<&'static str>,
) -> (&'static str, Option<&'static str>) {
    let entry = catalogue::entry(kind);
    match codes {
        CodeSet::Unified => (entry.unified.r#type, entry.unified.code),
        CodeSet::OpenAi => (entry.openai.r#type, vendor_code.or(entry.openai.code)),
    }
}

fn written(error: ErrorObject<'_>) -> Bytes {
    Bytes::from(serde_json::to_vec(&Envelope { error }).unwrap_or_default())
}
