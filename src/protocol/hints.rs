//! What a host may ask of the consent page.

use std::time::Duration;

/// What the host may ask of the consent page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
#[allow(unnameable_types, reason = "the operations of a vault are sealed")]
pub struct Hints {
    /// The account to be offered: an e-mail address or what the server takes for one
    /// ([OpenID Connect §3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest)).
    pub login_hint: Option<String>,
    /// What the page must or must not ask. Added to what the descriptor asks for.
    pub prompt: Option<Prompt>,
    /// The time for which ago the person may have signed in at most.
    pub max_age: Option<Duration>,
    /// The authentication classes wanted, separated by spaces
    /// ([RFC 9470 §4](https://www.rfc-editor.org/rfc/rfc9470#section-4)).
    pub acr_values: Option<String>,
}

/// What the consent page must or must not ask
/// ([OpenID Connect §3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Prompt {
    /// Ask nothing: fail if something would have to be asked. Stands alone, whatever the descriptor
    /// says.
    None,
    /// Ask to sign in again.
    Login,
    /// Ask for consent again.
    Consent,
    /// Ask which account.
    SelectAccount,
}

impl Prompt {
    /// The value as it stands in the authorization request.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }

    /// The prompt that is written so, if there is one.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        [Self::None, Self::Login, Self::Consent, Self::SelectAccount]
            .into_iter()
            .find(|prompt| prompt.as_str() == text)
    }

    /// This one beside those that the descriptor asks for.
    pub(super) fn beside(self, others: Option<&str>) -> String {
        let others = others.filter(|_| self != Self::None).unwrap_or("");
        let mut prompts: Vec<&str> = others.split(' ').filter(|prompt| !prompt.is_empty()).collect();
        if !prompts.contains(&self.as_str()) {
            prompts.push(self.as_str());
        }
        prompts.join(" ")
    }
}
