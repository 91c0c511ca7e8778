//! Services and their authorization servers, as data.
//!
//! A descriptor says what a server wants and how it deviates; the protocol code reads it. Quirks are
//! closed enums: what they cannot say, the library does not do.

pub mod catalog;
mod parameter;
mod quirk;
mod redirect;
mod registration;
mod registry;
#[cfg(feature = "serde")]
mod seconds;
mod server;
mod service;
mod template;
mod validate;

pub use parameter::{InvalidParameter, ParameterKind, ParameterProblem, ParameterRule};
pub use quirk::{
    BodyFormat, ClientAuthentication, DeadGrant, IssuerPolicy, Pkce, Pointer, Revocation, RevocationAuth,
    RevocationTokens, RotationClass, TokenHeader,
};
pub use redirect::{InvalidRedirect, Loopback, RedirectRules};
pub use registration::ClientRegistration;
pub use registry::{Registry, Service};
pub use server::{AuthorizationServer, Endpoints};
pub use service::{AccountEndpoint, ApiHost, Provider};
pub use template::{InvalidTemplate, Template};
pub use validate::{DescriptorProblem, InvalidDescriptor, Transport};
