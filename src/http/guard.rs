//! Keeps requests for public addresses away from the host's own network, whichever client sends
//! them.

use std::sync::Arc;

use crate::http::internal_host::is_internal;
use crate::http::{HttpClient, HttpError, HttpRequest, HttpResponse};

/// The rule for servers that were found by URL and have addresses that are not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PrivateAddresses {
    /// Requests for public addresses go to no others.
    Refused,
    /// The host's configuration allows all addresses.
    Allowed,
}

/// A client that refuses what can be refused by the URL alone, before the inner client sees it. The
/// inner client checks the addresses.
pub(crate) struct Guard {
    client: Arc<dyn HttpClient>,
    private: PrivateAddresses,
}

impl Guard {
    pub(crate) const fn new(client: Arc<dyn HttpClient>, private: PrivateAddresses) -> Self {
        Self { client, private }
    }
}

impl HttpClient for Guard {
    fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match self.private {
            PrivateAddresses::Allowed => request.public_only = false,
            PrivateAddresses::Refused if request.public_only && is_internal(&request.url) => {
                return Err(HttpError::PrivateAddress);
            }
            PrivateAddresses::Refused => {}
        }
        self.client.send(request)
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use url::Url;

    use super::*;

    /// Answers with the mark of the request.
    fn guard(private: PrivateAddresses) -> Guard {
        let client = |request: HttpRequest| {
            let marked = request.is_to_public_addresses_only();
            Ok(HttpResponse::new(StatusCode::OK, marked.to_string()))
        };
        Guard::new(Arc::new(client), private)
    }

    fn request(url: &str) -> HttpRequest {
        HttpRequest::new(Method::GET, Url::parse(url).unwrap())
    }

    fn sent(guard: &Guard, request: HttpRequest) -> Result<String, HttpError> {
        let answer = guard.send(request)?;
        Ok(String::from_utf8(answer.body.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn a_marked_request_to_an_internal_host_reaches_no_client() {
        let refusing = guard(PrivateAddresses::Refused);
        for url in [
            "https://127.0.0.1/",
            "https://8.8.8.8/",
            "https://[2606:4700::1]/",
            "https://0x7f.1/",
            "https://localhost/",
            "https://metadata.google.internal/",
            "https://gitlab/",
            "https://127.0.0.1.nip.io/",
        ] {
            let marked = request(url).to_public_addresses_only();
            assert_eq!(sent(&refusing, marked), Err(HttpError::PrivateAddress), "{url}");
            assert_eq!(sent(&refusing, request(url)), Ok("false".into()), "{url}");
        }
        let public = request("https://mcp.example/").to_public_addresses_only();
        assert_eq!(sent(&refusing, public), Ok("true".into()));
    }

    #[test]
    fn a_host_that_allows_private_addresses_removes_the_mark() {
        let allowing = guard(PrivateAddresses::Allowed);
        let marked = request("https://localhost/").to_public_addresses_only();
        assert_eq!(sent(&allowing, marked), Ok("false".into()));
    }
}
