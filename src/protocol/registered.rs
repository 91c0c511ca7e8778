//! Words that the standards register, parsed by the `oauth2` crate: token types, and the error
//! codes of token endpoints ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)
//! and [RFC 8628 §3.5](https://www.rfc-editor.org/rfc/rfc8628#section-3.5)) and of revocation
//! endpoints ([RFC 7009 §2.2.1](https://www.rfc-editor.org/rfc/rfc7009#section-2.2.1)).
//!
//! The types of `oauth2` keep the text of unknown words. This module compares it with the words of
//! other standards and drops it: no type of this crate contains it.

use oauth2::basic::{BasicErrorResponseType, BasicTokenType};
use oauth2::{DeviceCodeErrorResponseType, RevocationErrorResponseType};
use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};
use zeroize::Zeroizing;

/// A limit above the length of the longest word.
const LONGEST: usize = 40;

/// Parses a code of a token or authorization endpoint.
pub(super) fn token_code(code: &str) -> DeviceCodeErrorResponseType {
    read(code).unwrap_or(DeviceCodeErrorResponseType::Basic(unknown()))
}

/// Parses a code of a revocation endpoint.
pub(super) fn revocation_code(code: &str) -> RevocationErrorResponseType {
    read(code).unwrap_or(RevocationErrorResponseType::Basic(unknown()))
}

/// Returns whether a `token_type` is `bearer` in any case
/// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
pub(super) fn is_bearer(kind: &str) -> bool {
    let kind = Zeroizing::new(kind.trim().to_ascii_lowercase());
    matches!(read(&kind), Some(BasicTokenType::Bearer))
}

/// Parses a word with `serde`, the only way that `oauth2` offers. Text that cannot be a standard
/// word is not copied: a server may have put anything there.
fn read<'a, T: Deserialize<'a>>(word: &'a str) -> Option<T> {
    let is_word = word.len() <= LONGEST && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_word.then(|| T::deserialize(StrDeserializer::<Error>::new(word)).ok())?
}

const fn unknown() -> BasicErrorResponseType {
    BasicErrorResponseType::Extension(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_standards_are_read_and_other_text_is_not_kept() {
        use BasicErrorResponseType as Basic;
        use DeviceCodeErrorResponseType as Code;
        let tokens = [
            ("invalid_grant", Code::Basic(Basic::InvalidGrant)),
            ("slow_down", Code::SlowDown),
            (
                "temporarily_unavailable",
                Code::Basic(Basic::Extension("temporarily_unavailable".into())),
            ),
            ("", Code::Basic(unknown())),
            ("INVALID_GRANT", Code::Basic(unknown())),
            ("invalid_grant ", Code::Basic(unknown())),
            ("ya29.a0AfB_secret", Code::Basic(unknown())),
            (&"a".repeat(LONGEST + 1), Code::Basic(unknown())),
        ];
        for (text, code) in tokens {
            assert_eq!(token_code(text), code, "{text}");
        }
        let unsupported = RevocationErrorResponseType::UnsupportedTokenType;
        assert_eq!(revocation_code("unsupported_token_type"), unsupported);
        assert_eq!(
            revocation_code("ya29.a0AfB_secret"),
            RevocationErrorResponseType::Basic(unknown())
        );
    }

    #[test]
    fn bearer_is_bearer_in_any_case() {
        for (kind, expected) in [
            ("bearer", true),
            ("Bearer", true),
            (" BEARER ", true),
            ("mac", false),
            ("bearer_token", false),
            ("", false),
        ] {
            assert_eq!(is_bearer(kind), expected, "{kind}");
        }
    }
}
