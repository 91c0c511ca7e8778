//! The host's side in a browser: a link that begins a consent, and the callback that completes it.
//!
//! A session cookie, which stands for your application's own sign-in, identifies the user. A
//! separate cookie binds the consent to the browser. The callback's query determines neither.

use std::sync::mpsc::Sender;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use valetkey::http::{HttpRequest, HttpResponse};
use valetkey::model::Connection;
use valetkey::{ActingUser, AuthorizationResponse, Binding, Connections, ConsentOptions, Error};

/// A small web application that lets its users connect one service.
pub struct Host {
    pub connections: Connections,
    pub provider: String,
    pub options: ConsentOptions,
    /// The channel for the outcome of each consent.
    pub outcomes: Sender<Result<Connection, Error>>,
}

impl Host {
    pub fn handle(&self, request: &HttpRequest) -> HttpResponse {
        let path = request.url.path().to_owned();
        match path.as_str() {
            "/callback" => self.callback(request),
            _ => match path.strip_prefix("/login/") {
                Some(user) => self.log_in_and_connect(user),
                None => page(StatusCode::NOT_FOUND, "There is nothing here."),
            },
        }
    }

    /// Signs a user in (a real host has done so before) and redirects them to the authorization
    /// server.
    fn log_in_and_connect(&self, user: &str) -> HttpResponse {
        let Some(acting_user) = acting_user(user) else {
            return page(StatusCode::BAD_REQUEST, "That is no name.");
        };
        match self
            .connections
            .start(&acting_user, &self.provider, self.options.clone())
        {
            Ok(consent) => {
                let mut response = page(StatusCode::FOUND, "One moment …");
                let location = HeaderValue::from_str(consent.authorization_url().as_str());
                response
                    .headers
                    .insert(header::LOCATION, location.expect("a URL is a header value"));
                set_cookie(&mut response.headers, "session", user);
                // Over https, the name would begin with `__Host-` and the cookie would be `Secure`.
                set_cookie(
                    &mut response.headers,
                    "binding",
                    consent.binding().expose_secret(),
                );
                response
            }
            Err(error) => {
                let response = page(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
                let _ = self.outcomes.send(Err(error));
                response
            }
        }
    }

    fn callback(&self, request: &HttpRequest) -> HttpResponse {
        let (Some(user), Some(binding)) = (cookie(request, "session"), cookie(request, "binding")) else {
            return page(
                StatusCode::FORBIDDEN,
                "This consent was begun in another browser.",
            );
        };
        let Some(acting_user) = acting_user(&user) else {
            return page(StatusCode::FORBIDDEN, "That is no name.");
        };
        let outcome = AuthorizationResponse::parse(request.url.as_str())
            .map_err(Error::from)
            .and_then(|response| {
                self.connections
                    .complete(&acting_user, response, &Binding::new(binding))
            });
        let response = match &outcome {
            Ok(_) => page(StatusCode::OK, "Connected. You can close this window."),
            Err(error) => page(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        let _ = self.outcomes.send(outcome);
        response
    }
}

/// Returns a user of the demonstration's only workspace.
pub fn acting_user(user: &str) -> Option<ActingUser> {
    ActingUser::authenticated("acme", user).ok()
}

fn page(status: StatusCode, text: &str) -> HttpResponse {
    let html = format!(
        "<!doctype html><meta charset=utf-8><title>consent_flow</title><p>{}",
        escape(text)
    );
    HttpResponse::new(status, html)
        .with_header(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        )
        .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .with_header(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .with_header(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'"),
        )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn set_cookie(headers: &mut HeaderMap, name: &str, value: &str) {
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
    headers.append(
        header::SET_COOKIE,
        HeaderValue::from_str(&cookie).expect("names and tokens are header values"),
    );
}

fn cookie(request: &HttpRequest, name: &str) -> Option<String> {
    let cookies = request.headers.get(header::COOKIE)?.to_str().ok()?;
    let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value.to_owned())
}
