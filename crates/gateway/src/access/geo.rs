//! The country of an address, from a MaxMind database file (GeoLite2-Country, GeoIP2-Country,
//! GeoIP2-City and what has their layout), read whole into memory.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::{PathElement, Reader};

use crate::config::{Config, ConfigFault, Severity};

/// Largest database read, bytes. The vendor's country file has about 10 MiB, its city file 60 MiB.
const FILE_MAX: u64 = 512 << 20;

/// A database of countries.
pub struct Geo {
    path: PathBuf,
    reader: Reader<Vec<u8>>,
}

impl std::fmt::Debug for Geo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Geo").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Why a database cannot be used.
#[derive(Debug)]
pub struct NoDatabase {
    path: PathBuf,
    why: String,
}

impl NoDatabase {
    /// As a finding about `server.geoip_db`.
    pub fn in_file(self, config: &Config) -> ConfigFault {
        let file = config.file.as_deref();
        ConfigFault {
            severity: Severity::Error,
            file: file.map_or_else(|| "environment".into(), Path::to_string_lossy).into_owned(),
            line: None,
            what: format!(
                "`server.geoip_db` names `{}`, which cannot be used",
                self.path.display()
            ),
            why: self.why,
            fix: "name a MaxMind database of countries, such as GeoLite2-Country.mmdb".to_owned(),
        }
    }
}

impl Geo {
    /// Reads a database and sees that it tells countries.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no MaxMind database, or one of something else.
    pub fn open(path: &Path) -> Result<Geo, NoDatabase> {
        let refuse = |why: String| NoDatabase { path: path.to_owned(), why };
        let length = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
        if length > FILE_MAX {
            return Err(refuse(format!("it has {length} bytes; {FILE_MAX} are the most")));
        }
        let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        let reader = Reader::from_source(bytes).map_err(|error| refuse(error.to_string()))?;
        let kind = reader.metadata().database_type.clone();
        if !["Country", "City", "Enterprise"].iter().any(|word| kind.contains(word)) {
            return Err(refuse(format!("it is a database of the type `{kind}`, not of countries")));
        }
        Ok(Geo { path: path.to_owned(), reader })
    }

    /// Where an address is, as an ISO 3166 code in capitals; `None` when the database does not know.
    pub(super) fn country(&self, address: IpAddr) -> Option<[u8; 2]> {
        let found = self.reader.lookup(address).ok()?;
        let path = [PathElement::Key("country"), PathElement::Key("iso_code")];
        let code: Option<&str> = found.decode_path(&path).ok()?;
        let code = <[u8; 2]>::try_from(code?.as_bytes()).ok()?;
        Some(code.map(|letter| letter.to_ascii_uppercase()))
    }
}
