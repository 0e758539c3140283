//! What a key may be used for.

use alloc::string::String;
use alloc::vec::Vec;
use core::str::FromStr;

/// One use of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Chat completions.
    Chat,
    /// Responses.
    Responses,
    /// Completions.
    Completions,
    /// Embeddings.
    Embeddings,
    /// Images.
    Images,
    /// Speech, transcription and translation.
    Audio,
    /// Moderations.
    Moderations,
    /// Listing models.
    Models,
    /// Files, uploads and batches.
    Files,
    /// Assistants, threads, runs and vector stores.
    Assistants,
    /// Paths that Mainstay does not know, and the vendor's administration paths.
    Passthrough,
    /// Only calls that change nothing: `GET` and `HEAD`.
    ReadOnly,
}

impl Scope {
    /// Every scope, in the order of the documentation.
    pub const ALL: [Scope; 12] = [
        Scope::Chat,
        Scope::Responses,
        Scope::Completions,
        Scope::Embeddings,
        Scope::Images,
        Scope::Audio,
        Scope::Moderations,
        Scope::Models,
        Scope::Files,
        Scope::Assistants,
        Scope::Passthrough,
        Scope::ReadOnly,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Chat => "chat",
            Scope::Responses => "responses",
            Scope::Completions => "completions",
            Scope::Embeddings => "embeddings",
            Scope::Images => "images",
            Scope::Audio => "audio",
            Scope::Moderations => "moderations",
            Scope::Models => "models",
            Scope::Files => "files",
            Scope::Assistants => "assistants",
            Scope::Passthrough => "passthrough",
            Scope::ReadOnly => "read_only",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The text is not the name of a [`Scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAScope;

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Scope, NotAScope> {
        Scope::ALL.into_iter().find(|scope| scope.name() == text).ok_or(NotAScope)
    }
}

/// A set of scopes. Without a family of endpoints named in it, every family is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u16);

impl Scopes {
    const NOT_FAMILIES: u16 = Scope::Passthrough.bit() | Scope::ReadOnly.bit();

    /// These scopes with one more.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Scopes {
        Scopes(self.0 | scope.bit())
    }

    /// Whether a call of this family may be made; for [`Scope::Passthrough`] and
    /// [`Scope::ReadOnly`], whether the set names them.
    pub const fn allows(self, scope: Scope) -> bool {
        let named = self.0 & scope.bit() != 0;
        let no_family = self.0 & !Scopes::NOT_FAMILIES == 0;
        named || (no_family && scope.bit() & Scopes::NOT_FAMILIES == 0)
    }

    /// The scopes named, in the order of the documentation.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }

    /// Their names, joined by commas; empty for none.
    pub fn to_text(self) -> String {
        let names: Vec<&str> = self.iter().map(Scope::name).collect();
        names.join(",")
    }

    /// Reads names joined by commas; blanks around them do not count. The error is the name that
    /// is none.
    pub fn from_text(text: &str) -> Result<Scopes, String> {
        let mut scopes = Scopes::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            scopes = scopes.with(name.parse().map_err(|NotAScope| String::from(name))?);
        }
        Ok(scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_as_written() {
        for scope in Scope::ALL {
            let one = Scopes::default().with(scope);
            assert_eq!(Scopes::from_text(&one.to_text()), Ok(one));
        }
        assert_eq!(Scopes::from_text(" chat, nonsense"), Err(String::from("nonsense")));
    }

    #[test]
    fn without_a_family_every_family_is_allowed_and_passthrough_must_be_named() {
        let none = Scopes::default();
        let pass = none.with(Scope::Passthrough);
        let chat = none.with(Scope::Chat);
        assert!(none.allows(Scope::Files) && !none.allows(Scope::Passthrough));
        assert!(pass.allows(Scope::Files) && pass.allows(Scope::Passthrough));
        assert!(chat.allows(Scope::Chat) && !chat.allows(Scope::Files));
        assert!(!chat.allows(Scope::ReadOnly));
    }
}
