//! The API's resources as thin handles: a path, and the verbs that it has.
//!
//! Requests are anything that serde can write: `json!({…})`, a struct of one's own, a type of any
//! crate of API types. Answers are a [`Value`], or with `…_as` anything that serde can read.

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Answer, Body, Client, Events, Form, json_of};
use crate::error::Error;
use crate::http::HttpUpstream;
use crate::upstream::Upstream;

impl<U: Upstream> Client<U> {
    /// Chat completions.
    pub fn chat(&self) -> Generation<'_, U> {
        Generation { client: self, path: "/chat/completions" }
    }

    /// Legacy completions.
    pub fn completions(&self) -> Generation<'_, U> {
        Generation { client: self, path: "/completions" }
    }

    /// Embeddings.
    pub fn embeddings(&self) -> Generation<'_, U> {
        Generation { client: self, path: "/embeddings" }
    }

    /// Moderations.
    pub fn moderations(&self) -> Generation<'_, U> {
        Generation { client: self, path: "/moderations" }
    }

    /// Responses.
    pub fn responses(&self) -> Responses<'_, U> {
        Responses { client: self }
    }

    /// Models.
    pub fn models(&self) -> Models<'_, U> {
        Models { client: self }
    }

    /// Images.
    pub fn images(&self) -> Images<'_, U> {
        Images { client: self }
    }

    /// Sound.
    pub fn audio(&self) -> Audio<'_, U> {
        Audio { client: self }
    }

    /// Files.
    pub fn files(&self) -> Files<'_, U> {
        Files { client: self }
    }

    /// Batches.
    pub fn batches(&self) -> Batches<'_, U> {
        Batches { client: self }
    }

    /// Assistants.
    pub fn assistants(&self) -> Objects<'_, U> {
        Objects { client: self, path: "/assistants" }
    }

    /// Threads; messages and runs of one are [`Objects::within`] it.
    pub fn threads(&self) -> Objects<'_, U> {
        Objects { client: self, path: "/threads" }
    }
}

macro_rules! handles {
    ($($(#[$meta:meta])* $name:ident { $($field:ident : $kind:ty),* })*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name<'c, U: Upstream = HttpUpstream> {
            client: &'c Client<U>,
            $($field: $kind,)*
        }
    )*};
}

handles! {
    /// An endpoint that answers a request: whole, or as a stream where it has one.
    Generation { path: &'static str }
    /// Responses, and what is kept of them.
    Responses {}
    /// Models.
    Models {}
    /// Images: made, edited, varied.
    Images {}
    /// Sound: spoken, transcribed, translated.
    Audio {}
    /// Files.
    Files {}
    /// Batches of the vendor's own.
    Batches {}
    /// Objects that are made, listed, looked at, changed and taken away.
    Objects { path: &'static str }
}

impl<U: Upstream> Generation<'_, U> {
    /// Sends a request and gives the whole answer.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn create(&self, request: &(impl Serialize + ?Sized)) -> Result<Value, Error> {
        self.create_as(request).await
    }

    /// The same, read as a type of one's own.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer, or an answer of another form.
    pub async fn create_as<T: DeserializeOwned>(
        &self,
        request: &(impl Serialize + ?Sized),
    ) -> Result<T, Error> {
        self.client.post(self.path, request).await
    }

    /// Sends a request and gives the answer as it is made. `stream` is set in the request.
    ///
    /// # Errors
    ///
    /// Whatever keeps the answer from beginning; later ones come in the stream.
    pub async fn stream(&self, request: &(impl Serialize + ?Sized)) -> Result<Events<U>, Error> {
        self.client.events(self.path, request).await
    }
}

impl<'c, U: Upstream> Responses<'c, U> {
    /// Sends a request and gives the whole answer.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn create(&self, request: &(impl Serialize + ?Sized)) -> Result<Value, Error> {
        self.client.post("/responses", request).await
    }

    /// The same, read as a type of one's own.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer, or an answer of another form.
    pub async fn create_as<T: DeserializeOwned>(
        &self,
        request: &(impl Serialize + ?Sized),
    ) -> Result<T, Error> {
        self.client.post("/responses", request).await
    }

    /// Sends a request and gives the answer as it is made. `stream` is set in the request.
    ///
    /// # Errors
    ///
    /// Whatever keeps the answer from beginning; later ones come in the stream.
    pub async fn stream(&self, request: &(impl Serialize + ?Sized)) -> Result<Events<U>, Error> {
        self.client.events("/responses", request).await
    }

    /// Stored responses.
    pub fn stored(&self) -> Objects<'c, U> {
        Objects { client: self.client, path: "/responses" }
    }
}

impl<U: Upstream> Models<'_, U> {
    /// Every model.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn list(&self) -> Result<Value, Error> {
        Objects { client: self.client, path: "/models" }.list("").await
    }

    /// One model.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn get(&self, model: &str) -> Result<Value, Error> {
        Objects { client: self.client, path: "/models" }.get(model).await
    }
}

