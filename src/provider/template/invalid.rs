//! Errors of templates.

/// A reason why a template is not a URL. Names placeholders, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTemplate {
    /// A brace has no partner, or the text between braces is not a name.
    #[error(
        "has an unbalanced brace, or braces around text that is not a name: a name may have letters, digits, \"_\", \"-\" \
         and \".\""
    )]
    Braces,
    /// A placeholder of another template language, such as `${name}`.
    #[error("has \"{0}\", a placeholder of another language: write {{name}}")]
    Lookalike(&'static str),
    /// `|` without the spaces that separate alternatives.
    #[error("has \"|\": write \" || \" between alternatives, with one space on either side")]
    Bar,
    /// A character that a URL parser would silently rewrite, or that is not allowed in a URL.
    #[error("has the character {0:?}, which is not allowed there: percent-encode it, or remove it")]
    Character(char),
    /// A placeholder is adjacent to literal text of the host: `https://api{x}` could become a
    /// foreign domain.
    #[error("{{{0}}} must be a whole label of the host, or be followed by a fixed domain of two labels")]
    Host(String),
    /// The text after a base URL does not begin a path: `{base_url}.evil` would be another host.
    #[error("needs \"/\" after {{{0}}}, which stands for a whole base URL")]
    BehindBase(String),
    /// The template begins with neither a scheme nor a base URL.
    #[error("must begin with https:// or a base URL in braces")]
    NoScheme,
    /// The scheme is neither https nor http to a loopback address.
    #[error("is not https; for a sandbox on this machine, call ConnectionsBuilder::dangerous_loopback_http")]
    NotHttps,
    /// The URL has a user name, a password or a fragment, or its host ends in a dot.
    #[error("has a user name, a fragment or a host that ends in a dot: remove it")]
    NotBare,
    /// The text is not an absolute URL.
    #[error("is not an absolute URL, such as https://acme.example/oauth/token")]
    Url,
}

/// A reason why values do not fill a template. Names placeholders, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfilled {
    /// There is no value for this placeholder.
    Missing(String),
    /// The value for this placeholder is not allowed in its place.
    Value(String),
    /// Each value is allowed in its place, but the result is not a URL.
    Address {
        /// The problem of the URL.
        problem: InvalidTemplate,
        /// The first placeholder, if there is one.
        first: Option<String>,
    },
}
