//! From where a key may be used: the rules of `[[access]]`, put to each call.
//!
//! Every rule about the key, its project and its organization must let the call in. What cannot be
//! known counts against the caller: an address that no proxy could name is in no allowed range, and
//! a country that nobody knows is `XX`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderName;
use mainstay::Fields;
use mainstay_core::failure::{Kind, Scope};
use mainstay_core::keys::PublicPart;
use mainstay_core::store::{KeyRecord, public_of_id};
use mainstay_store::KeySnapshot;

use crate::config::{AccessFor, Cidr, Config, ConfigFault, Gate};
use crate::refused::Refused;

mod address;
mod geo;
mod subjects;

pub use geo::Geo;
pub use subjects::unknown_subjects;

use address::Client;

/// The country of a caller of whom nobody knows where he is. Reserved by ISO 3166 for users' own
/// purposes; CDNs send it in this meaning.
const NOWHERE: [u8; 2] = *b"XX";

/// Who may call from where, and how it is told where he is.
#[derive(Clone, Debug, Default)]
pub struct Access {
    rules: Arc<Rules>,
    trusted: Arc<[Cidr]>,
    country_header: Option<HeaderName>,
    geo: Option<Arc<Geo>>,
}

/// The rules by whom they are about.
#[derive(Debug, Default)]
struct Rules {
    orgs: HashMap<Box<str>, Vec<Rule>>,
    projects: HashMap<Box<str>, Vec<Rule>>,
    keys: HashMap<PublicPart, Vec<Rule>>,
}

#[derive(Clone, Debug)]
struct Rule {
    countries: Gate<[u8; 2]>,
    ranges: Gate<Cidr>,
}

impl Access {
    /// The rules of a configuration, and the database if it names one.
    ///
    /// # Errors
    ///
    /// The database cannot be used.
    pub fn of(config: &Config) -> Result<Access, ConfigFault> {
        let geo = config.server.geoip_db.as_deref().map(Geo::open).transpose();
        let geo = geo.map_err(|fault| fault.in_file(config))?.map(Arc::new);
        Ok(Access { geo, ..Access::without_database(config) })
    }

    /// The rules of a configuration; countries are told by a proxy's header only.
    pub fn without_database(config: &Config) -> Access {
        let server = &config.server;
        let header = server.country_header.as_deref();
        Access {
            rules: Arc::new(Rules::of(config)),
            trusted: server.trusted_proxies.clone().into(),
            country_header: header.and_then(|name| name.parse().ok()),
            geo: None,
        }
    }

    /// Whether a call with this key may come from there.
    pub(crate) fn check(
        &self,
        key: &KeyRecord,
        book: &KeySnapshot,
        headers: &Fields,
        peer: Option<IpAddr>,
    ) -> Result<(), Refused> {
        if self.rules.is_empty() {
            return Ok(());
        }
        let client = address::client(peer, headers, &self.trusted);
        for (whose, rule) in self.rules.about(key, book) {
            rule.check_range(whose, client)?;
            if rule.countries != Gate::Any {
                rule.check_country(whose, self.country(headers, peer, client))?;
            }
        }
        Ok(())
    }

    /// The caller's country: as a trusted proxy says, else as the database has his address.
    fn country(&self, headers: &Fields, peer: Option<IpAddr>, client: Client) -> [u8; 2] {
        let told =
            self.country_header.as_ref().filter(|_| address::is_trusted(peer, &self.trusted));
        if let Some(told) = told.and_then(|name| told_country(headers, name)) {
            return told;
        }
        match (&self.geo, client) {
            (Some(geo), Client::At(address)) => geo.country(address).unwrap_or(NOWHERE),
            (Some(_), Client::Unknown) | (None, _) => NOWHERE,
        }
    }
}

/// The country in a header. Two of them, as when a caller's own was left in, tell nothing.
fn told_country(headers: &Fields, name: &HeaderName) -> Option<[u8; 2]> {
    let mut values = headers.all(name.as_str());
    let code = <[u8; 2]>::try_from(values.next()?.trim_ascii()).ok()?;
    if values.next().is_some() {
        return Some(NOWHERE);
    }
    Some(code.map(|letter| letter.to_ascii_uppercase()))
}

