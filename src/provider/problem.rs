//! The mistakes that a descriptor or a registration can have.

use std::fmt;

use crate::provider::unknown::similar;

use crate::provider::redirect::InvalidRedirect;
use crate::provider::template::{InvalidTemplate, Unfilled};

/// A descriptor or a registration that is not valid. An administrator must correct it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidDescriptor {
    /// The id of the server or provider. Empty if it is not known, because the document cannot be
    /// read.
    pub descriptor: String,
    /// The member of the document. Empty if the document cannot be read.
    pub field: &'static str,
    /// The mistake.
    pub(crate) problem: DescriptorProblem,
    /// The built-in server that was replaced, if a built-in provider does not fit its replacement.
    pub replaced_server: Option<String>,
}

impl InvalidDescriptor {
    pub(crate) fn new(descriptor: &str, field: &'static str, problem: DescriptorProblem) -> Self {
        Self {
            descriptor: descriptor.into(),
            field,
            problem,
            replaced_server: None,
        }
    }

    /// Returns the mistake as a phrase about the field, such as `is not https`.
    #[must_use]
    pub fn problem(&self) -> String {
        self.problem.to_string()
    }
}

impl fmt::Display for InvalidDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.problem, DescriptorProblem::Unreadable { .. }) {
            return match self.descriptor.as_str() {
                "" => write!(f, "the descriptor {}", self.problem),
                id => write!(f, "the descriptor \"{id}\" {}", self.problem),
            };
        }
        write!(f, "\"{}\": {}: {}", self.descriptor, self.field, self.problem)?;
        match &self.replaced_server {
            Some(server) => write!(
                f,
                " (this built-in provider uses the built-in server \"{server}\", which was replaced)"
            ),
            None => Ok(()),
        }
    }
}

impl InvalidDescriptor {
    /// Returns the error for a registration with a private key that is to be stored.
    pub(crate) fn key_not_stored(server: &str) -> Self {
        Self::new(server, "private_key", DescriptorProblem::KeyNotStored)
    }
}

impl std::error::Error for InvalidDescriptor {}

fn unknown_server(given: &str, known: &[String]) -> String {
    let similar = similar(given, known.iter().map(String::as_str));
    let hint = similar.map_or_else(String::new, |id| format!("did you mean \"{id}\"? "));
    let known = known.join(", ");
    format!("no server has the id {given:?}; {hint}known are: {known}")
}

fn client_secret(needs_secret: bool) -> &'static str {
    if needs_secret {
        "is missing: this server requires a confidential client; call ClientRegistration::new with the secret"
    } else {
        "is set, but this server takes public clients only; call ClientRegistration::public"
    }
}

fn private_key(needs_key: bool) -> &'static str {
    if needs_key {
        "is missing: this server requires signed assertions; call ClientRegistration::with_private_key"
    } else {
        "is set, but the server's client authentication is not \"private_key_jwt\"; call ClientRegistration::new or \
         ClientRegistration::public"
    }
}

