//! Keys in an HSM, through PKCS #11.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use crate::random;
use crate::secret::SecretBytes;
use crate::vault::{Destruction, KeyContext, KeyEncryption, KeyServiceError};

const NONCE_LEN: usize = 12;
const TAG_BITS: usize = 128;

/// Returns the PIN of the token's user.
type PinSource = dyn Fn() -> Result<SecretBytes, KeyServiceError> + Send + Sync;

/// An AES key in an HSM or another token with a PKCS #11 module.
///
/// The key needs the attributes `CKA_ENCRYPT` and `CKA_DECRYPT` and the mechanism `CKM_AES_GCM`.
/// Create it inside the token and make it not extractable, for example with `pkcs11-tool --keygen
/// --key-type AES:32 --label agents --sensitive`.
///
/// [`destroy`](KeyEncryption::destroy) needs a token that lets its user destroy the key.
///
/// The context of each wrapped key is the additional authenticated data. Nonces are random; the key
/// wraps one key for each tenant, so that their number stays far below 2^32.
///
/// A session that the token has closed, such as after a fork or after the token was removed and
/// inserted again, is opened again once for each call.
///
/// ```no_run
/// use valetkey::SecretBytes;
/// use valetkey::vault::kms::Pkcs11Key;
/// use valetkey::vault::{MasterKeys, SqliteVault};
///
/// let pin = || Ok(SecretBytes::new(b"1234".to_vec()));
/// let hsm = Pkcs11Key::new("/usr/lib/softhsm/libsofthsm2.so", "agents token", "agents", pin);
/// let vault = SqliteVault::open("agent.db", MasterKeys::wrapped_by(hsm))?;
/// # Ok::<(), valetkey::vault::VaultError>(())
/// ```
///
/// # Security
///
/// The module is a native library that runs inside this process. Load it from a path that only an
/// administrator can write to.
pub struct Pkcs11Key {
    module: PathBuf,
    token: String,
    label: String,
    name: String,
    pin: Box<PinSource>,
    open: Mutex<Option<Open>>,
}

/// A session with the token, and the key in it.
struct Open {
    session: Session,
    key: ObjectHandle,
    process: u32,
    /// Keeps the module loaded.
    _module: Pkcs11,
}

impl Pkcs11Key {
    /// Returns the AES key with this label, in the token with this label, behind the module at this
    /// path. Nothing is opened yet.
    ///
    /// `pin` is called when a session is opened.
    pub fn new(
        module: impl Into<PathBuf>,
        token: impl Into<String>,
        label: impl Into<String>,
        pin: impl Fn() -> Result<SecretBytes, KeyServiceError> + Send + Sync + 'static,
    ) -> Self {
        let (token, label) = (token.into(), label.into());
        Self {
            module: module.into(),
            name: format!("pkcs11:token={token};object={label}"),
            token,
            label,
            pin: Box::new(pin),
            open: Mutex::new(None),
        }
    }

    /// Runs an operation in the session, and once more in a new session if the token has closed it.
    fn run<T>(
        &self,
        operation: impl Fn(&Session, ObjectHandle) -> Result<T, Error>,
    ) -> Result<T, KeyServiceError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // A session does not survive a fork.
        if let Some(here) = open.as_ref().filter(|here| here.process == std::process::id()) {
            match operation(&here.session, here.key) {
                Err(error) if is_closed(&error) => {}
                outcome => return outcome.map_err(|error| failure(&error)),
            }
        }
        *open = None;
        let here = open.insert(self.connect(Pkcs11::open_ro_session)?);
        operation(&here.session, here.key).map_err(|error| failure(&error))
    }

    fn connect(
        &self,
        open: impl Fn(&Pkcs11, Slot) -> Result<Session, Error>,
    ) -> Result<Open, KeyServiceError> {
        let pin = (self.pin)()?;
        let pin = std::str::from_utf8(pin.expose_secret())
            .map_err(|_| KeyServiceError::Protocol("the PIN is not UTF-8"))?;
        let module = Pkcs11::new(&self.module).map_err(|error| failure(&error))?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Another part of the process uses the same module.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failure(&error)),
        }
        let slot = module
            .get_slots_with_token()
            .map_err(|error| failure(&error))?
            .into_iter()
            .find(|slot| {
                module
                    .get_token_info(*slot)
                    .is_ok_and(|info| info.label().trim_end() == self.token)
            })
            .ok_or(KeyServiceError::Unavailable { retry_after: None })?;
        let session = open(&module, slot).map_err(|error| failure(&error))?;
        match session.login(UserType::User, Some(&AuthPin::new(pin.into()))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(failure(&error)),
        }
        let found = session
            .find_objects(&[
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::AES),
                Attribute::Label(self.label.clone().into_bytes()),
            ])
            .map_err(|error| failure(&error))?;
        let key = match found.as_slice() {
            [key] => *key,
            [] => return Err(KeyServiceError::UnknownKey),
            _ => {
                return Err(KeyServiceError::Protocol(
                    "the token has several keys of this label",
                ));
            }
        };
        Ok(Open {
            session,
            key,
            process: std::process::id(),
            _module: module,
        })
    }
}

