//! Which redirect URIs an authorization server accepts.

/// Which redirect URIs an authorization server accepts. `https` is always accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RedirectRules {
    /// Which plain-http loopback addresses it accepts.
    pub loopback: Loopback,
}

/// Which plain-http loopback redirect URIs a server accepts
/// ([RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Loopback {
    /// `127.0.0.1`, `[::1]` and `localhost`.
    #[default]
    Any,
    /// `127.0.0.1` and `[::1]`, not `localhost`.
    IpLiteral,
    /// `localhost` only.
    Localhost,
    /// None: `https` only.
    Refused,
}
