//! Errors of plain values.

/// A value from a host or a browser that does not have the required form.
///
/// The message names the purpose of the value, the problem and the valid form. It never repeats the
/// value, which may be hostile or a misplaced secret.
///
/// ```
/// use valetkey::UserId;
///
/// let error = UserId::new("").unwrap_err();
/// assert_eq!(error.rule(), "empty");
/// assert!(error.to_string().starts_with("the user id is empty"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the {what} {rule}")]
pub struct InvalidValue {
    what: &'static str,
    rule: Rule,
}

impl InvalidValue {
    /// Returns the error for an id with this description.
    pub(crate) const fn new(what: &'static str, rule: Rule) -> Self {
        Self { what, rule }
    }

    /// Returns the name of the violated rule, such as `empty`. The names are stable.
    ///
    /// | what | rules |
    /// |---|---|
    /// | a name, such as a [`UserId`](crate::UserId) | `empty`, `too_long`, `control_character`, `invisible_character` |
    /// | an id that this crate made | `not_a_uuid` |
    /// | a scope | `scope_empty`, `scope_too_long`, `scope_character` |
    /// | a time | `not_rfc_3339` |
    /// | an exported audit head | `audit_head` |
    /// | a callback | `callback_duplicate_parameter`, `callback_missing_state`, `callback_missing_code`, `callback_too_long`, `callback_malformed` |
    /// | settings of the default HTTP client | `roots`, `proxy` |
    /// | settings of the gateway | `origin`, `base_path`, `account_link`, `host_address`, `host_origin` |
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        self.rule.name()
    }

    /// Returns the problem without the purpose of the value, which a page names in its own words.
    #[cfg(feature = "gateway")]
    pub(crate) const fn problem(&self) -> &impl std::fmt::Display {
        &self.rule
    }

    /// Returns whether the value is a callback, which comes from a browser and not from the host.
    pub(crate) const fn is_callback(&self) -> bool {
        matches!(
            self.rule,
            Rule::DuplicateParameter(_)
                | Rule::MissingState
                | Rule::MissingCode
                | Rule::CallbackTooLong
                | Rule::CallbackMalformed
        )
    }
}

/// A typed id needs no check. This conversion lets a function accept both text and typed ids.
impl From<std::convert::Infallible> for InvalidValue {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// A rule for a value. Its message continues the description of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum Rule {
    #[error("is empty; it must have 1 to 512 bytes")]
    Empty,
    #[error("is longer than 512 bytes; shorten it")]
    TooLong,
    #[error("contains a control character; remove it")]
    ControlCharacter,
    #[error("contains an invisible character; remove it")]
    InvisibleCharacter,
    #[error("is not a UUID; pass an id that valetkey returned")]
    NotAUuid,

    #[error("is empty; it must have 1 to 1024 bytes")]
    ScopeEmpty,
    #[error("is longer than 1024 bytes; shorten it")]
    ScopeTooLong,
    #[error(
        "contains a character that RFC 6749 does not allow; allowed is printable ASCII except the space, the quotation \
         mark and the backslash"
    )]
    ScopeCharacter,

    #[error("is not in the format of RFC 3339, such as 1985-04-12T23:20:50Z")]
    NotRfc3339,
    #[error("is not an exported head; pass the text that an audit head displays")]
    AuditHead,

    /// [RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1).
    #[error("has more than one \"{0}\"; start again")]
    DuplicateParameter(&'static str),
    /// Nothing identifies the consent.
    #[error("has no \"state\"; pass the whole URL that the browser was redirected to")]
    MissingState,
    #[error("has neither \"code\" nor \"error\"; pass the whole URL that the browser was redirected to")]
    MissingCode,
    #[error("is longer than 64 KiB; start again")]
    CallbackTooLong,
    /// The callback has both a code and an error, no query, or whitespace inside.
    #[error(
        "is not an authorization response; pass the URL that the browser was redirected to, or its query"
    )]
    CallbackMalformed,

    #[error(
        "is not an RSA key of at least 2048 bits, an EC key on P-256 or P-384, or an Ed25519 key in PKCS#8; convert it \
         with `openssl pkcs8 -topk8 -nocrypt`"
    )]
    PrivateKey,

    #[cfg(feature = "ureq")]
    #[error(
        "are not PEM certificates, or one of them is not a valid root; pass the PEM text of root certificates"
    )]
    Roots,
    #[cfg(feature = "ureq")]
    #[error("is not the URL of an HTTP proxy, such as http://proxy.example:3128")]
    Proxy,

    #[cfg(feature = "gateway")]
    #[error("is not an https origin, such as https://agent.example; set a path with Mount::under")]
    Origin,
    #[cfg(feature = "gateway")]
    #[error(
        "is not a plain path, such as /connections: a slash, then letters, digits, `-`, `_`, `.`, `~` and slashes"
    )]
    BasePath,
    #[cfg(feature = "gateway")]
    #[error("is neither a path of this host nor an https URL, such as /account")]
    AccountLink,
    #[cfg(feature = "gateway")]
    #[error("is neither a path of this host nor an https URL, such as /theme.css")]
    HostAddress,
    #[cfg(feature = "gateway")]
    #[error("is neither an https origin, such as https://cdn.example, nor an origin at a loopback address")]
    HostOrigin,
}

