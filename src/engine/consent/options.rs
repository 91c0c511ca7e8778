//! What a host says when it begins a consent, and what it gets.

use std::time::Duration;

use url::Url;
use zeroize::Zeroizing;

use crate::error::ConsentRequired;
use crate::model::{ConnectionId, ConsentId, Label, Parameters, ProviderId, Scopes, Timestamp};
use crate::protocol::{Hints, Prompt};
use crate::provider::loopback_port;
use crate::secret::{Binding, State};
use crate::vault::{PendingConsent, Purpose, RequestOptions};

/// What to ask for, beside what the provider's descriptor says.
///
/// `ConsentOptions::default()` connects a new account (or connects it again, if the person picks
/// one that is connected already) with the provider's default scopes.
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
    /// The scopes to ask for instead of the default ones. What the descriptor requires is added.
    pub scopes: Option<Scopes>,
    /// What is asked for in addition.
    pub(crate) added_scopes: Scopes,
    /// Names the connection, where the person has several. An existing one of that name is
    /// connected again.
    pub label: Option<Label>,
    /// What the person will see chosen or be asked at the server.
    pub(crate) hints: Hints,
    /// The values of the descriptor's placeholders. Those of the connection that is connected again
    /// count where none is given.
    pub parameters: Parameters,
    /// Connect this connection again; another account is refused unless `allow_other_account` was
    /// called.
    pub(crate) reconnect: Option<Reconnect>,
    /// The services that the same consent is to serve besides.
    pub(crate) also: Vec<String>,
    /// True if the consent fails if the service does not say whose account was connected.
    pub(crate) require_account: bool,
    /// Where the host means to send the browser afterwards. Kept with the consent and given back;
    /// never followed.
    pub return_to: Option<String>,
    /// The port of the redirect URI, instead of the registered one.
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
    /// Asks for these scopes.
    #[must_use]
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// Asks for these scopes in addition to the provider's default ones, or to those of
    /// [`scopes`](Self::scopes).
    #[must_use]
    pub fn add_scopes(mut self, scopes: Scopes) -> Self {
        self.added_scopes = self.added_scopes.union(&scopes);
        self
    }

    /// Names the connection.
    #[must_use]
    pub fn label(mut self, label: Label) -> Self {
        self.label = Some(label);
        self
    }

    /// Tells the server whom to expect: an e-mail address, or what the server takes for one
    /// ([OpenID Connect §3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest)).
    #[must_use]
    pub fn login_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.login_hint = Some(hint.into());
        self
    }

    /// Says what the page must or must not ask, beside what the descriptor asks for.
    #[must_use]
    pub const fn prompt(mut self, prompt: Prompt) -> Self {
        self.hints.prompt = Some(prompt);
        self
    }

    /// Sets how long ago the person may have signed in at the server.
    #[must_use]
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.hints.max_age = Some(max_age);
        self
    }

    /// Names the authentication classes that are wanted, separated by spaces
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

    /// Connects this connection again: it keeps its id and history, and what it had been granted is
    /// asked for again. If the person chooses another account, the consent fails and the connection
    /// stays as it is.
    ///
    /// The accounts can be compared only if the service names them. Where it does not, the
    /// connection says that its account
    /// [is not verified](crate::model::Connection::is_account_verified), and any account can be
    /// chosen. [`require_account`](Self::require_account) refuses such a service.
    #[must_use]
    pub fn reconnect(mut self, id: ConnectionId) -> Self {
        self.reconnect = Some(Reconnect::SameAccount(id));
        self
    }

    /// As [`reconnect`](Self::reconnect), to whatever account the person chooses.
    #[must_use]
    pub fn reconnect_any_account(mut self, id: ConnectionId) -> Self {
        self.reconnect = Some(Reconnect::AnyAccount(id));
        self
    }

    /// Serves this service with the same consent: one page for the person, one grant, and a
    /// connection for each service. It must be at the same authorization server; its default scopes
    /// are asked for. Call it again for a third.
    ///
    /// One answer of the person can leave some services out: each connection says which scopes
    /// [it misses](crate::model::Connection::missing_scopes).
    #[must_use]
    pub fn also(mut self, provider: impl AsRef<str>) -> Self {
        self.also.push(provider.as_ref().to_owned());
        self
    }

    /// Adds the named service, or more scopes of it, to the grant of this connection, which may be
    /// to another service of the same authorization server. If the person chooses another account,
    /// the consent fails and the grant stays as it is.
    ///
    /// Where the server adds to grants by itself, only what is missing is asked for; elsewhere all
    /// that the grant serves, because the new one replaces it.
    #[must_use]
    pub fn extending(mut self, id: ConnectionId) -> Self {
        self.reconnect = Some(Reconnect::Extend(id));
        self
    }

    /// Lets the consent fail with [`AccountUnknown`](crate::error::ConsentError::AccountUnknown) if
    /// the service does not say whose account was connected.
    ///
    /// Without this, a service that names no account in any way is connected all the same, and its
    /// connection is marked as [not verified](crate::model::Connection::is_account_verified).
    #[must_use]
    pub const fn require_account(mut self) -> Self {
        self.require_account = true;
        self
    }

    /// Keeps an address of the host's own with the consent, for after the callback.
    #[must_use]
    pub fn return_to(mut self, address: impl Into<String>) -> Self {
        self.return_to = Some(address.into());
        self
    }

    /// Sends the browser back to this port of the registered redirect URI, which must be a loopback
    /// address such as `http://127.0.0.1/callback`. Its host and path stay as they are registered.
    /// For a native app, which listens on whatever port is free
    /// ([RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)); servers accept any
    /// port there. [`loopback::connect`](crate::loopback::connect) calls it.
    ///
    /// With a client that has another redirect URI, the consent does not start:
    /// [`Misconfigured::NoLoopbackRedirect`](crate::error::Misconfigured::NoLoopbackRedirect).
    #[must_use]
    pub const fn loopback_port(mut self, port: u16) -> Self {
        self.loopback_port = Some(port);
        self
    }
}

