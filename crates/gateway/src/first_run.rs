//! The first start: one key and one admin token are made, shown once, and never again.
//!
//! Only hashes are stored, so neither can be shown later. The token goes to a terminal, else to a
//! file that only its owner can read, beside the store: logs keep what is printed.

use std::io::Write;
use std::path::{Path, PathBuf};

use mainstay_core::keys::KeyText;
use mainstay_core::policy::ProviderKind;
use mainstay_core::store::{Digest, NewKey, Scope, Scopes, Store, StoreError, UnixMillis};
use mainstay_store::{digest, mint, random_token, same_digest};

use crate::config::{Config, Secret, Upstream};

const KEY_NOTE: &str = "first_key";
const TOKEN_NOTE: &str = "admin_token_sha256";

/// What a start made, and what the administration plane lets in.
#[derive(Debug)]
pub struct FirstRun {
    /// The first key, when this start made it.
    pub key: Option<KeyText>,
    /// Who may administrate.
    pub admin: AdminAuth,
    /// Where the token of the administration plane is to be found.
    pub token: TokenPlace,
}

/// Where the admin token is.
#[derive(Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// In the configuration.
    Configured,
    /// Made by this start: to be shown on the terminal, once.
    Shown(Secret),
    /// Made by this start and written to this file.
    Written(PathBuf),
    /// Made by an earlier start.
    Earlier,
}

/// Tells the admin token from everything else. Holds its hash only.
#[derive(Clone, Debug)]
pub struct AdminAuth(Digest);

impl AdminAuth {
    /// Whether this is the token. Takes any bytes; the time taken does not tell how near they are.
    pub fn admits(&self, presented: &[u8]) -> bool {
        same_digest(&self.0, &digest(presented))
    }
}

/// Makes what the store does not have yet. `terminal`: whether a person sees what is printed.
///
/// # Errors
///
/// The store failed, or the token's file could not be written; nothing was made then.
pub fn first_run(
    store: &dyn Store,
    config: &Config,
    terminal: bool,
    now: UnixMillis,
) -> Result<FirstRun, StoreError> {
    let (admin, token) = admin_token(store, config, terminal)?;
    let key = first_key(store, now)?;
    Ok(FirstRun { key, admin, token })
}

/// A key with every right, unless there is or was a key already.
fn first_key(store: &dyn Store, now: UnixMillis) -> Result<Option<KeyText>, StoreError> {
    if store.note(KEY_NOTE)?.is_some() {
        return Ok(None);
    }
    let has_keys = !store.keys()?.is_empty();
    let key = mint()?;
    // Of several starts at once, the one that writes the note makes the key.
    let public = key.public();
    let value = if has_keys { "made by command" } else { public.as_str() };
    if !store.note_once(KEY_NOTE, value)? || has_keys {
        return Ok(None);
    }
    let new = NewKey {
        public: key.public(),
        digest: digest(key.secret().as_bytes()),
        name: "first".to_owned(),
        project: None,
        user: None,
        scopes: Scopes::default().with(Scope::Passthrough),
        models: Vec::new(),
        expires_at: None,
    };
    store.create_key(new, now)?;
    Ok(Some(key))
}

fn admin_token(
    store: &dyn Store,
    config: &Config,
    terminal: bool,
) -> Result<(AdminAuth, TokenPlace), StoreError> {
    if let Some(token) = &config.admin.token {
        let auth = AdminAuth(digest(token.expose().as_bytes()));
        return Ok((auth, TokenPlace::Configured));
    }
    if let Some(known) = stored_token(store)? {
        return Ok((known, TokenPlace::Earlier));
    }
    let token = random_token()?;
    let made = digest(token.as_bytes());
    let hex: String =
        made.0.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(nibble).collect();
    let place = if terminal {
        TokenPlace::Shown(Secret::new(token))
    } else {
        // A store in PostgreSQL has no file to be beside.
        let store = config.store_path().unwrap_or_else(|| Path::new("mainstay"));
        let path = store.with_extension("admin-token");
        write_token(&path, &token)?;
        TokenPlace::Written(path)
    };
    if store.note_once(TOKEN_NOTE, &hex)? {
        return Ok((AdminAuth(made), place));
    }
    // Another start was first; its token holds.
    let known = stored_token(store)?.unwrap_or(AdminAuth(made));
    Ok((known, TokenPlace::Earlier))
}

fn nibble(value: u8) -> Option<char> {
    char::from_digit(u32::from(value), 16)
}

fn stored_token(store: &dyn Store) -> Result<Option<AdminAuth>, StoreError> {
    let Some(hex) = store.note(TOKEN_NOTE)? else { return Ok(None) };
    let nibbles: Vec<u8> =
        hex.chars().filter_map(|c| c.to_digit(16)).filter_map(|n| u8::try_from(n).ok()).collect();
    let bytes: Vec<u8> = nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let bytes = bytes.try_into().map_err(|_| StoreError::Surroundings {
        what: "read the admin token's hash from the store".to_owned(),
        why: "it is not 64 hexadecimal digits".to_owned(),
        fix: "set `admin.token` in the configuration; it wins over the stored one".to_owned(),
    })?;
    Ok(Some(AdminAuth(Digest(bytes))))
}

/// Writes the token to a new file that only its owner can read.
fn write_token(path: &Path, token: &str) -> Result<(), StoreError> {
    let write = || -> std::io::Result<()> {
        match std::fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        writeln!(file, "{token}")?;
        file.sync_all()
    };
    write().map_err(|error| StoreError::Surroundings {
        what: format!("write the admin token to `{}`", path.display()),
        why: error.to_string(),
        fix: "give this user the right to write there, or set `admin.token`".to_owned(),
    })
}