impl Rules {
    fn of(config: &Config) -> Rules {
        let mut rules = Rules::default();
        for found in &config.access {
            let rule = Rule { countries: found.countries.clone(), ranges: found.ranges.clone() };
            match &found.subject {
                AccessFor::Org(name) => {
                    rules.orgs.entry(name.as_str().into()).or_default().push(rule);
                }
                AccessFor::Project(name) => {
                    rules.projects.entry(name.as_str().into()).or_default().push(rule);
                }
                // An id that is none is a fault of the configuration, told at start.
                AccessFor::Key(id) => {
                    if let Some(public) = public_of_id(id) {
                        rules.keys.entry(public).or_default().push(rule);
                    }
                }
            }
        }
        rules
    }

    fn is_empty(&self) -> bool {
        self.orgs.is_empty() && self.projects.is_empty() && self.keys.is_empty()
    }

    /// Every rule that this key must pass, by id and by name, and whose it is.
    fn about<'r>(
        &'r self,
        key: &KeyRecord,
        book: &KeySnapshot,
    ) -> impl Iterator<Item = (&'static str, &'r Rule)> {
        let org =
            book.organization(&key.org).map(|org| &*org.name).filter(|name| **name != *key.org);
        let project =
            book.project(&key.project).map(|one| &*one.name).filter(|name| **name != *key.project);
        // A rule about a key holds for the one that took its place.
        let lineage = if self.keys.is_empty() { 0 } else { usize::MAX };
        let keys = book.lineage(key.public).take(lineage);
        let keys = keys.map(|public| ("key", self.keys.get(&public)));
        let lists = [
            ("project", self.projects.get(&key.project)),
            ("project", project.and_then(|name| self.projects.get(name))),
            ("organization", self.orgs.get(&key.org)),
            ("organization", org.and_then(|name| self.orgs.get(name))),
        ];
        keys.chain(lists)
            .flat_map(|(whose, list)| list.into_iter().flatten().map(move |rule| (whose, rule)))
    }
}

impl Rule {
    fn check_range(&self, whose: &str, client: Client) -> Result<(), Refused> {
        let address = match (&self.ranges, client) {
            (Gate::Any, _) => return Ok(()),
            (Gate::Allow(_) | Gate::Deny(_), Client::Unknown) => None,
            (Gate::Allow(ranges), Client::At(address)) => {
                if ranges.iter().any(|range| range.contains(address)) {
                    return Ok(());
                }
                Some(address)
            }
            (Gate::Deny(ranges), Client::At(address)) => {
                if !ranges.iter().any(|range| range.contains(address)) {
                    return Ok(());
                }
                Some(address)
            }
        };
        let message = match address {
            Some(address) => format!(
                "The address {address} is not authorized: the access rule of this key's {whose} does not let it in. \
                 Call from an allowed network, or ask the operator to change the rule."
            ),
            None => format!(
                "Your address is not known, and the access rule of this key's {whose} lets only known addresses in: \
                 a proxy in between names no address in X-Forwarded-For. The operator has to correct that proxy."
            ),
        };
        Err(Refused::key(Kind::IpNotAuthorized, message))
    }

    fn check_country(&self, whose: &str, country: [u8; 2]) -> Result<(), Refused> {
        let welcome = match &self.countries {
            Gate::Any => true,
            Gate::Allow(list) => list.contains(&country),
            Gate::Deny(list) => !list.contains(&country),
        };
        if welcome {
            return Ok(());
        }
        let place = if country == NOWHERE {
            "a place that could not be told".to_owned()
        } else {
            String::from_utf8_lossy(&country).into_owned()
        };
        let message = format!(
            "Country, region, or territory not supported: the call comes from {place}, and the access rule of this \
             key's {whose} does not let that in. Call from a supported place, or ask the operator to change the rule."
        );
        Err(Refused { scope: Scope::Region, ..Refused::key(Kind::UnsupportedRegion, message) })
    }
}

#[cfg(test)]
mod tests;