/// The mistake in a field of a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DescriptorProblem {
    /// The document cannot be read.
    #[error("cannot be read at line {line}, column {column}: {what}")]
    Unreadable {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The problem there, without a value of the document.
        what: String,
    },
    /// The template is not valid.
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
    /// The URL is `http`.
    #[error("is not https; for a sandbox on this machine, call ConnectionsBuilder::dangerous_loopback_http")]
    NotHttps,
    /// The URL has a query or a path where none is allowed.
    #[error("is not a bare origin or has a query: remove the path or query")]
    NotBare,
    /// The query of the endpoint, or an added parameter, uses a name of the protocol.
    #[error("sets \"{0}\", which the protocol uses: remove it")]
    ProtocolParameter(String),
    /// A placeholder without a rule.
    #[error("{{{0}}} has no rule: add one to the server's parameters")]
    NoRule(String),
    /// A placeholder whose rule has a kind that does not fit its place.
    #[error("the rule for {{{name}}} has a kind that is not allowed here: {fitting}")]
    WrongKind {
        /// The placeholder.
        name: String,
        /// The kinds that fit.
        fitting: &'static str,
    },
    /// The name of a credential in braces.
    #[error(
        "{{{0}}} is a credential: the protocol sends it, and it is not allowed in a URL, a header or a parameter"
    )]
    Credential(String),
    /// A name for a part of the request, in a place where that part is not known.
    #[error("{{{0}}} stands for a part of another request and is not allowed here")]
    BuiltIn(String),
    /// The discovery provides a value whose rule names a different source.
    #[error("fills \"{0}\", whose rule must have the source \"discovery\"")]
    NotDiscovered(String),
    /// A rule that is not valid.
    #[error("the rule for \"{name}\" {problem}")]
    Rule {
        /// The parameter.
        name: String,
        /// The mistake in its rule.
        problem: RuleProblem,
    },
    /// A value is not a scope.
    #[error("has a scope that RFC 6749 does not allow, or that contains the scope separator: correct it")]
    Scope,
    /// A value is not a JSON pointer.
    #[error("has a JSON pointer that does not begin with \"/\": write \"/id\", for example")]
    Pointer,
    /// A list of pointers to a required value is empty.
    #[error("needs at least one JSON pointer to the id")]
    NoPointer,
    /// A value that the browser controls would decide where secrets are sent.
    #[error(
        "takes {{{0}}} from the callback, which the browser controls: make its rule a \"one_of\" list, and add an alternative \
         without it after \" || \"; if no list is possible, let the host set the value"
    )]
    FromCallback(String),
    /// An endpoint needs, before the consent, a value that is known only after it.
    #[error(
        "needs {{{0}}}, which is known only after the consent: add an alternative without it after \" || \""
    )]
    NotYetKnown(String),
    /// An endpoint needs a value that may be missing.
    #[error(
        "needs {{{0}}}, which may be missing: add an alternative without it after \" || \", or a default"
    )]
    MayBeMissing(String),
    /// The API base is outside all API hosts.
    #[error("do not cover the API base, so no request to a path would be sent: add it")]
    NotCovered,
    /// A parameter may not be renamed or omitted: state and PKCE protect the consent.
    #[error("may not rename or omit \"{0}\": remove that entry")]
    Renamed(String),
    /// The header cannot be sent, or HTTP itself uses it.
    #[error("is not a header that can carry a token; use Authorization or a header of the API")]
    Header,
    /// The name is not a header name, or the header frames the message or carries a credential.
    #[error("may not set the header \"{0}\": it is not valid, frames the message or carries a credential")]
    HeaderName(String),
    /// A value contains a placeholder of another template language.
    #[error("has \"{0}\", a placeholder of another language: write {{name}}")]
    Lookalike(&'static str),
    /// A field that is compared or sent literally contains a placeholder.
    #[error("is not a template, but contains a brace, \"$\", \"<\" or \">\": remove it")]
    NoTemplate,
    /// A value has unbalanced braces.
    #[error("has an unbalanced brace: close or remove it")]
    Braces,
    /// A value contains `||` without the spaces that separate alternatives.
    #[error("has \"||\": write \" || \" between alternatives, with one space on either side")]
    Bar,
    /// A list of statuses is empty, or contains a status that is not a client error.
    #[error("must list statuses from 400 to 499")]
    RefusalStatus,
    /// An entry has neither a status nor a code, or a status that is not a refusal.
    #[error("has an entry with neither a code nor a status from 400 to 499: add one")]
    DeadGrant,
    /// The separator between scopes is not one that servers use.
    #[error("must be a space or one of \",\" \"+\" \";\" \"|\"")]
    Separator,
    /// The issuer is missing although the policy compares it.
    #[error("is missing, but the issuer policy compares it with the callback's \"iss\": set it")]
    NoIssuer,
    /// The value is not one of the choices.
    #[error("has a value that is not allowed here")]
    Value,
    /// The value is empty.
    #[error("is empty: set it")]
    Empty,
    /// The id contains a character that URLs and files would have to escape.
    #[error("contains a space or one of \"/\", \"?\", \"#\" and \"%\"")]
    Id,
    /// Two descriptors have the same id.
    #[error("is used by two descriptors: give one of them another id")]
    Twice,
    /// Two clients are registered for one server.
    #[error("is registered twice: register one client, which serves all providers of the server")]
    TwoClients,
    /// The id is that of a built-in descriptor.
    #[error("is that of a built-in descriptor: choose another id, or set \"replaces_builtin\" to true")]
    ReplacesBuiltin,
    /// The descriptor says that it replaces a built-in one, but none has its id.
    #[error("is true, but no built-in descriptor has this id: remove it")]
    ReplacesNothing,
    /// The id does not name a server.
    #[error("{}", unknown_server(given, known))]
    UnknownServer {
        /// The id in the descriptor.
        given: String,
        /// The ids of the servers, in alphabetical order.
        known: Vec<String>,
    },
    /// The id names a provider instead of a server.
    #[error("is registered for a provider: register it for its authorization server {server:?}")]
    ProviderNotServer {
        /// The provider's server.
        server: String,
    },
    /// The server does not accept the redirect URI.
    #[error(transparent)]
    Redirect(#[from] InvalidRedirect),
    /// A registration lists a base URL that cannot be compared with an endpoint.
    #[error(
        "lists a base URL that is not \"https://host\", with a port or a path at most, or \"https://*.domain\" for the \
         hosts below a public domain"
    )]
    BaseUrl,
    /// The value has whitespace or quotes around it, from the file or the variable that it was read
    /// from.
    #[error("begins or ends with whitespace, or is in quotes: remove them")]
    Wrapped,
    /// The server requires a secret and the client has none, or the reverse.
    #[error("{}", client_secret(*needs_secret))]
    ClientSecret {
        /// True if the server requires a confidential client.
        needs_secret: bool,
    },
    /// The server requires a private key and the client has none, or the reverse.
    #[error("{}", private_key(*needs_key))]
    PrivateKey {
        /// True if the server requires signed assertions.
        needs_key: bool,
    },
    /// The registration is to be stored, but the vault stores no private keys.
    #[error(
        "is not stored in the vault: register this client with ConnectionsBuilder::client, or return it from a \
         ClientSource"
    )]
    KeyNotStored,
    /// The issuer is missing although it is the audience of assertions.
    #[error(
        "is missing, but it is the audience of the client's assertions: set it, or set \
             client_assertion_audience to \"endpoint\""
    )]
    NoAudience,
}

