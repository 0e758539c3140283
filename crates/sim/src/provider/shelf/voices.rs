//! Voices of a caller's own, and the recordings by which their owners consent. Records only.

use super::table::{Table, page};
use super::{OBJECTS_MAX, Shelf, Visit, overlay};
use crate::provider::chat::CREATED;
use crate::provider::refusal::Refusal;
use serde_json::{Value, json};

/// All voices and consents.
#[derive(Debug)]
pub(crate) struct Voices {
    voices: Table,
    consents: Table,
}

impl Voices {
    pub(crate) fn new() -> Voices {
        Voices { voices: Table::new(OBJECTS_MAX), consents: Table::new(OBJECTS_MAX) }
    }
}

impl Shelf {
    /// Answers a request about voices, below `/audio`.
    pub(super) fn voices_at(
        &mut self,
        visit: &Visit<'_>,
        parts: &[&str],
    ) -> Result<Value, Refusal> {
        let text = |name: &str| visit.form.and_then(|form| form.text(name));
        let needed = |name: &str| text(name).ok_or_else(|| Refusal::missing(name));
        match (visit.method, parts) {
            ("POST", ["voices"]) => {
                let kind = text("type").unwrap_or("audio_sample");
                let voice = json!({
                    "id": self.id("voice_"), "object": "audio.voice", "created_at": CREATED,
                    "name": needed("name")?, "type": kind, "prompt": text("prompt"),
                });
                self.voices.voices.push(voice.clone());
                Ok(voice)
            }
            ("DELETE", ["voices", id]) => {
                let object = json!({ "id": id });
                self.voices.voices.open(id, "voice", self.invents.then_some(object))?;
                self.voices.voices.delete(id, "voice", "audio.voice.deleted")
            }
            ("POST", ["voice_consents"]) => {
                let consent =
                    consent_object(&self.id("cons_"), needed("name")?, needed("language")?);
                self.voices.consents.push(consent.clone());
                Ok(consent)
            }
            ("GET", ["voice_consents"]) => {
                Ok(page(self.voices.consents.iter().collect(), visit.query, true))
            }
            ("GET", ["voice_consents", id]) => self.consent(id).cloned(),
            ("POST", ["voice_consents", id]) => {
                let consent = self.consent(id)?;
                overlay(consent, &visit.body, &["name"]);
                Ok(consent.clone())
            }
            ("DELETE", ["voice_consents", id]) => {
                self.consent(id)?;
                self.voices.consents.delete(id, "voice consent", "audio.voice_consent")
            }
            _ => Err(visit.unknown()),
        }
    }

    fn consent(&mut self, id: &str) -> Result<&mut Value, Refusal> {
        let made_up = self.invents.then(|| consent_object(id, "made up", "en-US"));
        self.voices.consents.open(id, "voice consent", made_up)
    }
}

fn consent_object(id: &str, name: &str, language: &str) -> Value {
    json!({
        "id": id, "object": "audio.voice_consent", "created_at": CREATED, "name": name,
        "language": language,
    })
}
