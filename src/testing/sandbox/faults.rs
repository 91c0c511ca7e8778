//! Faults of servers: responses that a faulty or hostile one would give.

use http::{StatusCode, header};

use super::Sandbox;
use super::edit::Edit;
use super::refusal::json_text;
use crate::http::{HttpError, HttpResponse};

/// Faults.
impl Sandbox {
    /// Changes every response at this address, which has no query: the function gets the sandbox's
    /// own response. The request takes effect before that. The function must not call the sandbox.
    ///
    /// ```
    /// use http::{Method, StatusCode};
    /// use valetkey::http::{HttpClient, HttpError, HttpRequest, HttpResponse};
    /// use valetkey::testing::{ManualClock, Sandbox};
    ///
    /// let sandbox = Sandbox::new(ManualClock::default());
    /// sandbox.answer_at("https://sandbox.test/token", |_| Err(HttpError::Timeout));
    /// let request = HttpRequest::new(Method::POST, "https://sandbox.test/token".parse()?);
    /// assert_eq!(sandbox.send(request).unwrap_err(), HttpError::Timeout);
    ///
    /// sandbox.answer_at("https://sandbox.test/token", |_| {
    ///     Ok(HttpResponse::new(StatusCode::OK, "x".repeat(2_000_000)))
    /// });
    /// let request = HttpRequest::new(Method::POST, "https://sandbox.test/token".parse()?);
    /// assert_eq!(sandbox.send(request).unwrap_err(), HttpError::TooLarge);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn answer_at(
        &self,
        address: &str,
        change: impl Fn(HttpResponse) -> Result<HttpResponse, HttpError> + Send + Sync + 'static,
    ) {
        let edit = Edit::new(change);
        self.world().edits.insert(address.to_owned(), edit);
    }

    /// Changes the JSON document at this address.
    ///
    /// # Panics
    ///
    /// The returned responses panic if the sandbox answers no JSON at this address.
    pub fn edit_document(
        &self,
        address: &str,
        change: impl Fn(&mut serde_json::Value) + Send + Sync + 'static,
    ) {
        self.answer_at(address, move |answer| {
            let mut document = serde_json::from_slice(answer.body.as_bytes())
                .expect("the sandbox answers JSON at this address");
            change(&mut document);
            let mut edited = json_text(answer.status, document.to_string());
            if let Some(challenge) = answer.headers.get(header::WWW_AUTHENTICATE) {
                edited.headers.insert(header::WWW_AUTHENTICATE, challenge.clone());
            }
            Ok(edited)
        });
    }

    /// Answers 404 at this address from now on.
    pub fn hide(&self, address: &str) {
        self.answer_at(address, |_| Ok(HttpResponse::new(StatusCode::NOT_FOUND, "")));
    }

    /// Undoes all changes at this address.
    pub fn answer_as_usual_at(&self, address: &str) {
        self.world().edits.remove(address);
    }
}
