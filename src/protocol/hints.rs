//! The host's requests to the consent page.

use std::time::Duration;

/// The host's requests to the consent page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub struct Hints {
    /// The account to suggest: an e-mail address, or another identifier that the server accepts
    /// ([OpenID Connect §3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest)).
    pub login_hint: Option<String>,
    /// The prompt that the page must or must not show, in addition to the descriptor's.
    pub prompt: Option<Prompt>,
    /// The maximum time since the user's last sign-in.
    pub max_age: Option<Duration>,
    /// The requested authentication classes, separated by spaces
    /// ([RFC 9470 §4](https://www.rfc-editor.org/rfc/rfc9470#section-4)).
    pub acr_values: Option<String>,
}

/// A prompt that the consent page must or must not show
/// ([OpenID Connect §3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Prompt {
    /// Show no prompt, and fail if one would be necessary. It is sent alone, regardless of the
    /// descriptor.
    None,
    /// Ask the user to sign in again.
    Login,
    /// Ask for consent again.
    Consent,
    /// Ask the user to select an account.
    SelectAccount,
}

impl Prompt {
    /// Returns the value in the authorization request.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }

    /// Returns the prompt with this value, if there is one.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        [Self::None, Self::Login, Self::Consent, Self::SelectAccount]
            .into_iter()
            .find(|prompt| prompt.as_str() == text)
    }

    /// Returns this prompt together with those that the descriptor requests.
    pub(super) fn beside(self, others: Option<&str>) -> String {
        let others = others.filter(|_| self != Self::None).unwrap_or("");
        let mut prompts: Vec<&str> = others.split(' ').filter(|prompt| !prompt.is_empty()).collect();
        if !prompts.contains(&self.as_str()) {
            prompts.push(self.as_str());
        }
        prompts.join(" ")
    }
}
