//! The books of shared limits, kept on the server: what a node has to say is one script, whatever it is
//! about, and the script is the rule of `mainstay_core::rules::lease`.

use mainstay_core::rules::lease::{
    Ask, Message, PlacesAsk, PlacesTold, RateAsk, RateTold, Reply, Told, Wish,
};

use super::link::{Link, LinkError};
use super::resp::{ServerError, Value};
use super::script::Script;

/// Its keys carry the same version: another meaning of them is another number.
static LIMITS: Script = Script::new("limits/2", include_str!("limits.lua"));

/// Says what a node has to say about the limits of an organization. Not sent twice: without an answer it
/// may have been heard.
///
/// # Errors
///
/// There is no answer, or none that makes sense.
pub async fn serve_limits(
    link: &Link,
    node: &str,
    org: &str,
    message: &Message,
) -> Result<Reply, LinkError> {
    let (keys, args) = words(node, org, message);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let args: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
    let value = link.script(&LIMITS, &keys, &args).await?;
    read(message, &value).ok_or_else(|| {
        let text = "the answer of the script `limits/2` makes no sense".to_owned();
        LinkError::Refused(ServerError { code: "MAINSTAY".to_owned(), text })
    })
}

/// Keys and arguments of a message.
fn words(node: &str, org: &str, message: &Message) -> (Vec<String>, Vec<String>) {
    let mut keys = vec![format!("{{{org}}}:limits:v2:seen:{node}")];
    let mut args = vec![message.number.to_string(), message.nodes.to_string(), node.to_owned()];
    for Ask { id, measure, wish } in &message.asks {
        keys.push(format!("{{{org}}}:limits:v2:{id}:{}", measure.name()));
        match wish {
            Wish::Rate(ask) => {
                let RateAsk { limit, room, back, age, spent, need, want, count, floor } = ask;
                args.push("r".to_owned());
                let all = [limit, room, back, age, spent, need, want, count, floor];
                args.extend(all.map(ToString::to_string));
            }
            Wish::Places(ask) => {
                let PlacesAsk { limit, in_use, need, want, life } = ask;
                args.push("p".to_owned());
                args.extend([limit, in_use, need, want, life].map(ToString::to_string));
            }
        }
    }
    (keys, args)
}

/// What the script answered.
fn read(message: &Message, value: &Value) -> Option<Reply> {
    let number = |value: &Value| u64::try_from(value.as_int()?).ok();
    let items = value.items();
    if items.first()?.as_int()? == -1 {
        return Some(Reply::Stale(number(items.get(1)?)?));
    }
    let told = message.asks.iter().zip(items.get(1..)?.chunks_exact(3)).map(|(ask, told)| {
        let [first, second, third] = told else { return None };
        let (first, second, third) = (number(first)?, number(second)?, number(third)?);
        Some(match ask.wish {
            Wish::Rate(_) => Told::Rate(RateTold { granted: first, debt: second, count: third }),
            Wish::Places(_) => Told::Places(PlacesTold { held: first, others: second }),
        })
    });
    let told: Vec<Told> = told.collect::<Option<_>>()?;
    (told.len() == message.asks.len()).then_some(Reply::Told(told))
}

#[cfg(test)]
mod tests;
