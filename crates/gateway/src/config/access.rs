//! `[[access]]`.

use super::fault::words;
use super::reader::{Found, Need, Reader, Section, cut};
use super::server::read_ranges;
use super::values::Cidr;

/// Whom an access rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessFor {
    /// An organization, by id or name.
    Org(String),
    /// A project, by id or name.
    Project(String),
    /// A key, by id.
    Key(String),
}

/// A list that allows or denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate<T> {
    /// Nothing is said.
    Any,
    /// Only these.
    Allow(Vec<T>),
    /// All but these.
    Deny(Vec<T>),
}

/// Who may call from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Whom it is about.
    pub subject: AccessFor,
    /// ISO 3166 codes of two capital letters.
    pub countries: Gate<[u8; 2]>,
    /// Address ranges.
    pub ranges: Gate<Cidr>,
    /// Its line in the file.
    pub line: u32,
}

pub(super) fn read_access(reader: &mut Reader<'_>, root: &Section<'_>) -> Vec<AccessRule> {
    let mut rules = Vec::new();
    for section in reader.list(root, "access") {
        let subject = read_subject(reader, &section);
        let countries =
            gate(reader, &section, ("countries_allow", "countries_deny"), read_countries);
        let ranges = gate(reader, &section, ("cidr_allow", "cidr_deny"), read_ranges);
        if countries == Gate::Any && ranges == Gate::Any {
            let what = format!("`{}` allows and denies nothing", section.shown);
            let fix = "add `countries_deny`, `countries_allow`, `cidr_allow` or `cidr_deny`";
            reader.error(section.line, words(what, "a rule without a list decides nothing", fix));
        }
        if let Some(subject) = subject {
            rules.push(AccessRule { subject, countries, ranges, line: section.line });
        }
    }
    rules
}

fn read_subject(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<AccessFor> {
    let mut subjects = Vec::new();
    let mut named = |key: &str| reader.text(section, key, Need::Optional).map(|found| found.value);
    subjects.extend(named("org").map(AccessFor::Org));
    subjects.extend(named("project").map(AccessFor::Project));
    subjects.extend(named("key").map(AccessFor::Key));
    if subjects.len() != 1 {
        let what =
            format!("`{}` names {} of `org`, `project` and `key`", section.shown, subjects.len());
        let why = "a rule is about exactly one of them";
        reader.error(section.line, words(what, why, "name one; write a second rule for another"));
    }
    subjects.pop()
}

fn gate<T: PartialEq>(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    (allow, deny): (&str, &str),
    read: fn(&mut Reader<'_>, &Section<'_>, &str) -> Vec<T>,
) -> Gate<T> {
    match (Reader::has(section, allow), Reader::has(section, deny)) {
        (false, false) => Gate::Any,
        (true, false) => Gate::Allow(read(reader, section, allow)),
        (false, true) => Gate::Deny(read(reader, section, deny)),
        (true, true) => {
            let what = format!("`{}` has both `{allow}` and `{deny}`", section.shown);
            let why = "which of two lists wins would be a guess";
            reader.error(section.line, words(what, why, "keep one of them"));
            Gate::Allow(Vec::new())
        }
    }
}

fn read_countries(reader: &mut Reader<'_>, section: &Section<'_>, key: &str) -> Vec<[u8; 2]> {
    let mut countries = Vec::new();
    for Found { value, line } in reader.texts(section, key, 300).unwrap_or_default() {
        match <[u8; 2]>::try_from(value.to_ascii_uppercase().as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => countries.push(code),
            Ok(_) | Err(_) => {
                let what = format!(
                    "`{}.{key}` has \"{}\", which is no country code",
                    section.shown,
                    cut(&value)
                );
                let fix = "write two letters, such as \"DE\"";
                reader.error(line, words(what, "codes are those of ISO 3166-1", fix));
            }
        }
    }
    countries
}
