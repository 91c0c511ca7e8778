//! The parts of a descriptor, as the crate reads them. Hosts write them as members of a document.

pub use crate::provider::answer_shape::{AnswerShape, Expiry, SuccessFlag};
pub use crate::provider::discovery::{Discovery, Pick};
pub use crate::provider::parameter::{ParameterKind, ParameterProblem, ParameterRule, ParameterSource};
pub use crate::provider::pattern::Pattern;
pub use crate::provider::pointer::Pointer;
pub use crate::provider::quirk::{
    AssertionAudience, BodyFormat, ClientAuthentication, DeadGrant, IssuerPolicy, Pkce, RefreshWith,
    Revocation, RevocationAuth, RevocationTokens, RotationClass, TokenHeader,
};
pub use crate::provider::redirect::{InvalidRedirect, Loopback, RedirectRules};
pub use crate::provider::scope_choice::{ScopeModes, ScopeName, ScopeTiers};
pub use crate::provider::server::ServerDescriptor;
pub use crate::provider::service::{AccountEndpoint, AccountPointers, ApiHost, ProviderDescriptor};
