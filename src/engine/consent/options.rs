//! Inputs and outputs of starting a consent.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;
use zeroize::Zeroizing;

use crate::error::ConsentRequired;
use crate::model::{ConnectionId, ConsentId, Label, Parameters, ProviderId, Scopes, Timestamp};
use crate::protocol::{Hints, Prompt};
use crate::provider::loopback_port;
use crate::secret::{Binding, State};
use crate::vault::{PendingConsent, Purpose, RequestOptions};

/// Options of a consent, in addition to those of the provider's descriptor.
///
/// `ConsentOptions::default()` connects a new account with the provider's default scopes. If the
/// user selects an account that is already connected, that connection is renewed.
///
/// # Examples
///
/// ```
/// use valetkey::ConsentOptions;
/// use valetkey::testing::Host;
///
/// let host = Host::new();
/// let options = ConsentOptions::default().login_hint("ada@example.com");
/// let consent = host.connections.start(&host.user("ada"), "notes", options)?;
/// assert!(consent.authorization_url().as_str().contains("login_hint=ada"));
/// # Ok::<(), valetkey::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConsentOptions {
    /// The scopes to request instead of the default ones. Scopes that the descriptor requires are
    /// added.
    pub scopes: Option<Scopes>,
    /// The scopes to request in addition.
    pub(crate) added_scopes: Scopes,
    /// The label of the connection, for users with several. An existing connection with this label
    /// is reconnected.
    pub label: Option<Label>,
    /// Hints and prompts for the page of the authorization server.
    pub(crate) hints: Hints,
    /// The values of the descriptor's placeholders. A reconnected connection keeps its values
    /// unless they are given here.
    pub parameters: Parameters,
    /// The connection to reconnect. Another account is refused unless `allow_other_account` is set.
    pub(crate) reconnect: Option<Reconnect>,
    /// Additional services that the same consent serves.
    pub(crate) also: Vec<String>,
    /// The scopes of additional services, if not their default ones.
    pub(crate) also_scopes: BTreeMap<String, Scopes>,
    /// If true, the consent fails when the service does not identify the connected account.
    pub(crate) require_account: bool,
    /// An address of the host to which the gateway redirects the browser after the callback, if
    /// `Gateway::allow_return_to` names the same address.
    pub return_to: Option<String>,
    /// The port of the redirect URI, in place of the registered one.
    pub(crate) loopback_port: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reconnect {
    SameAccount(ConnectionId),
    AnyAccount(ConnectionId),
    Extend(ConnectionId),
}

impl Reconnect {
    pub(crate) const fn id(self) -> ConnectionId {
        match self {
            Self::SameAccount(id) | Self::AnyAccount(id) | Self::Extend(id) => id,
        }
    }
}

impl ConsentOptions {
    /// Requests these scopes.
    #[must_use]
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// Requests these scopes in addition to the provider's default ones, or to those of
    /// [`scopes`](Self::scopes).
    #[must_use]
    pub fn add_scopes(mut self, scopes: Scopes) -> Self {
        self.added_scopes = self.added_scopes.union(&scopes);
        self
    }

    /// Sets the label of the connection.
    #[must_use]
    pub fn label(mut self, label: Label) -> Self {
        self.label = Some(label);
        self
    }