impl KeyEncryption for Pkcs11Key {
    fn name(&self) -> &str {
        &self.name
    }

    fn wrap(&self, key: &SecretBytes, context: &KeyContext<'_>) -> Result<Vec<u8>, KeyServiceError> {
        let mut nonce = [0; NONCE_LEN];
        random::fill(&mut nonce).map_err(|_| KeyServiceError::Unavailable { retry_after: None })?;
        let aad = context.to_bytes();
        let sealed = self.run(|session, handle| {
            let mut nonce = nonce;
            let parameters = GcmParams::new(&mut nonce, &aad, TAG_BITS.try_into()?)?;
            session.encrypt(&Mechanism::AesGcm(parameters), handle, key.expose_secret())
        })?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn unwrap(&self, wrapped: &[u8], context: &KeyContext<'_>) -> Result<SecretBytes, KeyServiceError> {
        let (nonce, sealed) = wrapped
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(KeyServiceError::Mismatch)?;
        let aad = context.to_bytes();
        let mut key = self.run(|session, handle| {
            let mut nonce = *nonce;
            let parameters = GcmParams::new(&mut nonce, &aad, TAG_BITS.try_into()?)?;
            let key = session.decrypt(&Mechanism::AesGcm(parameters), handle, sealed)?;
            Ok(Zeroizing::new(key))
        })?;
        Ok(SecretBytes::new(std::mem::take(&mut *key)))
    }

    /// Destroys the key in the token at once. Copies that the token's own backup made are not
    /// reached.
    fn destroy(&self) -> Result<Destruction, KeyServiceError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open = None;
        let here = match self.connect(Pkcs11::open_rw_session) {
            Ok(here) => here,
            Err(KeyServiceError::UnknownKey) => return Ok(Destruction::Done),
            Err(error) => return Err(error),
        };
        here.session
            .destroy_object(here.key)
            .map_err(|error| failure(&error))?;
        Ok(Destruction::Done)
    }
}

impl fmt::Debug for Pkcs11Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Key")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Returns whether the session is gone, so that a new one may work.
const fn is_closed(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::CryptokiNotInitialized
                | RvError::DeviceRemoved
                | RvError::TokenNotPresent
                | RvError::UserNotLoggedIn
                | RvError::ObjectHandleInvalid
                | RvError::KeyHandleInvalid,
            _
        )
    )
}

/// Returns the meaning of a failure. The texts of the module are not kept.
fn failure(error: &Error) -> KeyServiceError {
    let Error::Pkcs11(code, _) = error else {
        return match error {
            Error::LibraryLoading(_) => KeyServiceError::Protocol("the PKCS #11 module cannot be loaded"),
            _ => KeyServiceError::Protocol("the PKCS #11 module does not support the operation"),
        };
    };
    match code {
        RvError::PinIncorrect
        | RvError::PinInvalid
        | RvError::PinLocked
        | RvError::PinExpired
        | RvError::PinLenRange
        | RvError::KeyFunctionNotPermitted
        | RvError::ActionProhibited
        | RvError::UserPinNotInitialized => KeyServiceError::Denied,
        RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange => KeyServiceError::Mismatch,
        RvError::MechanismInvalid | RvError::MechanismParamInvalid => {
            KeyServiceError::Protocol("the token does not support AES-GCM")
        }
        RvError::DeviceError
        | RvError::DeviceMemory
        | RvError::DeviceRemoved
        | RvError::TokenNotPresent
        | RvError::HostMemory
        | RvError::SessionCount
        | RvError::SessionClosed
        | RvError::SessionHandleInvalid
        | RvError::CryptokiNotInitialized => KeyServiceError::Unavailable { retry_after: None },
        _ => KeyServiceError::Protocol("the PKCS #11 module failed"),
    }
}
