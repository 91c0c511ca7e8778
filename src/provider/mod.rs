//! Services and their authorization servers, as data.
//!
//! A descriptor says what a server wants and how it deviates; the protocol code reads it. Quirks are
//! closed enums: what they cannot say, the library does not do.

mod answer_shape;
mod api_request;
pub mod catalog;
mod discovery;
mod file;
pub(crate) mod instance;
mod internal_host;
mod lookalike;
mod parameter;
mod pattern;
mod quirk;
mod redirect;
mod registration;
mod registry;
#[cfg(feature = "serde")]
mod scalar;
mod scope_choice;
#[cfg(feature = "serde")]
mod seconds;
mod server;
mod service;
#[cfg(feature = "serde")]
mod status;
#[cfg(feature = "serde")]
mod tagged;
pub(crate) mod template;
mod unknown;
mod validate;
pub(crate) mod value;

pub use answer_shape::{AnswerShape, Expiry, SuccessFlag};
pub use discovery::{Discovery, Pick};
pub use file::DescriptorFile;
pub use parameter::{InvalidParameter, ParameterKind, ParameterProblem, ParameterRule, ParameterSource};
pub use pattern::Pattern;
pub use quirk::{
    BodyFormat, ClientAuthentication, DeadGrant, IssuerPolicy, Pkce, Pointer, RefreshWith, Revocation,
    RevocationAuth, RevocationTokens, RotationClass, TokenHeader,
};
pub use redirect::{InvalidRedirect, Loopback, RedirectRules};
pub(crate) use redirect::{loopback_port, with_loopback_port};
pub use registration::ClientRegistration;
pub use registry::{Registry, Service};
pub use scope_choice::{ScopeModes, ScopeTier, ScopeTiers};
pub use server::{AuthorizationServer, Endpoints};
pub use service::{AccountEndpoint, AccountPointers, ApiHost, Provider};
pub use template::{InvalidTemplate, Template};
pub use unknown::UnknownProvider;
pub use validate::{DescriptorProblem, InvalidDescriptor, RuleProblem, Transport};
