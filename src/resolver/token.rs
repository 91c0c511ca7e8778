//! A token returned for a turn, with its allowed destinations.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use url::Url;

use crate::error::{RequestRefused, Result};
use crate::model::{ConnectionId, GrantId, Parameters, ProviderId, Timestamp};
use crate::protocol::bearer_value;
use crate::provider::compiled::CompiledProvider;
use crate::secret::{AccessToken, SecretBytes};

/// An access token for one turn, with its connection, expiry and allowed destinations.
///
/// It is neither `Clone` nor serializable. Resolve again in the next turn, which takes
/// microseconds.
#[derive(Debug)]
pub struct ResolvedToken {
    pub(crate) access_token: Arc<AccessToken>,
    pub(crate) provider: Arc<CompiledProvider>,
    pub(crate) connection: ConnectionId,
    /// The grant that the token belongs to.
    pub(crate) grant: GrantId,
    pub(crate) generation: u64,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) is_workspace: bool,
    pub(crate) parameters: Parameters,
}

impl ResolvedToken {
    /// Returns the access token.
    #[must_use]
    pub fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    /// Returns the value of the `Authorization` header, or of the header that this provider expects
    /// instead, marked as sensitive.
    ///
    /// # Security
    ///
    /// The value does not restrict where it is sent. Prefer [`header_for`](Self::header_for), which
    /// checks the address, or [`Turn::send`](crate::resolver::Turn::send). Remove the header when
    /// you follow a redirect to another origin.
    ///
    /// # Panics
    ///
    /// Never: tokens that are not valid in a header are refused when they are issued.
    #[must_use]
    pub fn dangerous_header(&self) -> HeaderValue {
        let (_, value) = self.header();
        header_value(&value).unwrap_or_else(|_| unreachable!("checked when the token was parsed"))
    }

    /// Returns the header for a request to this address: its name, and its value marked as
    /// sensitive.
    ///
    /// # Errors
    ///
    /// [`RequestRefused::Address`] unless the address belongs to the provider's API.
    pub fn header_for(&self, url: &Url) -> Result<(HeaderName, HeaderValue)> {
        if !self.allows(url) {
            return Err(RequestRefused::Address.into());
        }
        let (name, value) = self.header();
        Ok((name, header_value(&value)?))
    }

    /// Returns whether the token may be sent to this address.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        self.provider.allows(url, &self.parameters)
    }

    /// Returns the provider.
    #[must_use]
    pub fn provider(&self) -> &ProviderId {
        &self.provider.id
    }

    /// Returns the connection that the token belongs to.
    #[must_use]
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Returns the generation of the token, a number that each consent and each refresh increases.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns when the token expires, if known.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Returns whether the token belongs to a workspace connection instead of a personal one.
    #[must_use]
    pub const fn is_workspace(&self) -> bool {
        self.is_workspace
    }

    /// Returns the name of the header that carries the token.
    pub(super) fn header_name(&self) -> HeaderName {
        self.provider.token_header_name().clone()
    }

    pub(crate) fn header(&self) -> (HeaderName, SecretBytes) {
        let value = bearer_value(&self.provider.token_header.prefix, &self.access_token);
        (self.provider.token_header_name().clone(), value)
    }
}

fn header_value(value: &SecretBytes) -> Result<HeaderValue, RequestRefused> {
    let mut value = HeaderValue::from_bytes(value.expose_secret()).map_err(|_| RequestRefused::Header)?;
    value.set_sensitive(true);
    Ok(value)
}
