//! Services and their authorization servers, as data.
//!
//! A descriptor says what a server wants and how it deviates; the protocol code reads it. Quirks are
//! closed enums: what they cannot say, the library does not do.

// pub mod catalog;
mod parameter;
mod quirk;
mod redirect;
mod registration;
// mod registry;
mod server;
mod service;
// mod template;
// mod validate;

pub use parameter::{ParameterKind, ParameterRule};
pub use quirk::{
    BodyFormat, ClientAuthentication, DeadGrant, IssuerPolicy, Pkce, Pointer, Revocation, RevocationAuth,
    RevocationTokens, RotationClass, TokenHeader,
};
pub use redirect::{Loopback, RedirectRules};
pub use registration::ClientRegistration;
// pub use registry::{Registry, UnknownProvider};
pub use server::AuthorizationServer;
pub use service::{AccountEndpoint, ApiHost, Provider};
// pub use template::{InvalidTemplate, Template};
// pub use validate::InvalidDescriptor;
