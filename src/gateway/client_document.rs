//! The client ID metadata document of the host, which authorization servers of MCP servers read.

use http::{HeaderValue, Response, header};

use super::answer;
use super::refusal::Refusal;
use super::site::Inner;

impl Inner {
    /// Returns the document, if the connections have a client with one. It is the same for every
    /// caller, and authorization servers read it without signing in.
    pub(super) fn client_document(&self) -> Result<Response<Vec<u8>>, Refusal> {
        let document = self.connections.client_document();
        let document = document.ok_or_else(Refusal::not_found)?;
        let mut response = answer::json(http::StatusCode::OK, &document)?;
        response.headers_mut().insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=3600"),
        );
        Ok(response)
    }
}