impl ConsentOptions {
    /// The options that a consent request was stored with.
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
            require_account: *require_account,
            return_to: return_to.clone(),
            loopback_port: loopback_port(redirect_uri),
        }
    }
}

impl ConsentOptions {
    /// Keeps in a consent request what the host asked for and what begins a flow again.
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
    /// The options that meet the need: the same connection again, with the missing scopes beside
    /// those it had; or a new connection with the label that was asked for and, beside the
    /// provider's default scopes, those that are missing.
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

/// A consent that has begun.
///
/// # Security
///
/// Send the browser of the person who began it to [`authorization_url`](Self::authorization_url),
/// and keep [`binding`](Self::binding) in that browser, in a cookie with the `__Host-` prefix,
/// `Secure`, `HttpOnly` and `SameSite=Lax`. Do not send the URL to anybody: whoever opens it
/// connects an account to *this* person. Do not open it with a shell command: it has characters
/// that shells read.
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

/// Writes the accessors of a consent that is open for a while.
macro_rules! open_until {
    ($type:ident) => {
        impl $type {
            /// Returns the id, which names the consent to people and logs. It opens nothing.
            #[must_use]
            pub const fn id(&self) -> ConsentId {
                self.id
            }

            /// Returns the service that is to be connected.
            #[must_use]
            pub const fn provider(&self) -> &ProviderId {
                &self.provider
            }

            /// Returns when the consent ends, if it is not answered.
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
    /// Returns where to send the browser: `https`, or `http` to a loopback address in tests. It
    /// holds `state`.
    #[must_use]
    pub const fn authorization_url(&self) -> &Url {
        &self.authorization_url.0
    }

    /// Returns what to keep in the browser until the callback.
    #[must_use]
    pub const fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Returns the scopes that are asked for.
    #[must_use]
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }
}

/// An authorization URL. Its query holds `state`, so `Debug` leaves the query out, and it is wiped
/// when dropped.
pub(crate) struct AuthorizationUrl(pub(crate) Url);

impl Drop for AuthorizationUrl {
    fn drop(&mut self) {
        // A URL cannot be wiped, but it gives up its text. What takes its place has nothing in it.
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
