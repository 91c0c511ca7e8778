//! The secrets of a flow, checked against its callback, its browser and its code.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use zeroize::Zeroizing;

use crate::protocol::{new_binding, new_state, new_verifier};
use crate::random::RandomUnavailable;
use crate::secret::{Binding, PkceVerifier, State};

/// The secrets of one flow.
pub(crate) struct FlowSecrets {
    pub(crate) state: State,
    pub(crate) binding: Binding,
    pub(crate) verifier: PkceVerifier,
}

impl FlowSecrets {
    /// Returns new random secrets.
    pub(crate) fn random() -> Result<Self, RandomUnavailable> {
        Ok(Self {
            state: new_state()?,
            binding: new_binding()?,
            verifier: new_verifier()?,
        })
    }

    /// Returns the secrets of a flow that a ticket opens. They are the same at every call, so that
    /// opening the link again leads to the same authorization.
    ///
    /// The seed is random and encrypted in the vault. Someone who reads the link does not have it,
    /// and one of these secrets reveals nothing about the others.
    pub(crate) fn of_ticket(seed: &PkceVerifier, number: u32) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, seed.expose_secret().as_bytes());
        let derived = |label: &str| {
            let mut context = hmac::Context::with_key(&key);
            context.update(label.as_bytes());
            context.update(&number.to_be_bytes());
            let mut text = Zeroizing::new(String::with_capacity(43));
            URL_SAFE_NO_PAD.encode_string(context.sign(), &mut text);
            std::mem::take(&mut *text)
        };
        Self {
            state: State::new(derived("valetkey flow state")),
            binding: Binding::new(derived("valetkey flow binding")),
            verifier: PkceVerifier::new(derived("valetkey flow verifier")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn derived_secrets_repeat_for_one_flow_and_differ_for_all_others() {
        let mut seen = HashSet::new();
        for seed in ["seed-1", "seed-2"] {
            for number in 0..3 {
                let of = || FlowSecrets::of_ticket(&PkceVerifier::new(seed), number);
                let (one, again) = (of(), of());
                for (secret, repeated) in [
                    (one.state.expose_secret(), again.state.expose_secret()),
                    (one.binding.expose_secret(), again.binding.expose_secret()),
                    (one.verifier.expose_secret(), again.verifier.expose_secret()),
                ] {
                    assert_eq!(secret, repeated);
                    assert_eq!(secret.len(), 43);
                    assert!(seen.insert(secret.to_owned()));
                }
            }
        }
        assert_eq!(seen.len(), 18);
    }
}
