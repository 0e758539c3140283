//! Lists of stored objects: bounded, in the order in which they were made, told page by page.

use crate::provider::refusal::Refusal;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// The most objects that one page has. Source: OpenAI API description of 2026-08, `limit`.
const PAGE_MAX: usize = 100;
/// The objects of a page that asks for no number.
const PAGE: usize = 20;

/// Objects of one family. The oldest goes when there is no more room.
#[derive(Debug)]
pub(crate) struct Table {
    items: VecDeque<Value>,
    max: usize,
}

/// The part of a path after `?`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Query<'a>(pub(crate) &'a str);

impl<'a> Query<'a> {
    /// The value of a parameter, as it stands.
    pub(crate) fn get(self, name: &str) -> Option<&'a str> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(key, value)| *key == name && !value.is_empty())
            .map(|(_, value)| value)
            .next()
    }
}

impl Table {
    /// A list with room for `max` objects.
    pub(crate) fn new(max: usize) -> Table {
        Table { items: VecDeque::new(), max }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Value> {
        self.items.iter().rev().find(|item| item["id"] == id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Value> {
        self.items.iter_mut().rev().find(|item| item["id"] == id)
    }

    pub(crate) fn push(&mut self, item: Value) {
        push(&mut self.items, item, self.max);
    }

    /// Takes one out; whether it was there.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let before = self.items.len();
        self.items.retain(|item| item["id"] != id);
        self.items.len() < before
    }

    /// The oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.items.iter()
    }

    /// The object, one made up for this id if there is one to take, or the refusal.
    pub(crate) fn open(
        &mut self,
        id: &str,
        what: &str,
        made_up: Option<Value>,
    ) -> Result<&mut Value, Refusal> {
        if let Some(made_up) = made_up.filter(|_| self.get(id).is_none()) {
            self.push(made_up);
        }
        self.get_mut(id).ok_or_else(|| absent(what, id))
    }

    /// Deletes, and says so.
    pub(crate) fn delete(&mut self, id: &str, what: &str, object: &str) -> Result<Value, Refusal> {
        if self.remove(id) { Ok(deleted(id, object)) } else { Err(absent(what, id)) }
    }
}

/// What a deletion is told by.
pub(crate) fn deleted(id: &str, object: &str) -> Value {
    json!({ "id": id, "object": object, "deleted": true })
}

/// Nothing has this id.
pub(crate) fn absent(what: &str, id: &str) -> Refusal {
    Refusal::new(404, format!("No {what} found with id '{id}'."))
}

/// Adds to a bounded list.
pub(crate) fn push<T>(list: &mut VecDeque<T>, item: T, max: usize) {
    if list.len() >= max {
        list.pop_front();
    }
    list.push_back(item);
}

/// One page of a list that is given with the oldest first.
///
/// Source: OpenAI API description of 2026-08: `limit` 1 to 100, `order`, `after` and `before` are ids.
pub(crate) fn page(items: Vec<&Value>, query: Query<'_>, newest_first: bool) -> Value {
    let mut items = items;
    let descending = match query.get("order") {
        Some("asc" | "ascending") => false,
        Some(_) => true,
        None => newest_first,
    };
    if descending {
        items.reverse();
    }
    let place = |name: &str| {
        let id = query.get(name)?;
        items.iter().position(|item| item["id"] == id)
    };
    let (after, before) = (place("after"), place("before"));
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE);
    let limit = limit.clamp(1, PAGE_MAX);
    let from = after.map_or(0, |at| at + 1);
    let to = before.unwrap_or(items.len()).max(from);
    let wanted = &items[from..to];
    // Backwards the page is the one right before the cursor.
    let start = if before.is_some() { wanted.len().saturating_sub(limit) } else { 0 };
    let data = &wanted[start..(start + limit).min(wanted.len())];
    let id = |item: Option<&&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    json!({
        "object": "list", "data": data, "first_id": id(data.first()), "last_id": id(data.last()),
        "has_more": data.len() < wanted.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(page: &Value) -> Vec<&str> {
        page["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
    }

    #[test]
    fn pages_follow_the_cursor_in_both_orders() {
        let items: Vec<Value> = ["a", "b", "c", "d", "e"].map(|id| json!({ "id": id })).into();
        let page = |query| page(items.iter().collect(), Query(query), true);
        let check = |query, want: &[&str], more| {
            let page = page(query);
            assert_eq!(ids(&page), want, "{query}");
            assert_eq!(page["has_more"], more, "{query}");
            assert_eq!(page["first_id"].as_str(), want.first().copied(), "{query}");
            assert_eq!(page["last_id"].as_str(), want.last().copied(), "{query}");
        };
        check("", &["e", "d", "c", "b", "a"], false);
        check("limit=2", &["e", "d"], true);
        check("limit=2&after=d", &["c", "b"], true);
        check("limit=2&after=b", &["a"], false);
        check("order=asc&limit=2&after=b", &["c", "d"], true);
        check("limit=2&before=a", &["c", "b"], true);
        check("after=a", &[], false);
    }

    #[test]
    fn the_oldest_goes_when_there_is_no_more_room() {
        let mut table = Table::new(2);
        for id in ["a", "b", "c"] {
            table.push(json!({ "id": id }));
        }
        assert!(table.get("a").is_none() && table.get("c").is_some());
        assert!(table.open("a", "thing", None).is_err());
        assert!(table.open("a", "thing", Some(json!({ "id": "a" }))).is_ok());
        assert!(table.remove("a") && !table.remove("a"));
    }
}