    /// Names the user to expect: an e-mail address or another login hint that the server accepts
    /// ([OpenID Connect §3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest)).
    #[must_use]
    pub fn login_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.login_hint = Some(hint.into());
        self
    }

    /// Sets the prompts of the authorization page, in addition to those of the descriptor.
    #[must_use]
    pub const fn prompt(mut self, prompt: Prompt) -> Self {
        self.hints.prompt = Some(prompt);
        self
    }

    /// Sets the maximum time since the user last signed in at the server.
    #[must_use]
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.hints.max_age = Some(max_age);
        self
    }

    /// Requests these authentication context classes, separated by spaces
    /// ([RFC 9470 §4](https://www.rfc-editor.org/rfc/rfc9470#section-4)).
    #[must_use]
    pub fn acr_values(mut self, classes: impl Into<String>) -> Self {
        self.hints.acr_values = Some(classes.into());
        self
    }

    /// Sets the value of a placeholder in the descriptor's URLs.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// Reconnects this connection. It keeps its id and history, and the scopes that it had been
    /// granted are requested again. If the user selects another account, the consent fails and the
    /// connection is unchanged.
    ///
    /// The accounts can only be compared if the service identifies them. If it does not, the user
    /// can select any account, and the connection is marked as
    /// [not verified](crate::model::Connection::is_account_verified).
    /// [`require_account`](Self::require_account) makes the consent fail instead.
    #[must_use]
    pub fn reconnect(mut self, id: ConnectionId) -> Self {
        self.reconnect = Some(Reconnect::SameAccount(id));
        self
    }

    /// Reconnects this connection like [`reconnect`](Self::reconnect), but accepts any account.
    ///
    /// # Security
    ///
    /// Whatever refers to the connection, such as a scheduled job of the user, then acts with the
    /// account that is chosen now.
    #[must_use]
    pub fn reconnect_any_account(mut self, id: ConnectionId) -> Self {
        self.reconnect = Some(Reconnect::AnyAccount(id));
        self
    }

    /// Adds a service to the same consent: the user sees one page, and the result is one grant and
    /// a connection for each service. The service must use the same authorization server; its
    /// default scopes are requested. Call this method again to add more services.
    ///
    /// The user can decline the scopes of some services: each connection lists the scopes that
    /// [it lacks](crate::model::Connection::missing_scopes).
    #[must_use]
    pub fn also(mut self, provider: impl AsRef<str>) -> Self {
        self.also.push(provider.as_ref().to_owned());
        self
    }

    /// Adds a service to the same consent with these scopes.
    #[cfg(feature = "gateway")]
    pub(crate) fn also_with(mut self, provider: &str, scopes: Scopes) -> Self {
        self.also_scopes.insert(provider.to_owned(), scopes);
        self.also(provider)
    }

    /// Adds the named service, or more scopes of it, to the grant of this connection, which may
    /// belong to another service of the same authorization server. If the user selects another
    /// account, the consent fails and the grant is unchanged.
    ///
    /// If the server adds scopes to grants incrementally, only the missing scopes are requested.
    /// Otherwise, all scopes of the grant are requested, because the new grant replaces it.
    #[must_use]
    pub fn extending(mut self, id: ConnectionId) -> Self {
        self.reconnect = Some(Reconnect::Extend(id));
        self
    }

    /// Makes the consent fail with [`AccountUnknown`](crate::error::ConsentError::AccountUnknown)
    /// if the service does not identify the connected account.
    ///
    /// By default, such a service is connected and its connection is marked as
    /// [not verified](crate::model::Connection::is_account_verified).
    #[must_use]
    pub const fn require_account(mut self) -> Self {
        self.require_account = true;
        self
    }

    /// Stores an address of the host with the consent. After the callback, the gateway redirects
    /// the browser there if `Gateway::allow_return_to` names the same address.
    #[must_use]
    pub fn return_to(mut self, address: impl Into<String>) -> Self {
        self.return_to = Some(address.into());
        self
    }

    /// Sets the port of the redirect URI. The registered URI must be a loopback address such as
    /// `http://127.0.0.1/callback`; its host and path are unchanged.
    ///
    /// Native apps, which listen on any free port
    /// ([RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)), use this; servers
    /// accept any port for loopback addresses. [`loopback::connect`](crate::loopback::connect)
    /// calls it.
    ///
    /// If the client's redirect URI is not a loopback address, the consent does not start:
    /// [`Misconfigured::NoLoopbackRedirect`](crate::error::Misconfigured::NoLoopbackRedirect).
    #[must_use]
    pub const fn loopback_port(mut self, port: u16) -> Self {
        self.loopback_port = Some(port);
        self
    }
}

impl ConsentOptions {
    /// Returns the options stored with a consent request.
    pub(crate) fn of(stored: &PendingConsent) -> Self {
        let PendingConsent {
            id: _,
            state: _,
            binding: _,
            tenant: _,
            user: _,
            owner: _,
            provider,
            server: _,
            issuer: _,
            token_endpoint: _,
            client_id: _,
            redirect_uri,
            scopes: _,
            services,
            parameters,
            label,
            purpose,
            require_account,
            return_to,
            request,
            created_at: _,
            expires_at: _,
            status: _,
        } = stored;
        Self {
            scopes: request.scopes.clone(),
            added_scopes: request.added_scopes.clone(),
            label: label.clone(),
            hints: request.hints.clone(),
            parameters: parameters.clone(),
            reconnect: match *purpose {
                Purpose::Connect => None,
                Purpose::Reconnect(id) => Some(Reconnect::SameAccount(id)),
                Purpose::Extend(id) => Some(Reconnect::Extend(id)),
                Purpose::SwitchAccount(id) => Some(Reconnect::AnyAccount(id)),
            },
            also: services
                .keys()
                .filter(|also| *also != provider)
                .map(ToString::to_string)
                .collect(),
            also_scopes: services
                .iter()
                .filter(|(also, scopes)| *also != provider && !scopes.is_empty())
                .map(|(also, scopes)| (also.to_string(), scopes.clone()))
                .collect(),
            require_account: *require_account,
            return_to: return_to.clone(),
            loopback_port: loopback_port(redirect_uri),
        }
    }
}

