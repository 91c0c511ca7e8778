//! The crate's only source of randomness.
//!
//! It is not public: a replaceable generator would invite weak ones.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::{Zeroize as _, Zeroizing};

/// The operating system returned no random numbers. The operation cannot continue without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system returned no random numbers; retry")]
pub(crate) struct RandomUnavailable;

/// Returns the operating system's generator, for signatures.
pub(crate) fn system() -> SystemRandom {
    SystemRandom::new()
}

/// Fills `bytes` from the operating system's generator.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
    SystemRandom::new().fill(bytes).map_err(|_| RandomUnavailable)
}

/// Returns the bytes of a new version 7 UUID, which sorts by creation time
/// ([RFC 9562 §5.7](https://www.rfc-editor.org/rfc/rfc9562#section-5.7)). The time is in
/// milliseconds since the Unix epoch.
///
/// # Errors
///
/// [`RandomUnavailable`] if the operating system returns no random numbers.
pub(crate) fn uuid_v7(unix_millis: i64) -> Result<[u8; 16], RandomUnavailable> {
    let mut bytes = [0_u8; 10];
    fill(&mut bytes)?;
    let millis = u64::try_from(unix_millis).unwrap_or(0);
    Ok(uuid::Builder::from_unix_timestamp_millis(millis, &bytes)
        .into_uuid()
        .into_bytes())
}

/// Returns 256 random bits as 43 characters of base64url.
pub(crate) fn token_256() -> Result<Zeroizing<String>, RandomUnavailable> {
    let mut bytes = [0_u8; 32];
    fill(&mut bytes)?;
    let mut text = Zeroizing::new(String::with_capacity(43));
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    bytes.zeroize();
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_43_characters_and_never_repeat() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let token = token_256().unwrap();
            assert_eq!(token.len(), 43);
            assert!(
                token
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            );
            assert!(seen.insert(token.to_string()));
        }
    }
}