impl<U: Upstream> Images<'_, U> {
    /// Makes images.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn generate(&self, request: &(impl Serialize + ?Sized)) -> Result<Value, Error> {
        self.client.post("/images/generations", request).await
    }

    /// Edits an image.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn edit(&self, form: Form) -> Result<Value, Error> {
        self.client.form("/images/edits", form).await
    }

    /// Varies an image.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn vary(&self, form: Form) -> Result<Value, Error> {
        self.client.form("/images/variations", form).await
    }
}

impl<U: Upstream> Audio<'_, U> {
    /// Speaks a text; gives the sound.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn speech(&self, request: &(impl Serialize + ?Sized)) -> Result<Bytes, Error> {
        let body = Body::Json(json_of(request)?);
        Ok(self.client.raw(Method::POST, "/audio/speech", body).await?.body)
    }

    /// Writes down what is said. The answer's form follows the form's `response_format`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn transcribe(&self, form: Form) -> Result<Answer, Error> {
        self.client.raw(Method::POST, "/audio/transcriptions", Body::Form(form)).await
    }

    /// Writes down what is said, in English.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn translate(&self, form: Form) -> Result<Answer, Error> {
        self.client.raw(Method::POST, "/audio/translations", Body::Form(form)).await
    }
}

impl<'c, U: Upstream> Files<'c, U> {
    /// Stores a file: fields `purpose` and `file`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn create(&self, form: Form) -> Result<Value, Error> {
        self.client.form("/files", form).await
    }

    /// The content of a file.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn content(&self, id: &str) -> Result<Bytes, Error> {
        let path = format!("/files/{}/content", segment(id));
        Ok(self.client.raw(Method::GET, &path, Body::Empty).await?.body)
    }

    /// Files as objects: listed, looked at, taken away.
    pub fn stored(&self) -> Objects<'c, U> {
        Objects { client: self.client, path: "/files" }
    }
}

impl<'c, U: Upstream> Batches<'c, U> {
    /// Begins a batch.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn create(&self, request: &(impl Serialize + ?Sized)) -> Result<Value, Error> {
        self.client.post("/batches", request).await
    }

    /// Gives a batch up.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn cancel(&self, id: &str) -> Result<Value, Error> {
        self.stored().act(id, "cancel").await
    }

    /// Batches as objects: listed and looked at.
    pub fn stored(&self) -> Objects<'c, U> {
        Objects { client: self.client, path: "/batches" }
    }
}

impl<U: Upstream> Objects<'_, U> {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn create(&self, request: &(impl Serialize + ?Sized)) -> Result<Value, Error> {
        self.client.post(self.path, request).await
    }

    /// Lists them; `query` is empty, or such as `limit=20&after=…`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn list(&self, query: &str) -> Result<Value, Error> {
        let mark = if query.is_empty() { "" } else { "?" };
        self.call(Method::GET, &format!("{}{mark}{query}", self.path)).await
    }

    /// One of them.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn get(&self, id: &str) -> Result<Value, Error> {
        self.call(Method::GET, &self.one(id)).await
    }

    /// Changes one.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn update(
        &self,
        id: &str,
        request: &(impl Serialize + ?Sized),
    ) -> Result<Value, Error> {
        self.client.post(&self.one(id), request).await
    }

    /// Takes one away.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn delete(&self, id: &str) -> Result<Value, Error> {
        self.call(Method::DELETE, &self.one(id)).await
    }

    /// Does something to one, without a body: `cancel`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn act(&self, id: &str, action: &str) -> Result<Value, Error> {
        let path = format!("{}/{}", self.one(id), segment(action));
        self.call(Method::POST, &path).await
    }

    /// Makes something within one: a thread's `messages` or `runs`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from an answer.
    pub async fn within(
        &self,
        id: &str,
        what: &str,
        request: &(impl Serialize + ?Sized),
    ) -> Result<Value, Error> {
        self.client.post(&format!("{}/{}", self.one(id), segment(what)), request).await
    }

    fn one(&self, id: &str) -> String {
        format!("{}/{}", self.path, segment(id))
    }

    async fn call(&self, method: Method, path: &str) -> Result<Value, Error> {
        self.client.raw(method, path, Body::Empty).await?.json()
    }
}

impl<U: Upstream> Client<U> {
    async fn form(&self, path: &str, form: Form) -> Result<Value, Error> {
        self.raw(Method::POST, path, Body::Form(form)).await?.json()
    }
}

/// An id as one part of a path: it cannot leave its place.
fn segment(id: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b':') {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    // Dots alone would be read as a way up.
    if text.bytes().all(|byte| byte == b'.') { text.replace('.', "%2E") } else { text }
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn an_id_stays_one_part_of_the_path() {
        for (id, wanted) in [
            ("resp_1-a", "resp_1-a"),
            ("ft:gpt-4o:org", "ft:gpt-4o:org"),
            ("../x?y#z", "..%2Fx%3Fy%23z"),
            ("..", "%2E%2E"),
            ("ä", "%C3%A4"),
        ] {
            assert_eq!(segment(id), wanted);
        }
    }
}
