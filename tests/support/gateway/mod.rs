//! A host with the gateway mounted, and browsers and programs that call it.

pub(crate) mod planted;

use std::collections::BTreeMap;
use std::ops::Deref;

use http::request::Parts;
use http::{Method, Request, Response, header};
use valetkey::connections::ConnectionsBuilder;
use valetkey::gateway::{Authenticator, Caller, Gateway, Mount, Refused};
use valetkey::model::{Connection, ConsentId};
use valetkey::provider::{AuthorizationServer, Provider};
use valetkey::testing::{Host, Sandbox};
use valetkey::vault::{SealedVault, Vault};
use valetkey::{ActingUser, ConsentOptions, Operator};

pub(crate) const ORIGIN: &str = "https://app.test";
pub(crate) const BASE: &str = "/at";

/// Identifies callers by a cookie `session=tenant.name.role`, or by the same words as a bearer
/// credential.
#[derive(Debug)]
pub(crate) struct Door;

impl Authenticator for Door {
    fn authenticate(&self, head: &Parts) -> Result<Caller, Refused> {
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let cookie = text(header::COOKIE)
            .into_iter()
            .flat_map(|value| value.split("; "))
            .find_map(|pair| pair.strip_prefix("session="));
        let words = bearer.or(cookie).ok_or_else(|| Refused::SignIn {
            address: "/sign-in".into(),
            return_parameter: "return_to".into(),
        })?;
        let words: Vec<&str> = words.split('.').collect();
        let [tenant, name, role] = words[..] else {
            return Err(Refused::Forbidden);
        };
        let caller = match role {
            "operator" => Caller::operator(Operator::authenticated(tenant, name).unwrap()),
            _ => Caller::user(ActingUser::authenticated(tenant, name).unwrap()),
        };
        Ok(if bearer.is_some() {
            caller.explicit_credentials()
        } else {
            caller
        })
    }
}

/// A [`Host`] with a gateway.
pub(crate) struct Site {
    host: Host,
    pub(crate) gateway: Gateway,
}

impl Deref for Site {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::over(SealedVault::in_memory())
    }

    pub(crate) fn over(vault: impl Vault) -> Self {
        Self::with(vault, |_| {})
    }

    /// Returns a host whose server has a modified descriptor.
    pub(crate) fn with(vault: impl Vault, change: impl FnOnce(&mut AuthorizationServer)) -> Self {
        Self::build(vault, |server, _| change(server), |_, builder| builder)
    }

    /// Returns a host with more services.
    pub(crate) fn offering(more: impl FnOnce(&Sandbox, ConnectionsBuilder) -> ConnectionsBuilder) -> Self {
        Self::build(SealedVault::in_memory(), |_, _| {}, more)
    }

    /// Returns a host over this vault whose connections are configured last.
    pub(crate) fn configured(
        vault: impl Vault,
        more: impl FnOnce(&Sandbox, ConnectionsBuilder) -> ConnectionsBuilder,
    ) -> Self {
        Self::build(vault, |_, _| {}, more)
    }

    /// Returns a host with modified descriptors of the server and of `mail`.
    pub(crate) fn described(
        change: impl FnOnce(&mut AuthorizationServer, &mut Provider),
        more: impl FnOnce(&Sandbox, ConnectionsBuilder) -> ConnectionsBuilder,
    ) -> Self {
        Self::build(SealedVault::in_memory(), change, more)
    }

    /// Returns the same host with a gateway that lets users connect MCP servers by their addresses.
    #[cfg(feature = "mcp")]
    pub(crate) fn with_mcp_servers(self) -> Self {
        Self {
            gateway: self.gateway.mcp_servers(),
            ..self
        }
    }

    fn build(
        vault: impl Vault,
        change: impl FnOnce(&mut AuthorizationServer, &mut Provider),
        more: impl FnOnce(&Sandbox, ConnectionsBuilder) -> ConnectionsBuilder,
    ) -> Self {
        let mount = Mount::new(ORIGIN).unwrap().under(BASE).unwrap();
        let mut change = Some(change);
        let host = Host::builder()
            .vault(vault)
            .redirect_uri(mount.callback_url("sandbox"))
            .describe(|server, provider| {
                if let Some(change) = change.take_if(|_| provider.id.as_str() == "mail") {
                    change(server, provider);
                }
            })
            .connections(more)
            .build()
            .unwrap();
        let gateway = Gateway::new(host.connections.clone(), mount, Door).allow_return_to("/chat");
        Self { host, gateway }
    }

    /// Connects an account without the gateway.
    pub(crate) fn connect(&self, who: &str, account: &str, options: ConsentOptions) -> Connection {
        self.connect_with(&person(who), "notes", account, options)
            .unwrap()
    }

    pub(crate) fn connect_workspace_account(&self, account: &str) -> Connection {
        let operator = Operator::authenticated("acme", "olga").unwrap();
        self.connect_workspace_with(&operator, "notes", account, ConsentOptions::default())
            .unwrap()
    }

    /// Creates a link for a consent to `notes`. Returns the id of the consent as well.
    pub(crate) fn link(&self, who: &str, options: ConsentOptions) -> (ConsentId, String) {
        let prepared = self.connections.prepare(&person(who), "notes", options).unwrap();
        let link = self.gateway.mount().connect_url(prepared.ticket());
        (prepared.id(), link)
    }

    pub(crate) fn tab(&self, who: &str) -> Tab<'_> {
        Tab {
            site: self,
            cookies: BTreeMap::from([("session".into(), who.into())]),
        }
    }

    pub(crate) fn send(&self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        self.gateway.handle(request)
    }
}

