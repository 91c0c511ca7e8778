//! The caller of a request, as the host identifies it.

use std::sync::Arc;

use http::request::Parts;
use ring::digest::{SHA256, digest};

use crate::model::{ActingUser, Operator, Principal};

/// Identifies the caller of a request.
///
/// # Contract
///
/// The gateway calls it once for every request except those for the style sheet, the script and
/// `/healthz`, before it does anything else. It sees only the head: a session cookie, an
/// `Authorization` header, or what a proxy in front has established. It must refuse every caller
/// that it does not know: there is no default.
///
/// A browser without a session is best refused with [`Refused::SignIn`]. After the sign-in, the
/// host redirects the browser to the value of the return parameter, and accepts only its own origin
/// there:
///
/// ```
/// use valetkey::gateway::Refused;
///
/// let refused = Refused::SignIn {
///     address: "/sign-in".into(),
///     return_parameter: "return_to".into(),
/// };
/// // GET /connections/connect/x  leads to  /sign-in?return_to=%2Fconnections%2Fconnect%2Fx
/// # assert_ne!(refused, Refused::Unauthenticated);
/// ```
///
/// A closure that takes the head and returns the caller implements this trait as well:
///
/// ```
/// use http::request::Parts;
/// use valetkey::ActingUser;
/// use valetkey::gateway::{Caller, Gateway, Mount, Refused};
/// # use valetkey::testing::Host;
///
/// # let connections = Host::new().connections;
/// # fn signed_in(_: &Parts) -> Option<&'static str> { Some("ada") }
/// let authenticator = |head: &Parts| {
///     let name = signed_in(head).ok_or(Refused::Unauthenticated)?;
///     let person = ActingUser::authenticated("acme", name).map_err(|_| Refused::Forbidden)?;
///     Ok(Caller::user(person))
/// };
/// let gateway = Gateway::new(connections, Mount::new("https://app.example")?, authenticator);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Security
///
/// The gateway trusts this result completely. Session cookies should be `Secure`, `HttpOnly` and
/// `SameSite=Lax`. With `SameSite=Strict`, a browser that returns from a provider would not send
/// its session.
pub trait Authenticator: Send + Sync + 'static {
    /// Returns the caller.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the caller is unknown, or may not use the gateway.
    fn authenticate(&self, head: &Parts) -> Result<Caller, Refused>;
}

impl<F> Authenticator for F
where
    F: Fn(&Parts) -> Result<Caller, Refused> + Send + Sync + 'static,
{
    fn authenticate(&self, head: &Parts) -> Result<Caller, Refused> {
        self(head)
    }
}

impl<A: Authenticator + ?Sized> Authenticator for Arc<A> {
    fn authenticate(&self, head: &Parts) -> Result<Caller, Refused> {
        (**self).authenticate(head)
    }
}

/// The reason why the host refuses a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The caller is unknown: 401.
    Unauthenticated,
    /// The caller is unknown, and the host has a sign-in page: a browser that requests a page is
    /// redirected there. Every other request is answered with 401.
    SignIn {
        /// The address of the sign-in page, such as `/sign-in`: a path of the host, or an `https`
        /// URL.
        address: String,
        /// The query parameter of that address for the way back, such as `return_to`. The gateway
        /// adds it, so that a one-time link or a callback that is opened without a session is not
        /// lost. Its value is the path and query of the request, or a full URL if the address is
        /// one. The codes in a callback are passed only to a path of the same host.
        return_parameter: String,
    },
    /// The caller is known, but may not use the gateway: 403.
    Forbidden,
}

/// A user whom the host has authenticated.
#[derive(Debug, Clone)]
pub struct Caller {
    acting_user: ActingUser,
    operator: Option<Operator>,
    ambient: bool,
    /// The hash of the session's id.
    session: Option<[u8; 32]>,
}

impl Caller {
    /// Returns a caller who manages their own connections.
    #[must_use]
    pub const fn user(acting_user: ActingUser) -> Self {
        Self {
            acting_user,
            operator: None,
            ambient: true,
            session: None,
        }
    }

    /// Returns a caller who manages all connections of their tenant.
    #[must_use]
    pub fn operator(operator: Operator) -> Self {
        Self {
            acting_user: operator.acting_user().clone(),
            operator: Some(operator),
            ambient: true,
            session: None,
        }
    }

    /// Marks the caller as authenticated by something that a browser does not send by itself, such
    /// as an `Authorization: Bearer` header. No other site can make such a request, so the gateway
    /// does not require a CSRF token.
    ///
    /// # Security
    ///
    /// Never call this for a cookie, HTTP Basic or Negotiate, a client certificate, or an address:
    /// browsers send those along with requests that other sites make.
    #[must_use]
    pub const fn explicit_credentials(mut self) -> Self {
        self.ambient = false;
        self
    }

    /// Binds the caller to this session of the host: its id, or another value that changes with
    /// each sign-in. CSRF tokens are then valid in that session only, and end with it. Without a
    /// session they expire after a day. The gateway keeps only a hash of the value.
    #[must_use]
    pub fn in_session(mut self, session: impl AsRef<[u8]>) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, session.as_ref()).as_ref());
        self.session = Some(hash);
        self
    }

    /// Returns the hash of the session, if the host has named one.
    pub(super) const fn session(&self) -> Option<&[u8; 32]> {
        self.session.as_ref()
    }

    /// Returns the user.
    #[must_use]
    pub const fn acting_user(&self) -> &ActingUser {
        &self.acting_user
    }

    /// Returns the operator, who sees and manages all connections of their tenant and can begin
    /// consents for other users; `None` for a user who sees and manages their own connections, and
    /// sees the workspace connections.
    #[must_use]
    pub const fn as_operator(&self) -> Option<&Operator> {
        self.operator.as_ref()
    }

    /// Returns whether the caller's browser sends its credentials by itself.
    pub(super) const fn is_ambient(&self) -> bool {
        self.ambient
    }

    pub(super) const fn is_operator(&self) -> bool {
        self.operator.is_some()
    }

    /// Returns the principal that decides which connections are in reach.
    pub(super) fn principal(&self) -> &dyn Principal {
        match &self.operator {
            Some(operator) => operator,
            None => &self.acting_user,
        }
    }
}
