//! What several gateways want of one upstream account, kept on the server for as long as each says: the
//! script is the rule of `mainstay_core::rules::lease::Parts`.

use std::time::Duration;

use mainstay_core::rules::lease::{Others, Wants};

use super::link::{Link, LinkError};
use super::resp::{ServerError, Value};
use super::script::{Script, hash};

/// Its key carries the version since which all that is kept there means the same.
static PACING: Script = Script::new("pacing/2", include_str!("pacing.lua"));

/// Tells what this node wants of an account, and what all others want. Not sent twice: what is lost is told
/// anew before long.
///
/// # Errors
///
/// There is no answer, or none that makes sense.
pub async fn serve_pacing(
    link: &Link,
    node: &str,
    account: &str,
    wants: &Wants,
    life: Duration,
) -> Result<Others, LinkError> {
    let (key, args) = words(node, account, wants, life);
    let args: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
    let value = link.script(&PACING, &[&key], &args).await?;
    read(&value).ok_or_else(|| {
        let text = "the answer of the script `pacing/2` makes no sense".to_owned();
        LinkError::Refused(ServerError { code: "MAINSTAY".to_owned(), text })
    })
}

/// The key and the arguments. Names of accounts may be long, and are nobody's business on the server.
fn words(node: &str, account: &str, wants: &Wants, life: Duration) -> (String, Vec<String>) {
    let mut args = vec![node.to_owned(), life.as_micros().to_string()];
    args.extend(wants.numbers().map(|number| number.to_string()));
    (format!("{{mainstay:{}}}:pacing:v1", hash(account)), args)
}

/// What the script answered.
fn read(value: &Value) -> Option<Others> {
    let number = |value: &Value| u64::try_from(value.as_int()?).ok();
    let numbers: Vec<u64> = value.items().iter().map(number).collect::<Option<_>>()?;
    let [nodes, before, turn, rest @ ..] = numbers.as_slice() else { return None };
    let (sums, known) = rest.split_first_chunk()?;
    Some(Others {
        nodes: *nodes,
        before: *before,
        turn: *turn,
        sums: *sums,
        known: known.try_into().ok()?,
    })
}

#[cfg(test)]
mod tests;
