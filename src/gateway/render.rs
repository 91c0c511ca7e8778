//! Renders refusals: RFC 6749 error JSON for programs, a page for browsers.

use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::Serialize;
use url::form_urlencoded;

use super::accept::Format;
use super::answer;
use super::page::text::Language;
use super::refusal::{Refusal, Said, SignIn};
use super::resume;
use super::{Caller, Inner};

/// The error shape of [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2).
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    error_description: &'a str,
}

impl Inner {
    pub(super) fn refuse(
        &self,
        head: &Parts,
        path: &str,
        format: Format,
        refusal: &Refusal,
        caller: Option<&Caller>,
        body: &[u8],
    ) -> Response<Vec<u8>> {
        if let (Some(sign_in), Format::Html) = (&refusal.sign_in, format)
            && let Some(back) = resume::page_of(head, path, body)
            && let Ok(response) = answer::see_other(&self.sign_in_location(sign_in, &back))
        {
            return response;
        }
        let mut response = match format {
            Format::Json => {
                // RFC 6749 allows no quotation marks in a description.
                let text = (Language::English.texts().refusal)(&refusal.said).replace(['"', '\\'], "'");
                let body = ErrorBody {
                    error: refusal.code,
                    error_description: &text,
                };
                answer::json(refusal.status, &body).unwrap_or_default()
            }
            Format::Html => {
                let helps = matches!(refusal.said, Said::LinkRefused) && caller.is_some();
                let switch = self.switch_user.as_ref().filter(|_| helps);
                let switch = switch.map(|switch| self.sign_in_location(switch, path));
                self.refusal_page(&head.headers, refusal, caller, switch)
            }
        };
        let headers = response.headers_mut();
        if let Some(allowed) = refusal.allow {
            let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
            if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
                headers.insert(header::ALLOW, value);
            }
        }
        if let Some(wait) = refusal.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if refusal.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 requires a challenge, but the gateway does not know how the host
            // authenticates.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Session"));
        }
        response
    }

    /// Returns the host's sign-in address, with the way back to this path and query within the
    /// gateway.
    fn sign_in_location(&self, sign_in: &SignIn, back: &str) -> String {
        let address = sign_in.address.as_str();
        let is_path = address.starts_with('/') && !address.starts_with("//");
        let same_host = is_path
            || address
                .strip_prefix(self.mount.origin())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
        // A callback contains a code, which must not be passed to another host.
        let back = if back.starts_with("/callback/") && !same_host {
            self.path("/")
        } else {
            self.path(back)
        };
        let origin = if is_path { "" } else { self.mount.origin() };
        let mut field = form_urlencoded::Serializer::new(String::new());
        field.append_pair(&sign_in.return_parameter, &format!("{origin}{back}"));
        let (address, fragment) = match address.split_once('#') {
            Some((address, fragment)) => (address, format!("#{fragment}")),
            None => (address, String::new()),
        };
        let separator = if address.contains('?') { '&' } else { '?' };
        format!("{address}{separator}{}{fragment}", field.finish())
    }
}
