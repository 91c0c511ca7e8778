//! Who is calling: the host's to say.

use std::sync::Arc;

use http::request::Parts;
use ring::digest::{SHA256, digest};

use crate::model::{ActingUser, Operator, Principal};

/// Says who is calling.
///
/// # Contract
///
/// Called once for every request but those for the style sheet, the script and `/healthz`, before
/// anything else is done with it. It looks at the head alone: a session cookie, an `Authorization`
/// header, what a proxy in front has established. It must not let anybody in whom it does not know:
/// there is no default.
///
/// A browser without a session is best refused with [`Refused::SignIn`]. After the sign-in, the
/// host sends it to the value of the return parameter, and takes no other origin there than its
/// own:
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
/// A closure that takes the head and returns the caller is an authenticator too:
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
/// Everything rests on the answer. Session cookies should be `Secure`, `HttpOnly` and
/// `SameSite=Lax`; with `SameSite=Strict` the browser that comes back from a provider would seem to
/// be nobody's.
pub trait Authenticator: Send + Sync + 'static {
    /// Returns who is calling.
    ///
    /// # Errors
    ///
    /// [`Refused`] if it is nobody, or somebody who may not be here.
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

/// Why a caller is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// Nobody known: 401.
    Unauthenticated,
    /// Nobody known, and the host signs people in: a browser that asks for a page is sent there.
    /// For everything else it is 401.
    SignIn {
        /// The address that signs people in, such as `/sign-in`: a path of the host, or an `https`
        /// URL.
        address: String,
        /// The query parameter in which that address takes the way back, such as `return_to`. The
        /// gateway adds it, so that a one-time link or a callback that is opened without a session
        /// is not lost: the value is the path and query of the request, or a full URL if the
        /// address is one. The codes in a callback are given to a path of the same host alone.
        return_parameter: String,
    },
    /// Somebody known who may not use this: 403.
    Forbidden,
}

/// Somebody whom the host has authenticated.
#[derive(Debug, Clone)]
pub struct Caller {
    acting_user: ActingUser,
    operator: Option<Operator>,
    ambient: bool,
    /// The hash of the session.
    session: Option<[u8; 32]>,
}

impl Caller {
    /// A person who looks after their own connections.
    #[must_use]
    pub const fn user(acting_user: ActingUser) -> Self {
        Self {
            acting_user,
            operator: None,
            ambient: true,
            session: None,
        }
    }

    /// A person who looks after those of their tenant.
    #[must_use]
    pub fn operator(operator: Operator) -> Self {
        Self {
            acting_user: operator.acting_user().clone(),
            operator: Some(operator),
            ambient: true,
            session: None,
        }
    }

    /// The same, who proved it by something that a browser does not send by itself, such as an
    /// `Authorization: Bearer` header: no other site can make such a request, and no CSRF token is
    /// asked for.
    ///
    /// # Security
    ///
    /// Never say so of a cookie, of HTTP Basic or Negotiate, of a client certificate, or of an
    /// address: browsers send those along with requests that other sites make.
    #[must_use]
    pub const fn explicit_credentials(mut self) -> Self {
        self.ambient = false;
        self
    }

    /// The same, in this session of the host: its id, or another value that a new sign-in changes.
    /// CSRF tokens are then good in that session alone, and end with it. Without it they end after
    /// a day. The gateway keeps its hash only.
    #[must_use]
    pub fn in_session(mut self, session: impl AsRef<[u8]>) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, session.as_ref()).as_ref());
        self.session = Some(hash);
        self
    }

    /// The hash of the session, if the host has named one.
    pub(super) const fn session(&self) -> Option<&[u8; 32]> {
        self.session.as_ref()
    }

    /// The person.
    #[must_use]
    pub const fn acting_user(&self) -> &ActingUser {
        &self.acting_user
    }

    /// Returns them as the operator, who sees and manages all of their tenant's connections and
    /// starts some for others; `None` for a person who sees and manages their own, and sees the
    /// shared ones.
    #[must_use]
    pub const fn as_operator(&self) -> Option<&Operator> {
        self.operator.as_ref()
    }

    /// Returns whether their browser sends the proof of who they are by itself.
    pub(super) const fn is_ambient(&self) -> bool {
        self.ambient
    }

    pub(super) const fn is_operator(&self) -> bool {
        self.operator.is_some()
    }

    /// Returns whose reach counts.
    pub(super) fn principal(&self) -> &dyn Principal {
        match &self.operator {
            Some(operator) => operator,
            None => &self.acting_user,
        }
    }
}