impl Rule {
    const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::ControlCharacter => "control_character",
            Self::InvisibleCharacter => "invisible_character",
            Self::NotAUuid => "not_a_uuid",
            Self::ScopeEmpty => "scope_empty",
            Self::ScopeTooLong => "scope_too_long",
            Self::ScopeCharacter => "scope_character",
            Self::NotRfc3339 => "not_rfc_3339",
            Self::AuditHead => "audit_head",
            Self::DuplicateParameter(_) => "callback_duplicate_parameter",
            Self::MissingState => "callback_missing_state",
            Self::MissingCode => "callback_missing_code",
            Self::CallbackTooLong => "callback_too_long",
            Self::CallbackMalformed => "callback_malformed",
            Self::PrivateKey => "private_key",
            #[cfg(feature = "ureq")]
            Self::Roots => "roots",
            #[cfg(feature = "ureq")]
            Self::Proxy => "proxy",
            #[cfg(feature = "gateway")]
            Self::Origin => "origin",
            #[cfg(feature = "gateway")]
            Self::BasePath => "base_path",
            #[cfg(feature = "gateway")]
            Self::AccountLink => "account_link",
            #[cfg(feature = "gateway")]
            Self::HostAddress => "host_address",
            #[cfg(feature = "gateway")]
            Self::HostOrigin => "host_origin",
        }
    }

    /// Returns the description of values that only this rule concerns.
    const fn purpose(self) -> &'static str {
        match self {
            Self::Empty
            | Self::TooLong
            | Self::ControlCharacter
            | Self::InvisibleCharacter
            | Self::NotAUuid => "id",
            Self::ScopeEmpty | Self::ScopeTooLong | Self::ScopeCharacter => "scope",
            Self::NotRfc3339 => "time",
            Self::AuditHead => "audit head",
            Self::DuplicateParameter(_)
            | Self::MissingState
            | Self::MissingCode
            | Self::CallbackTooLong
            | Self::CallbackMalformed => "callback",
            Self::PrivateKey => "private key",
            #[cfg(feature = "ureq")]
            Self::Roots => "root certificates",
            #[cfg(feature = "ureq")]
            Self::Proxy => "proxy",
            #[cfg(feature = "gateway")]
            Self::Origin => "public origin",
            #[cfg(feature = "gateway")]
            Self::BasePath => "base path",
            #[cfg(feature = "gateway")]
            Self::AccountLink => "address of the account link",
            #[cfg(feature = "gateway")]
            Self::HostAddress => "address at the host",
            #[cfg(feature = "gateway")]
            Self::HostOrigin => "origin of the host",
        }
    }
}

impl From<Rule> for InvalidValue {
    fn from(rule: Rule) -> Self {
        Self::new(rule.purpose(), rule)
    }
}
