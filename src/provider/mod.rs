//! Services and their authorization servers, as data.
//!
//! A descriptor describes a server or a service and its deviations from the standards. It is a
//! document in JSON or another serde format; each deviation is a member of that document, from a
//! closed set of choices. There are no code hooks. `docs/descriptors.md` describes every member,
//! and `docs/descriptor.schema.json` is the schema for editors. Descriptors are checked and
//! compiled when the connections are built.
//!
//! # Examples
//!
//! ```
//! use valetkey::catalog;
//!
//! let gmail = catalog::gmail();
//! assert_eq!((gmail.name(), gmail.server().as_str()), ("Gmail", catalog::GOOGLE));
//! assert!(gmail.read_only_scopes().is_some());
//! ```

mod answer_shape;
mod builtin;
pub mod catalog;
mod clients;
pub(crate) mod compiled;
#[cfg_attr(not(feature = "_internals"), allow(unused_imports))] // some are for tests alone
pub(crate) mod data;
mod descriptor;
mod discovery;
mod file;
mod lookalike;
mod parameter;
mod path;
mod pattern;
mod pointer;
mod problem;
mod quirk;
mod redirect;
mod registered_base;
mod registration;
mod registry;
mod scalar;
mod scope_choice;
mod seconds;
mod server;
mod service;
mod signing_key;
mod source;
mod status;
mod syntax;
mod tagged;
mod template;
pub(crate) mod transport;
mod unknown;
mod unreadable;
mod validate;
pub(crate) mod value;

pub use descriptor::{AuthorizationServer, Provider};
pub use file::DescriptorFile;
pub use parameter::InvalidParameter;
pub use problem::InvalidDescriptor;
pub use registration::ClientRegistration;
pub use source::ClientSource;
pub(crate) use unknown::{UnknownProvider, message as unknown_provider_message};

pub(crate) use clients::NoClient;
pub(crate) use data::{
    AccountEndpoint, AccountPointers, AnswerShape, ApiHost, AssertionAudience, BodyFormat,
    ClientAuthentication, DeadGrant, Discovery, Expiry, IssuerPolicy, Loopback, ParameterKind,
    ParameterProblem, ParameterRule, ParameterSource, Pattern, Pick, Pkce, ProviderDescriptor, RedirectRules,
    RefreshWith, Revocation, RevocationAuth, RevocationTokens, RotationClass, ScopeModes, ScopeName,
    ScopeTiers, ServerDescriptor, TokenHeader,
};
pub(crate) use pointer::Pointer;
#[cfg(test)]
pub(crate) use problem::{DescriptorProblem, RuleProblem};
#[cfg(test)]
pub(crate) use redirect::InvalidRedirect;
pub(crate) use redirect::{loopback_port, with_loopback_port};
pub(crate) use registry::{Registry, RegistryBuilder};
#[cfg(test)]
pub(crate) use template::InvalidTemplate;
pub(crate) use transport::Transport;
