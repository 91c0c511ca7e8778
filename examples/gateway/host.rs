//! The host: it signs users in, runs an agent for them, and mounts the gateway. A real application
//! already has all of this.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use ring::rand::{SecureRandom as _, SystemRandom};
use url::form_urlencoded;
use valetkey::gateway::{Authenticator, Caller, Gateway, Refused};
use valetkey::http::{HttpRequest, HttpResponse};
use valetkey::{ActingUser, Connections, ConsentOptions, Error, Resolver};

use crate::people::{MEMBERS, Member, acting_user, face, operator};

/// The query parameter of the sign-in page for the way back.
pub const RETURN_TO: &str = "return_to";

/// The sessions of signed-in users. The gateway asks it for the caller of every request.
#[derive(Debug, Clone, Default)]
pub struct Sessions(Arc<Mutex<HashMap<String, &'static str>>>);

impl Sessions {
    fn begin(&self, name: &'static str) -> Option<String> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let id = URL_SAFE_NO_PAD.encode(bytes);
        self.sessions().insert(id.clone(), name);
        Some(id)
    }

    fn person(&self, headers: &HeaderMap) -> Option<&'static str> {
        self.sessions().get(session(headers)?).copied()
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<String, &'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of the session: random, not a name.
fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies
        .split(';')
        .find_map(|pair| pair.trim().strip_prefix("session="))
}

impl Authenticator for Sessions {
    fn authenticate(&self, head: &Parts) -> Result<Caller, Refused> {
        let refused = || Refused::SignIn {
            address: "/sign-in".into(),
            return_parameter: RETURN_TO.into(),
        };
        let name = self.person(&head.headers).ok_or_else(refused)?;
        let person = acting_user(name).map_err(|_| Refused::Forbidden)?;
        let caller = if Member::find(name).is_some_and(|member| member.operator) {
            Caller::operator(operator(name).map_err(|_| Refused::Forbidden)?)
        } else {
            Caller::user(person)
        };
        Ok(match session(&head.headers) {
            Some(session) => caller.in_session(session),
            None => caller,
        })
    }
}

pub struct Host {
    pub gateway: Gateway,
    pub connections: Connections,
    pub resolver: Resolver,
    pub sessions: Sessions,
}

impl Host {
    pub fn handle(&self, request: HttpRequest) -> HttpResponse {
        let path = request.url.path().to_owned();
        let person = self.sessions.person(&request.headers);
        match (&request.method, path.as_str(), person) {
            (&Method::GET, "/sign-in", _) => page(&sign_in_form(&way_back(request.url.query()))),
            (&Method::POST, "/sign-in", _) => self.sign_in(&request),
            (&Method::GET, "/agent", Some(person)) => page(&self.agent(person)),
            (&Method::GET, "/agent", None) => redirect("/sign-in"),
            (&Method::GET, "/portal", Some(_)) => page(PORTAL),
            (&Method::GET, path, _) if path.starts_with("/faces/") => picture(&path["/faces/".len()..]),
            // Everything else belongs to the gateway, which is mounted at the root.
            _ => outgoing(self.gateway.handle(incoming(&request))),
        }
    }

    fn sign_in(&self, request: &HttpRequest) -> HttpResponse {
        let chosen = form_urlencoded::parse(request.body.as_bytes()).find(|(name, _)| name == "person");
        let person = chosen.and_then(|(_, name)| Member::find(&name));
        let session = person.and_then(|member| self.sessions.begin(member.id));
        let Some(session) = session else {
            return redirect("/sign-in");
        };
        let back = std::str::from_utf8(request.body.as_bytes()).ok();
        let back = way_back(back);
        // A one-time link leads on to the provider, where the policy of this page lets no form
        // lead, not even by redirects. A page may lead on.
        let mut response = match back.starts_with("/connect/") {
            true => page(&format!(
                "<meta http-equiv=\"refresh\" content=\"0; url={0}\"><p><a href=\"{0}\">Continue</a></p>",
                escape(&back)
            )),
            false => redirect(&back),
        };
        let cookie = format!("session={session}; Path=/; HttpOnly; SameSite=Lax");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers.append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// Runs a turn of an agent that reads tasks: with the user's authorization, or with a link to
    /// grant it.
    fn agent(&self, person: &str) -> String {
        let Ok(person) = acting_user(person) else {
            return String::new();
        };
        let request = Request::get("/notes").body(Vec::new()).unwrap_or_default();
        let said = match self.resolver.send(&person, "google-tasks", request) {
            Ok(response) => format!(
                "<p>Your tasks say: <code>{}</code></p>",
                escape(&String::from_utf8_lossy(response.body()))
            ),
            Err(Error::ConsentRequired(need)) => match self.link(&person, &ConsentOptions::from(&*need)) {
                Some(link) => format!(
                    "<p>I cannot do that yet ({}). <a class=\"button primary\" href=\"{}\">Give access</a></p>",
                    escape(&need.reason.to_string()),
                    escape(&link)
                ),
                None => "<p>I cannot do that.</p>".into(),
            },
            Err(error) => format!("<p>Not now: {}.</p>", escape(&error.to_string())),
        };
        format!("<h1>What is on my list?</h1>{said}<p><a href=\"/\">Connections</a></p>")
    }

    fn link(&self, person: &ActingUser, options: &ConsentOptions) -> Option<String> {
        let prepared = self
            .connections
            .prepare(person, "google-tasks", options.clone())
            .ok()?;
        Some(self.gateway.mount().connect_url(prepared.ticket()))
    }
}

/// Converts a request of the server. Any server needs a few lines such as these.
fn incoming(request: &HttpRequest) -> Request<Vec<u8>> {
    let mut converted = Request::new(request.body.as_bytes().to_vec());
    *converted.method_mut() = request.method.clone();
    let target = match request.url.query() {
        Some(query) => format!("{}?{query}", request.url.path()),
        None => request.url.path().to_owned(),
    };
    *converted.uri_mut() = target.parse().unwrap_or_default();
    *converted.headers_mut() = request.headers.clone();
    converted
}

fn outgoing(response: Response<Vec<u8>>) -> HttpResponse {
    let (head, body) = response.into_parts();
    let mut converted = HttpResponse::new(head.status, body);
    converted.headers = head.headers;
    converted
}

/// Returns the path of this host to which a user goes after the sign-in. The form names it; other
/// addresses are ignored.
fn way_back(fields: Option<&str>) -> String {
    let mut fields = form_urlencoded::parse(fields.unwrap_or_default().as_bytes());
    fields
        .find(|(name, _)| name == RETURN_TO)
        .map(|(_, path)| path.into_owned())
        .filter(|path| path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n']))
        .unwrap_or_else(|| "/".into())
}

fn sign_in_form(back: &str) -> String {
    let buttons: String = MEMBERS
        .iter()
        .map(|member| {
            let role = if member.operator {
                ", looks after the connections"
            } else {
                ""
            };
            format!(
                "<button class=\"button\" name=\"person\" value=\"{}\">{} · {}{role}</button>",
                member.id,
                escape(member.name),
                escape(member.work),
            )
        })
        .collect();
    format!(
        "<h1>Who are you?</h1><p>A demonstration: no password, and nothing outside this machine.</p>\
         <form method=\"post\" action=\"/sign-in\" class=\"buttons choices\">\
         <input type=\"hidden\" name=\"{RETURN_TO}\" value=\"{}\">{buttons}</form>",
        escape(back)
    )
}

fn page(main: &str) -> HttpResponse {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Acme Assistant</title>\
         <link rel=\"icon\" href=\"/assets/icon.svg\">\
         <link rel=\"stylesheet\" href=\"/assets/gateway.css\"></head>\
         <body class=\"vk-page\"><div class=\"valetkey\"><main class=\"wide main\"><div class=\"card-page\">{main}</div></main></div></body></html>"
    );
    HttpResponse::new(StatusCode::OK, html)
        .with_header(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
        .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .with_header(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'",
            ),
        )
}

/// A page of the host that shows the list in a frame.
const PORTAL: &str = "<h1>Acme Portal</h1><iframe title=\"Connections\" src=\"/embed/connections\" width=\"100%\" \
                      height=\"600\"></iframe>";

fn picture(file: &str) -> HttpResponse {
    match face(file) {
        Some(picture) => HttpResponse::new(StatusCode::OK, picture)
            .with_header(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
        None => HttpResponse::new(StatusCode::NOT_FOUND, ""),
    }
}

fn redirect(location: &str) -> HttpResponse {
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    HttpResponse::new(StatusCode::SEE_OTHER, "").with_header(header::LOCATION, location)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
