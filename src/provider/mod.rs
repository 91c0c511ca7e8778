//! Services and their authorization servers, as data.
//!
//! A descriptor says what a server wants and how it deviates. Descriptors are plain data; they are checked and compiled
//! when the connections are built. Quirks are closed enums: what they cannot say, the library does not do.

mod answer_shape;
mod builtin;
pub mod catalog;
mod clients;
pub(crate) mod compiled;
mod discovery;
mod file;
mod internal_host;
mod lookalike;
mod parameter;
mod path;
mod pattern;
mod problem;
mod quirk;
mod redirect;
mod registered_base;
mod registration;
mod registry;
#[cfg(feature = "serde")]
mod scalar;
mod scope_choice;
#[cfg(feature = "serde")]
mod seconds;
mod server;
mod service;
mod source;
#[cfg(feature = "serde")]
mod status;
mod syntax;
#[cfg(feature = "serde")]
mod tagged;
mod template;
pub(crate) mod transport;
mod unknown;
mod validate;
pub(crate) mod value;

pub use answer_shape::{AnswerShape, Expiry, SuccessFlag};
pub use discovery::{Discovery, Pick};
pub use file::DescriptorFile;
pub use parameter::{InvalidParameter, ParameterKind, ParameterProblem, ParameterRule, ParameterSource};
pub use pattern::Pattern;
pub use problem::InvalidDescriptor;
pub use quirk::{
    BodyFormat, ClientAuthentication, DeadGrant, IssuerPolicy, Pkce, RefreshWith, Revocation, RevocationAuth,
    RevocationTokens, RotationClass, TokenHeader,
};
pub use redirect::{InvalidRedirect, Loopback, RedirectRules};
pub(crate) use redirect::{loopback_port, with_loopback_port};
pub use registration::ClientRegistration;
pub use scope_choice::{ScopeModes, ScopeTier, ScopeTiers};
pub use server::AuthorizationServer;
pub use service::{AccountEndpoint, AccountPointers, ApiHost, Provider};
pub use source::{ClientSource, ClientSourceFailed};
pub use unknown::UnknownProvider;

pub(crate) use clients::NoClient;
#[cfg(test)]
pub(crate) use problem::DescriptorProblem;
pub(crate) use quirk::Pointer;
pub(crate) use registry::{Registry, RegistryBuilder};
pub(crate) use transport::Transport;