impl From<Unfilled> for DescriptorProblem {
    fn from(unfilled: Unfilled) -> Self {
        match unfilled {
            Unfilled::Missing(name) => Self::NoRule(name),
            Unfilled::Value(_) => Self::Value,
            Unfilled::Address { problem, .. } => Self::Template(problem),
        }
    }
}

/// The mistake in the rule of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleProblem {
    /// The name contains characters other than letters, digits, `_`, `-` and `.`.
    #[error(
        "has a name with characters other than letters, digits, \"_\", \"-\" and \".\": choose another name"
    )]
    Name,
    /// The name stands for a part of the request itself.
    #[error(
        "has a reserved name, which stands for a part of the request: choose a name other than redirect_uri, scope, client_id, random and state"
    )]
    Reserved,
    /// The name is that of a credential.
    #[error("has the name of a credential: choose another name")]
    Credential,
    /// The name has two rules.
    #[error("is defined twice: remove one of them")]
    Twice,
    /// The list of values is empty.
    #[error("lists no values: add some")]
    NoValues,
    /// The pattern requires a scheme, but this kind of value has none.
    #[error(
        "has a pattern that begins with a scheme, which is removed from a \"host\" before the pattern is matched: remove the scheme"
    )]
    Scheme,
    /// The pattern cannot be compiled.
    #[error(
        "has a pattern that is not valid: write a regular expression of at most 512 bytes, with look-ahead only at its start"
    )]
    Pattern,
    /// The rule does not accept its own default.
    #[error("has a default that it does not accept itself, or that does not produce a URL: correct it")]
    Default,
    /// The rule does not accept its own example.
    #[error("has an example that it does not accept itself: correct it")]
    Example,
    /// The parameter of the callback is missing, or one of the protocol's own.
    #[error(
        "takes its value from a callback parameter that has no name, or one that the protocol uses: choose another"
    )]
    CallbackName,
    /// A base URL or a host would come from the callback.
    #[error(
        "takes a base URL or a host from the callback, which the browser controls: make it a \"one_of\" list, and give each \
         endpoint an alternative without it after \" || \"; if no list is possible, let the host set the value"
    )]
    BaseUrlFromCallback,
    /// The pointer into the token answer does not begin with `/`.
    #[error("takes its value from a JSON pointer that does not begin with \"/\": write \"/id\", for example")]
    Pointer,
}
