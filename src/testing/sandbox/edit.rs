//! Changed responses: what a faulty or hostile server would answer in place of the sandbox.

use std::sync::Arc;

use crate::http::{HttpError, HttpResponse};

/// A change of the responses at one address.
#[derive(Clone)]
pub(super) struct Edit(Arc<dyn Fn(HttpResponse) -> Result<HttpResponse, HttpError> + Send + Sync>);

impl Edit {
    pub(super) fn new(
        change: impl Fn(HttpResponse) -> Result<HttpResponse, HttpError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(change))
    }

    pub(super) fn apply(&self, answer: HttpResponse) -> Result<HttpResponse, HttpError> {
        self.0(answer)
    }
}
