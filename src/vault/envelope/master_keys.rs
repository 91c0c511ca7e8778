//! The keys that wrap everything else in a vault: master keys, and keys that a service keeps.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::model::Timestamp;
use crate::vault::VaultError;
use crate::vault::envelope::MasterKey;
use crate::vault::envelope::key_encryption::{Destruction, KeyEncryption};
use crate::vault::envelope::key_service::{KeyService, Lifetime};

/// One or more master keys. The active key wraps; all of them unwrap.
///
/// Several keys are needed while one replaces another. A key is a [`MasterKey`], or that of a
/// [`KeyEncryption`] service, which never leaves the service:
///
/// ```
/// use valetkey::vault::{MasterKey, MasterKeys, SealedVault, SqliteVault};
///
/// # let service = MasterKey::generate()?;
/// # let former = MasterKey::generate()?;
/// // A vault that had a master key of its own moves to a key service: see `rotate_master_key`.
/// let keys = MasterKeys::wrapped_by(service).with_former(former);
/// # let _ = SqliteVault::in_memory(keys)?;
/// # Ok::<(), valetkey::vault::VaultError>(())
/// ```
#[derive(Debug, Clone)]
pub struct MasterKeys(Arc<[Arc<KeySource>]>);

/// A key that wraps others.
#[derive(Debug)]
pub(super) enum KeySource {
    Local(MasterKey),
    /// In a box, so that both kinds have nearly the same size: moving a value copies what lies on
    /// the stack beyond it, and the key was computed there.
    Service(Box<KeyService>),
}

impl MasterKeys {
    /// Returns a set of the active key and the former keys that it replaces.
    #[must_use]
    pub fn new(active: MasterKey, former: impl IntoIterator<Item = MasterKey>) -> Self {
        Self(
            std::iter::once(active)
                .chain(former)
                .map(|key| Arc::new(KeySource::Local(key)))
                .collect(),
        )
    }

    /// Returns a set whose active key is that of a key service.
    ///
    /// The service wraps one key for each tenant and one for the vault. It is called when a tenant
    /// is created or used for the first time, and again when an unwrapped key is no longer
    /// remembered; not for each token. The vault cannot be opened while the service is unavailable.
    ///
    /// Unwrapped keys are kept in memory for one hour; see
    /// [`keep_unwrapped`](Self::keep_unwrapped). They take at most 4 MiB.
    ///
    /// # Security
    ///
    /// A process that has unwrapped a key can use it until the hour ends, even if access to the
    /// service is withdrawn.
    #[must_use]
    pub fn wrapped_by(service: impl KeyEncryption) -> Self {
        let service = KeyService::new(Arc::new(service));
        Self([Arc::new(KeySource::Service(Box::new(service)))].into())
    }

    /// Adds keys that the active key replaces.
    #[must_use]
    pub fn with_former(self, former: impl Into<Self>) -> Self {
        let former = former.into();
        Self(self.0.iter().chain(former.0.iter()).cloned().collect())
    }

    /// Sets the time for which keys that a service unwrapped are kept in memory. Default: one hour.
    ///
    /// After that time the service is asked again, so that a key that was disabled there stops
    /// working here. Zero asks for each operation. A [`MasterKey`] is not affected.
    #[must_use]
    pub fn keep_unwrapped(self, lifetime: Duration) -> Self {
        self.with_services(|service| service.with_lifetime(lifetime))
    }

    /// Sets the clock that measures that time, for tests.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(clock);
        self.with_services(|service| service.with_clock(Arc::clone(&clock)))
    }

    fn with_services(self, change: impl Fn(&KeyService) -> KeyService) -> Self {
        Self(
            self.0
                .iter()
                .map(|key| match &**key {
                    KeySource::Local(_) => Arc::clone(key),
                    KeySource::Service(service) => Arc::new(KeySource::Service(Box::new(change(service)))),
                })
                .collect(),
        )
    }

    /// Returns the active key.
    pub(super) fn active(&self) -> &KeySource {
        // Each constructor stores the active key first, and the set never changes.
        &self.0[0]
    }

    /// Returns the key with this id.
    pub(super) fn get(&self, id: &[u8; 16]) -> Option<&KeySource> {
        self.0.iter().find(|key| key.id() == id).map(|key| &**key)
    }

    /// Returns the id of the former key of this name, but not that of the active key.
    pub(crate) fn former_named(&self, name: &str) -> Option<&[u8; 16]> {
        let named = self.0.iter().skip(1).find(|key| key.name() == name)?;
        Some(named.id()).filter(|id| *id != self.active_id())
    }

    /// Destroys the key with this id, as far as its keeper allows.
    pub(crate) fn destroy(&self, id: &[u8; 16]) -> Result<Destruction, VaultError> {
        match self.get(id).ok_or(VaultError::UnknownMasterKey)? {
            KeySource::Local(master) => Ok(master.destroy()?),
            KeySource::Service(service) => service.destroy(),
        }
    }

    /// Returns the id of the active key.
    pub(crate) fn active_id(&self) -> &[u8; 16] {
        self.active().id()
    }

    /// Returns whether a key service wraps or wrapped keys.
    pub(crate) fn has_service(&self) -> bool {
        self.0.iter().any(|key| matches!(**key, KeySource::Service(_)))
    }

    /// Returns whether a key with this lifetime may still be used.
    pub(crate) fn allows(&self, lifetime: Option<Lifetime>) -> bool {
        lifetime.is_none_or(|lifetime| self.now().is_none_or(|now| lifetime.includes(now)))
    }

    /// Returns the time of the services' clock, if there is a service.
    fn now(&self) -> Option<Timestamp> {
        self.0.iter().find_map(|key| match &**key {
            KeySource::Local(_) => None,
            KeySource::Service(service) => Some(service.now()),
        })
    }
}

impl From<MasterKey> for MasterKeys {
    fn from(key: MasterKey) -> Self {
        Self::new(key, [])
    }
}

impl KeySource {
    pub(super) const fn id(&self) -> &[u8; 16] {
        match self {
            Self::Local(master) => master.id(),
            Self::Service(service) => service.id(),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Local(master) => master.name(),
            Self::Service(service) => service.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_active_and_all_are_found_by_their_id() {
        let (active, former, service) = (
            MasterKey::generate().unwrap(),
            MasterKey::generate().unwrap(),
            MasterKey::generate().unwrap(),
        );
        let (active_id, former_id) = (*active.id(), *former.id());
        let keys = MasterKeys::new(active, [former]).with_former(MasterKeys::wrapped_by(service));
        assert_eq!(keys.active_id(), &active_id);
        assert!(matches!(keys.get(&former_id), Some(KeySource::Local(_))));
        let service_id = *keys.0[2].id();
        assert!(matches!(keys.get(&service_id), Some(KeySource::Service(_))));
        assert!(keys.get(&[0; 16]).is_none());
    }
}