/// Parses a credential such as `acme.alice.user`.
pub(crate) fn person(who: &str) -> ActingUser {
    let words: Vec<&str> = who.split('.').collect();
    ActingUser::authenticated(words[0], words[1]).unwrap()
}

/// A program with a credential in a header.
pub(crate) fn program(who: &str, method: Method, path: &str) -> Request<Vec<u8>> {
    Request::builder()
        .method(method)
        .uri(format!("{BASE}{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {who}"))
        .body(Vec::new())
        .unwrap()
}

pub(crate) fn with_json(mut request: Request<Vec<u8>>, json: &serde_json::Value) -> Request<Vec<u8>> {
    request
        .headers_mut()
        .insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    *request.body_mut() = json.to_string().into_bytes();
    request
}

pub(crate) fn text(response: &Response<Vec<u8>>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

pub(crate) fn json(response: &Response<Vec<u8>>) -> serde_json::Value {
    serde_json::from_slice(response.body()).unwrap_or_else(|_| panic!("no JSON: {}", text(response)))
}

pub(crate) fn header_of<'r>(response: &'r Response<Vec<u8>>, name: &str) -> Option<&'r str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// Returns the redirect target of a response.
pub(crate) fn location(response: &Response<Vec<u8>>) -> String {
    assert_eq!(response.status(), 303, "{}", text(response));
    header_of(response, "location").unwrap().to_owned()
}

/// Returns the parameters of a callback.
pub(crate) fn parameters(callback: &str) -> BTreeMap<String, String> {
    let url = url::Url::parse(callback).unwrap();
    url.query_pairs().into_owned().collect()
}

/// A browser that is signed in and keeps cookies.
pub(crate) struct Tab<'s> {
    site: &'s Site,
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Tab<'_> {
    pub(crate) fn get(&mut self, path: &str) -> Response<Vec<u8>> {
        let uri = path.strip_prefix(ORIGIN).unwrap_or(path);
        let uri = if uri.starts_with(BASE) {
            uri.to_owned()
        } else {
            format!("{BASE}{uri}")
        };
        let request = Request::get(uri).header(header::COOKIE, self.cookie());
        self.exchange(request.body(Vec::new()).unwrap())
    }

    /// Submits a form, with the token of a page that was opened before.
    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response<Vec<u8>> {
        let token = self.token();
        let mut fields = fields.to_vec();
        fields.push(("csrf_token", &token));
        self.post_without_token(path, &fields)
    }

    pub(crate) fn post_without_token(&mut self, path: &str, fields: &[(&str, &str)]) -> Response<Vec<u8>> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let request = Request::post(format!("{BASE}{path}"))
            .header(header::COOKIE, self.cookie())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.finish().into_bytes());
        self.exchange(request.unwrap())
    }

    pub(crate) fn token(&mut self) -> String {
        json(&self.get("/v1/session"))["csrf_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Begins a consent. Returns the address of the provider to which the browser is led.
    pub(crate) fn depart(&mut self, fields: &[(&str, &str)]) -> String {
        let page = self.post("/connect", fields);
        assert_eq!(page.status(), 200, "{}", text(&page));
        let html = text(&page);
        let address = html
            .split("content=\"0; url=")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        address.replace("&#38;", "&")
    }

    /// Begins a consent to this service. Returns the callback after the user has agreed.
    pub(crate) fn agree(&mut self, provider: &str, account: &str) -> String {
        let address = self.depart(&[("provider", provider)]);
        self.site.sandbox.approve(address, account)
    }

    /// Copies the cookies of another browser, except for the session.
    pub(crate) fn steal_from(&mut self, other: &Tab<'_>) {
        let cookies = other.cookies.clone().into_iter();
        self.cookies.extend(cookies.filter(|(name, _)| name != "session"));
    }

    /// Returns the number of consents for which this browser has a cookie.
    pub(crate) fn flows(&self) -> usize {
        let is_flow = |name: &&String| name.starts_with("__Host-valetkey-consent-");
        self.cookies.keys().filter(is_flow).count()
    }

    pub(crate) fn cookie(&self) -> String {
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    pub(crate) fn exchange(&mut self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        let response = self.site.send(request);
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        response
    }
}
