//! The master key: 32 bytes that the host keeps outside the vault.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::general_purpose;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::hmac;
use zeroize::Zeroizing;

use crate::random;
use crate::vault::VaultError;
use crate::vault::envelope::aead::{Cipher, KEY_LEN};
use crate::vault::envelope::key_file;
use crate::vault::envelope::vault_id::VaultId;

/// A master key. It wraps the keys of a vault and is never stored in the database.
///
/// The id of a key is derived from the key, so that keys need no names and cannot be confused.
///
/// # Examples
///
/// ```
/// use valetkey::vault::{MasterKey, VaultError};
///
/// let key = MasterKey::generate()?;
/// let copy = MasterKey::from_base64(&key.to_base64())?;
/// assert_eq!(key.id(), copy.id());
/// let error = MasterKey::from_base64("too short").unwrap_err();
/// assert!(error.to_string().contains("openssl rand -base64 32"));
/// # Ok::<(), VaultError>(())
/// ```
pub struct MasterKey {
    secret: Box<Zeroizing<[u8; KEY_LEN]>>,
    id: [u8; 16],
    id_text: String,
    kek: Cipher,
}

impl MasterKey {
    /// Returns a new, random key. A host that creates its own key file, such as a desktop program
    /// at its first start, writes the key before it opens the vault:
    ///
    /// ```
    /// use std::io::Write as _;
    ///
    /// use valetkey::vault::MasterKey;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("master.key");
    /// let mut options = std::fs::OpenOptions::new();
    /// options.write(true).create_new(true);
    /// #[cfg(unix)]
    /// std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600); // for its owner only
    /// options.open(&path)?.write_all(MasterKey::generate()?.to_base64().as_bytes())?;
    ///
    /// let key = MasterKey::from_file(&path)?;
    /// # let _ = key;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RandomUnavailable`](VaultError::RandomUnavailable) if the operating system has no random
    /// numbers.
    pub fn generate() -> Result<Self, VaultError> {
        let mut secret = Box::new(Zeroizing::new([0; KEY_LEN]));
        random::fill(secret.as_mut_slice())?;
        Ok(Self::new(secret))
    }