impl ConsentOptions {
    /// Stores the host's options in a consent request, together with the data needed to begin the
    /// flow again.
    pub(crate) fn keep_in(self, consent: &mut PendingConsent) {
        consent.label = self.label;
        consent.require_account = self.require_account;
        consent.return_to = self.return_to;
        consent.request = RequestOptions {
            scopes: self.scopes,
            added_scopes: self.added_scopes,
            hints: self.hints,
        };
    }
}

impl From<&ConsentRequired> for ConsentOptions {
    /// Returns the options that satisfy the request: for an existing connection, a reconnect with
    /// the missing scopes in addition to the granted ones; otherwise a new connection with the
    /// requested label, and with the missing scopes in addition to the provider's defaults.
    fn from(need: &ConsentRequired) -> Self {
        let missing = need.missing_scopes.clone();
        let options = Self {
            label: need.label.clone(),
            ..Self::default()
        };
        match need.connection {
            Some(connection) => Self {
                reconnect: Some(Reconnect::SameAccount(connection)),
                scopes: (!missing.is_empty()).then_some(missing),
                ..options
            },
            None => options.add_scopes(missing),
        }
    }
}

/// A started consent.
///
/// # Security
///
/// Send the browser of the user who started it to [`authorization_url`](Self::authorization_url),
/// and keep [`binding`](Self::binding) in that browser, in a cookie with the `__Host-` prefix,
/// `Secure`, `HttpOnly` and `SameSite=Lax`. Do not send the URL to anyone: a person who opens it
/// connects their account to *this* user. Do not open it with a shell command: it contains
/// characters that shells interpret.
#[derive(Debug)]
pub struct Consent {
    pub(crate) id: ConsentId,
    pub(crate) provider: ProviderId,
    pub(crate) authorization_url: AuthorizationUrl,
    #[cfg_attr(
        not(feature = "gateway"),
        allow(dead_code, reason = "the gateway names its cookie by it")
    )]
    pub(crate) state: State,
    pub(crate) binding: Binding,
    pub(crate) scopes: Scopes,
    pub(crate) expires_at: Timestamp,
}

/// Defines the accessors that pending consents share.
macro_rules! open_until {
    ($type:ident) => {
        impl $type {
            /// Returns the id, which identifies the consent in pages and logs. It grants no access.
            #[must_use]
            pub const fn id(&self) -> ConsentId {
                self.id
            }

            /// Returns the service to be connected.
            #[must_use]
            pub const fn provider(&self) -> &ProviderId {
                &self.provider
            }

            /// Returns when the consent expires.
            #[must_use]
            pub const fn expires_at(&self) -> Timestamp {
                self.expires_at
            }
        }
    };
}
pub(crate) use open_until;

open_until!(Consent);

impl Consent {
    /// Returns the URL to send the browser to: `https`, or `http` to a loopback address in tests.
    /// It contains `state`.
    #[must_use]
    pub const fn authorization_url(&self) -> &Url {
        &self.authorization_url.0
    }

    /// Returns the value to keep in the browser until the callback.
    #[must_use]
    pub const fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Returns the requested scopes.
    #[must_use]
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }
}

/// An authorization URL. Its query contains `state`, so `Debug` omits the query, and the text is
/// wiped on drop.
pub(crate) struct AuthorizationUrl(pub(crate) Url);

impl Drop for AuthorizationUrl {
    fn drop(&mut self) {
        // A `Url` cannot be wiped, but its text can be taken out. The URL left in its place
        // contains no secret.
        if let Ok(nothing) = Url::parse("about:blank") {
            drop(Zeroizing::new(String::from(std::mem::replace(
                &mut self.0,
                nothing,
            ))));
        }
    }
}

impl std::fmt::Debug for AuthorizationUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuthorizationUrl({} …)", self.0.origin().ascii_serialization())
    }
}