impl FirstRun {
    /// What to print at start, in lines; `url` is the data plane's, such as
    /// `http://127.0.0.1:8080`. Holds the key and the token when this start made them.
    pub fn welcome(&self, config: &Config, url: &str) -> String {
        let mut lines = Vec::new();
        if config.uses_simulator() {
            let what = "No upstream is configured: the built-in simulator answers.";
            let fix = "Set OPENAI_API_KEY, or write a configuration with `mainstay config init`.";
            lines.extend([what.to_owned(), fix.to_owned()]);
        }
        if let Some(key) = &self.key {
            let key = key.expose();
            lines.push(format!("Your first key, shown this once: {key}"));
            lines.extend(["Try it:".to_owned(), format!("  {}", curl(config, url, key))]);
        }
        match &self.token {
            TokenPlace::Shown(token) => {
                lines.push(format!("Admin token, shown this once: {}", token.expose()));
            }
            TokenPlace::Written(path) => lines.push(format!("Admin token: in {}", path.display())),
            TokenPlace::Configured | TokenPlace::Earlier => {}
        }
        lines.push(String::new()); // The text ends with a line's end.
        lines.join("\n")
    }
}

/// A command that works as pasted: a chat with a model that is known to be there, else the list.
fn curl(config: &Config, url: &str, key: &str) -> String {
    let Some(model) = known_model(config) else {
        return format!("curl {url}/v1/models -H 'Authorization: Bearer {key}'");
    };
    let model = model.replace(['\'', '"', '\\'], "");
    format!(
        "curl {url}/v1/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \
         -d '{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'"
    )
}

fn known_model(config: &Config) -> Option<&str> {
    let routed = config.routes.iter().map(|route| route.route.model.as_str());
    let listed =
        config.providers.iter().flat_map(|p| p.models.iter().flatten().map(String::as_str));
    let vendor = |p: &crate::config::ProviderConfig| {
        p.models.is_none() && (p.kind == ProviderKind::OpenAi || p.upstream == Upstream::Simulator)
    };
    let usual = config.providers.iter().any(vendor).then_some("gpt-4o-mini");
    routed.chain(listed).find(|model| !model.ends_with('*')).or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};
    use mainstay_store::{KeySnapshot, Memory, Verdict};

    const NOW: UnixMillis = UnixMillis(1);

    fn config(text: &str) -> Config {
        parse("f", text, &Environment::default()).unwrap()
    }

    #[test]
    fn the_first_start_makes_a_key_and_a_token_and_the_second_makes_none() {
        let (store, config) = (Memory::new(), config(""));
        let first = first_run(&store, &config, true, NOW).unwrap();
        let key = first.key.as_ref().unwrap();
        let snapshot = KeySnapshot::default().apply(store.changes_since(0).unwrap());
        let Verdict::Known { key: record, .. } = snapshot.verify(key.expose().as_bytes(), NOW)
        else {
            panic!("the first key is not known");
        };
        assert!(record.scopes.allows(Scope::Passthrough) && record.scopes.allows(Scope::Chat));
        let TokenPlace::Shown(token) = &first.token else { panic!("{:?}", first.token) };
        assert!(first.admin.admits(token.expose().as_bytes()));

        let second = first_run(&store, &config, true, NOW).unwrap();
        assert!(second.key.is_none());
        assert_eq!(second.token, TokenPlace::Earlier);
        assert!(second.admin.admits(token.expose().as_bytes()));
        assert!(!second.admin.admits(b"") && !second.admin.admits(b"\xff\xfe"));
        assert_eq!(store.keys().unwrap().len(), 1);
    }

    #[test]
    fn no_key_is_made_beside_keys_that_are_there() {
        let (store, config) = (Memory::new(), config(""));
        let key = mint().unwrap();
        let new = NewKey {
            public: key.public(),
            digest: digest(key.secret().as_bytes()),
            name: "mine".to_owned(),
            project: None,
            user: None,
            scopes: Scopes::default(),
            models: Vec::new(),
            expires_at: None,
        };
        store.create_key(new, NOW).unwrap();
        assert!(first_run(&store, &config, true, NOW).unwrap().key.is_none());
    }

    #[test]
    fn without_a_terminal_the_token_is_in_a_file_of_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let config = config(&format!("[store]\nurl = \"sqlite:{}\"\n", path.display()));
        let first = first_run(&Memory::new(), &config, false, NOW).unwrap();
        let TokenPlace::Written(file) = &first.token else { panic!("{:?}", first.token) };
        assert_eq!(file, &folder.path().join("s.admin-token"));
        let token = std::fs::read_to_string(file).unwrap();
        assert!(first.admin.admits(token.trim().as_bytes()));
        assert!(!first.welcome(&config, "http://h").contains(token.trim()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_configured_token_wins() {
        let config = config("[admin]\ntoken = \"0123456789abcdef\"\n");
        let first = first_run(&Memory::new(), &config, true, NOW).unwrap();
        assert_eq!(first.token, TokenPlace::Configured);
        assert!(first.admin.admits(b"0123456789abcdef"));
    }

    #[test]
    fn the_welcome_has_a_line_to_paste_and_says_who_answers() {
        let config = config("");
        let first = first_run(&Memory::new(), &config, true, NOW).unwrap();
        let text = first.welcome(&config, "http://127.0.0.1:8080");
        assert!(text.contains("the built-in simulator answers"), "{text}");
        let key = first.key.as_ref().unwrap().expose();
        let line = text.lines().find(|line| line.trim().starts_with("curl ")).unwrap();
        assert!(line.contains("http://127.0.0.1:8080/v1/chat/completions") && line.contains(key));
        assert!(!format!("{first:?}").contains(key), "Debug shows no key");
    }
}