    /// Reads the key from a file: a systemd credential, a secret that a container runtime mounts,
    /// or a file of the host.
    ///
    /// The file holds either the 32 bytes of the key and nothing else (`head -c 32 /dev/urandom`),
    /// or the key in base64 as [`from_base64`](Self::from_base64) reads it
    /// (`openssl rand -base64 32`). Blanks and line breaks around base64 are ignored. Exactly 32
    /// bytes that are all ASCII text are not taken as a key: they are a password or a part of a
    /// base64 text.
    ///
    /// Links are followed, because Kubernetes mounts secrets as links. On Unix only the owner may
    /// have rights to the file (mode 0400 or 0600), except on a mount that is read-only for this
    /// process: there the runtime decides who reaches the file, and its mode is often 0444. This is
    /// how systemd mounts `$CREDENTIALS_DIRECTORY`, and Docker and Kubernetes their secrets, such
    /// as below `/run/secrets`. A directory of that name that this process can write to is not such
    /// a mount. On Windows the rights are not checked.
    ///
    /// # Errors
    ///
    /// * [`KeyUnreadable`](VaultError::KeyUnreadable) or [`KeyNotAFile`](VaultError::KeyNotAFile)
    ///   if there is nothing to read.
    /// * [`KeyExposed`](VaultError::KeyExposed) if others have rights to the file; `chmod 0400`
    ///   corrects it.
    /// * [`KeyNotBase64`](VaultError::KeyNotBase64) or
    ///   [`KeyWrongLength`](VaultError::KeyWrongLength) if it holds anything else.
    ///
    /// The error does not repeat the path, because a host may have passed the key itself.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, VaultError> {
        let content = key_file::read(path.as_ref())?;
        let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        if content.len() == KEY_LEN && !content.iter().all(is_text) {
            let mut secret = Box::new(Zeroizing::new([0; KEY_LEN]));
            secret.copy_from_slice(&content);
            return Ok(Self::new(secret));
        }
        let text = std::str::from_utf8(&content).map_err(|_| VaultError::KeyNotBase64)?;
        Self::from_base64(text)
    }

    /// Reads the key, in base64, from an environment variable.
    ///
    /// # Errors
    ///
    /// [`KeyNotSet`](VaultError::KeyNotSet) if the variable is not set or empty; otherwise those of
    /// [`from_base64`](Self::from_base64).
    ///
    /// # Security
    ///
    /// Child processes inherit the environment, and with it the key: a tool or an MCP server that
    /// the runtime starts can print it. Prefer [`from_file`](Self::from_file), or start every child
    /// without the variable ([`Command::env_remove`](std::process::Command::env_remove)). Other
    /// processes of the same user can read the environment as well.
    pub fn from_env(name: &str) -> Result<Self, VaultError> {
        let value = match std::env::var(name) {
            Ok(value) => Zeroizing::new(value),
            Err(std::env::VarError::NotPresent) => return Err(VaultError::KeyNotSet(name.to_owned())),
            Err(std::env::VarError::NotUnicode(value)) => {
                drop(Zeroizing::new(value.into_encoded_bytes()));
                return Err(VaultError::KeyNotBase64);
            }
        };
        if value.trim().is_empty() {
            return Err(VaultError::KeyNotSet(name.to_owned()));
        }
        Self::from_base64(&value)
    }

    /// Reads the key from base64: standard or URL-safe, with or without padding, exactly 32 bytes.
    ///
    /// # Errors
    ///
    /// [`KeyNotBase64`](VaultError::KeyNotBase64) or
    /// [`KeyWrongLength`](VaultError::KeyWrongLength) if the text is anything else.
    pub fn from_base64(text: &str) -> Result<Self, VaultError> {
        let text = text.trim();
        let alphabet = if text.contains(['-', '_']) {
            URL_SAFE
        } else {
            STANDARD
        };
        // 44 characters decode to at most 33 bytes, and a longer text cannot be 32 bytes.
        let mut buffer = Zeroizing::new([0_u8; 36]);
        let len = match lenient(&alphabet).decode_slice(text, buffer.as_mut_slice()) {
            Ok(len) => len,
            Err(base64::DecodeSliceError::OutputSliceTooSmall) => return Err(VaultError::KeyWrongLength),
            Err(base64::DecodeSliceError::DecodeError(_)) => return Err(VaultError::KeyNotBase64),
        };
        let mut secret = Box::new(Zeroizing::new([0; KEY_LEN]));
        let bytes = buffer.get(..len).unwrap_or_default();
        if bytes.len() != KEY_LEN {
            return Err(VaultError::KeyWrongLength);
        }
        secret.copy_from_slice(bytes);
        Ok(Self::new(secret))
    }

    /// Returns a cipher under a key that is derived with this label, for data that does not belong
    /// to a vault.
    pub(crate) fn derived_cipher(&self, label: &[u8]) -> Cipher {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        derive(&self.secret, label, key.as_mut_slice());
        Cipher::new(&key)
    }

    /// Returns the key in base64, as [`from_base64`](Self::from_base64) reads it.
    ///
    /// # Security
    ///
    /// Write the text only to the place where the key is kept.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(44));
        general_purpose::STANDARD.encode_string(self.secret.as_slice(), &mut text);
        text
    }

    /// Returns the id that names the key in everything that it wraps. It reveals nothing about the
    /// key.
    #[must_use]
    pub const fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// Returns the value that a vault stores in order to recognise its master key.
    pub(crate) fn check_value(&self, vault: VaultId) -> [u8; 32] {
        let mut key = Zeroizing::new([0_u8; KEY_LEN]);
        derive(&self.secret, b"fingerprint", key.as_mut_slice());
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()),
            vault.as_bytes(),
        );
        let mut value = [0; 32];
        value.copy_from_slice(tag.as_ref());
        value
    }

    pub(super) const fn kek(&self) -> &Cipher {
        &self.kek
    }

    /// Returns the id in hexadecimal.
    pub(super) fn id_text(&self) -> &str {
        &self.id_text
    }

    /// Returns the cipher with which the key acts as a key service.
    pub(super) fn service_cipher(&self) -> Cipher {
        self.derived_cipher(b"key-service")
    }

    pub(super) fn expose_bytes(&self) -> &[u8; KEY_LEN] {
        &self.secret
    }

    /// Returns the key with these bytes.
    pub(crate) fn of_bytes(bytes: Zeroizing<[u8; KEY_LEN]>) -> Self {
        Self::new(Box::new(bytes))
    }

    pub(super) fn new(secret: Box<Zeroizing<[u8; KEY_LEN]>>) -> Self {
        let mut id = [0; 16];
        derive(&secret, b"id", &mut id);
        let mut kek = Zeroizing::new([0; KEY_LEN]);
        derive(&secret, b"kek", kek.as_mut_slice());
        let kek = Cipher::new(&kek);
        let id_text = id.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            secret,
            id,
            id_text,
            kek,
        }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id_text)
    }
}

const fn lenient(alphabet: &Alphabet) -> GeneralPurpose {
    GeneralPurpose::new(
        alphabet,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    )
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Derives a key with HKDF-SHA256 and the label as `info`.
pub(super) fn derive(secret: &Zeroizing<[u8; KEY_LEN]>, label: &[u8], out: &mut [u8]) {
    let key = Salt::new(HKDF_SHA256, b"valetkey/1").extract(secret.as_slice());
    let derived = key
        .expand(&[label], Length(out.len()))
        .and_then(|okm| okm.fill(out));
    // HKDF-SHA256 derives up to 8160 bytes, and no caller asks for more than 32.
    assert!(derived.is_ok(), "HKDF refuses the length");
}

/// Returns the value that a vault with this id stores in order to recognise this master key.
#[cfg(feature = "_internals")]
#[must_use]
pub fn check_value(key: &MasterKey, vault: VaultId) -> [u8; 32] {
    key.check_value(vault)
}

#[cfg(test)]
mod tests;
