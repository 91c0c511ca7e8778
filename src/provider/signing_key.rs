//! The private key with which a client signs its assertions.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use ring::rsa;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
};
use zeroize::Zeroizing;

use crate::model::{InvalidValue, Rule};
use crate::random::{self, RandomUnavailable};
use crate::secret::SecretBytes;

/// A private key in the form in which it signs. Its algorithm follows from its type.
///
/// `ring` keeps the key and does not wipe it when it is dropped. The text that it was read from is
/// wiped.
pub(crate) struct SigningKey {
    pair: Pair,
    id: Option<String>,
    /// The digest of the public key.
    fingerprint: [u8; 32],
}

enum Pair {
    Rsa(rsa::KeyPair, Padding),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The padding of RSA signatures.
#[derive(Clone, Copy)]
enum Padding {
    Pkcs1,
    Pss,
}

impl SigningKey {
    /// Reads a PKCS#8 key ([RFC 5958](https://www.rfc-editor.org/rfc/rfc5958)) in PEM or DER.
    pub(crate) fn read(pkcs8: &[u8]) -> Result<Self, InvalidValue> {
        let der = match std::str::from_utf8(pkcs8) {
            Ok(text) if text.contains("-----BEGIN") => unwrap_pem(text)?,
            _ => SecretBytes::new(pkcs8.to_vec()),
        };
        let pair = Pair::read(der.expose_secret())?;
        let fingerprint = digest::digest(&digest::SHA256, pair.public_key());
        let fingerprint = fingerprint.as_ref().try_into().map_err(|_| Rule::PrivateKey)?;
        Ok(Self {
            pair,
            id: None,
            fingerprint,
        })
    }

    /// Sets the id with which the server finds the public key.
    pub(crate) fn set_id(&mut self, id: String) {
        self.id = Some(id);
    }

    /// Signs with RSASSA-PSS if the key is an RSA key.
    pub(crate) const fn use_pss(&mut self) {
        if let Pair::Rsa(_, padding) = &mut self.pair {
            *padding = Padding::Pss;
        }
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the name of the algorithm in a JWT
    /// ([RFC 7518 §3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1)).
    pub(crate) const fn algorithm(&self) -> &'static str {
        match &self.pair {
            Pair::Rsa(_, Padding::Pkcs1) => "RS256",
            Pair::Rsa(_, Padding::Pss) => "PS256",
            Pair::P256(_) => "ES256",
            Pair::P384(_) => "ES384",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// Returns the public key: the point of an elliptic curve, or an RSA key by RFC 8017.
    #[cfg(feature = "testing")]
    pub(crate) fn public_key(&self) -> &[u8] {
        self.pair.public_key()
    }

    /// Returns the digest of the public key, which identifies the key.
    pub(crate) const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Signs a message.
    ///
    /// # Errors
    ///
    /// [`RandomUnavailable`] if the operating system returns no random numbers, the only reason for
    /// which a key that was read can fail.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, RandomUnavailable> {
        let random = random::system();
        let failed = |_| RandomUnavailable;
        match &self.pair {
            Pair::Rsa(pair, padding) => {
                let padding: &dyn RsaEncoding = match padding {
                    Padding::Pkcs1 => &RSA_PKCS1_SHA256,
                    Padding::Pss => &RSA_PSS_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Pair::P256(pair) | Pair::P384(pair) => {
                let signature = pair.sign(&random, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl Pair {
    fn read(der: &[u8]) -> Result<Self, InvalidValue> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self::Ed25519(pair));
        }
        let random = random::system();
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random) {
            return Ok(Self::P256(pair));
        }
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der, &random) {
            return Ok(Self::P384(pair));
        }
        let pair = rsa::KeyPair::from_pkcs8(der).map_err(|_| Rule::PrivateKey)?;
        Ok(Self::Rsa(pair, Padding::Pkcs1))
    }

    fn public_key(&self) -> &[u8] {
        match self {
            Self::Rsa(pair, _) => pair.public_key().as_ref(),
            Self::P256(pair) | Self::P384(pair) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }
}

/// Returns the bytes of the first private key in a PEM text.
fn unwrap_pem(text: &str) -> Result<SecretBytes, InvalidValue> {
    let (_, rest) = text
        .split_once("-----BEGIN PRIVATE KEY-----")
        .ok_or(Rule::PrivateKey)?;
    let (body, _) = rest
        .split_once("-----END PRIVATE KEY-----")
        .ok_or(Rule::PrivateKey)?;
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
    let mut der = Zeroizing::new(Vec::with_capacity(base64.len()));
    STANDARD
        .decode_vec(base64.as_bytes(), &mut der)
        .map_err(|_| Rule::PrivateKey)?;
    Ok(SecretBytes::new(std::mem::take(&mut *der)))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
