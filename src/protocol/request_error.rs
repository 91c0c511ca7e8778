//! Reasons why a request to an authorization server cannot be built.

/// A reason why a request cannot be built. Nothing was sent. An administrator must fix this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The endpoint is not https (or http to a loopback address), or has a user or a fragment.
    #[error("the endpoint is not an https URL without user and fragment; correct the descriptor")]
    Endpoint,
    /// The redirect URI is not a URL.
    #[error("the redirect URI is not a URL; correct the client registration")]
    RedirectUri,
    /// The server requires a client secret, but the registration has none.
    #[error("the client registration has no secret; call ClientRegistration::new with it")]
    ClientSecret,
    /// The server requires a signed assertion, but the registration has no private key.
    #[error("the client registration has no private key; call ClientRegistration::with_private_key")]
    PrivateKey,
    /// The audience of assertions is the issuer, which the descriptor does not name.
    #[error("the descriptor names no issuer for the client's assertions; set its issuer")]
    Audience,
    /// The operating system returned no random numbers.
    #[error("the operating system returned no random numbers; retry")]
    Random,
    /// The credential contains a character that is not valid in a header.
    #[error("the credential contains characters that are not valid in a header")]
    Header,
    /// The endpoint cannot be written as an HTTP request target.
    #[error("the endpoint cannot be written as a request target")]
    Target,
}
