//! The keys that a key service wraps, unwrapped and remembered for a limited time.
//!
//! For each tenant, and for the vault as a whole, the service wraps one random key. That key wraps
//! the tenant's data keys locally, so that a tenant costs one call, however many keys it has.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::digest;

use crate::clock::{Clock, SystemClock};
use crate::model::Timestamp;
use crate::vault::envelope::aead::Cipher;
use crate::vault::envelope::key_encryption::{self, Destruction, KeyContext, KeyEncryption};
use crate::vault::{KeyServiceError, VaultError};

/// The default time for which an unwrapped key is remembered.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// The longest wrapped key. AWS returns at most 6,144 bytes.
const LONGEST: usize = 8 * 1024;
/// The time for which a failure of the service is answered without another call.
const BACK_OFF: Duration = Duration::from_secs(1);
/// The memory that unwrapped keys may take: those of about 4,000 tenants.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The memory of a remembered key without its names: the key schedule and the slot.
const SLOT_BYTES: usize = 800;

/// A key service, and the keys that it unwrapped.
pub(super) struct KeyService {
    service: Arc<dyn KeyEncryption>,
    id: [u8; 16],
    clock: Arc<dyn Clock>,
    lifetime: Duration,
    slots: Mutex<Slots>,
    uses: AtomicU64,
}

#[derive(Default)]
struct Slots {
    by_name: HashMap<Name, Arc<Slot>>,
    bytes: usize,
}

/// The name of a remembered key. The key of a context that wraps new data keys has no wrapped form
/// in its name, because a caller that looks for it does not know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    context: Vec<u8>,
    wrapped: Vec<u8>,
}

struct Slot {
    /// Held during a call of the service, so that concurrent callers share its outcome.
    state: Mutex<State>,
    last_use: AtomicU64,
}

enum State {
    Empty,
    Ready(Unwrapped),
    Failed {
        error: VaultError,
        at: Timestamp,
        until: Timestamp,
    },
}

/// A key in memory, with the form in which it is stored.
#[derive(Clone)]
pub(super) struct Unwrapped {
    pub(super) cipher: Arc<Cipher>,
    pub(super) wrapped: Arc<[u8]>,
    pub(super) lifetime: Lifetime,
}

/// The time during which an unwrapped key may be used. It ends early if the clock is set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    from: Timestamp,
    until: Timestamp,
}

impl Lifetime {
    /// Returns whether the time lies in this lifetime.
    pub(crate) fn includes(self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

impl KeyService {
    pub(super) fn new(service: Arc<dyn KeyEncryption>) -> Self {
        let hash = digest::digest(&digest::SHA256, service.name().as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(hash.as_ref().get(..16).unwrap_or(&[0; 16]));
        Self {
            service,
            id,
            clock: Arc::new(SystemClock),
            lifetime: LIFETIME,
            slots: Mutex::default(),
            uses: AtomicU64::new(0),
        }
    }

    /// Returns the same service with another lifetime of unwrapped keys. Nothing is remembered.
    pub(super) fn with_lifetime(&self, lifetime: Duration) -> Self {
        Self {
            lifetime,
            ..self.fresh()
        }
    }

    /// Returns the same service with another clock. Nothing is remembered.
    pub(super) fn with_clock(&self, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            ..self.fresh()
        }
    }

    fn fresh(&self) -> Self {
        Self {
            service: Arc::clone(&self.service),
            id: self.id,
            clock: Arc::clone(&self.clock),
            lifetime: self.lifetime,
            slots: Mutex::default(),
            uses: AtomicU64::new(0),
        }
    }

    /// Returns the id that names the key in everything that it wraps.
    pub(super) const fn id(&self) -> &[u8; 16] {
        &self.id
    }

    pub(super) fn name(&self) -> &str {
        self.service.name()
    }

    /// Destroys the service's key, and forgets the keys that it wrapped.
    pub(super) fn destroy(&self) -> Result<Destruction, VaultError> {
        let destruction = self.service.destroy()?;
        *self.lock() = Slots::default();
        Ok(destruction)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the key that wraps new data keys in this context. It is created and wrapped if none
    /// is remembered.
    pub(super) fn current(&self, context: &KeyContext<'_>) -> Result<Unwrapped, VaultError> {
        let name = Name {
            context: context.to_bytes(),
            wrapped: Vec::new(),
        };
        let key = self.get(&name, || {
            let (cipher, wrapped) = key_encryption::generate(&*self.service, context)?;
            if wrapped.is_empty() || wrapped.len() > LONGEST {
                return Err(
                    KeyServiceError::Protocol("it returned no key, or one of more than 8 KiB").into(),
                );
            }
            Ok((cipher, wrapped))
        })?;
        self.remember(
            &Name {
                wrapped: key.wrapped.to_vec(),
                ..name
            },
            &key,
        );
        Ok(key)
    }

    /// Returns the key that the service wrapped as these bytes.
    pub(super) fn unwrapped(
        &self,
        context: &KeyContext<'_>,
        wrapped: &[u8],
    ) -> Result<Unwrapped, VaultError> {
        if wrapped.is_empty() || wrapped.len() > LONGEST {
            return Err(VaultError::Tampered);
        }
        let name = Name {
            context: context.to_bytes(),
            wrapped: wrapped.to_vec(),
        };
        let key = self.get(&name, || {
            let cipher = key_encryption::open(&*self.service, context, wrapped)?;
            Ok((cipher, wrapped.to_vec()))
        })?;
        // The next data key of this context needs no call.
        self.remember(
            &Name {
                wrapped: Vec::new(),
                ..name
            },
            &key,
        );
        Ok(key)
    }

    /// Remembers a key under a second name, unless one is remembered there.
    fn remember(&self, name: &Name, key: &Unwrapped) {
        let slot = self.slot(name);
        // The slot is locked while another caller calls the service for this name.
        if let Ok(mut state) = slot.state.try_lock()
            && !matches!(&*state, State::Ready(known) if known.lifetime.includes(self.now()))
        {
            *state = State::Ready(key.clone());
        }
    }

    /// Returns a remembered key, or the one that `make` returns. Concurrent callers for one name
    /// wait for the first of them.
    fn get(
        &self,
        name: &Name,
        make: impl FnOnce() -> Result<(Cipher, Vec<u8>), VaultError>,
    ) -> Result<Unwrapped, VaultError> {
        let slot = self.slot(name);
        let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Ready(known) if known.lifetime.includes(self.now()) => return Ok(known.clone()),
            State::Failed { error, at, until } if *at <= self.now() && self.now() < *until => {
                return Err(error.clone());
            }
            _ => {}
        }
        // The lifetime begins before the call: if the key is disabled during it, it still ends
        // in time.
        let from = self.now();
        match make() {
            Ok((cipher, wrapped)) => {
                let key = Unwrapped {
                    cipher: Arc::new(cipher),
                    wrapped: wrapped.into(),
                    lifetime: Lifetime {
                        from,
                        until: from + self.lifetime,
                    },
                };
                *state = State::Ready(key.clone());
                Ok(key)
            }
            Err(error) => {
                let at = self.now();
                *state = State::Failed {
                    error: error.clone(),
                    at,
                    until: at + BACK_OFF,
                };
                Err(error)
            }
        }
    }

    /// Returns the slot of this name, and removes those that were not used for the longest time if
    /// all together take too much memory.
    fn slot(&self, name: &Name) -> Arc<Slot> {
        let mut slots = self.lock();
        let last_use = self.uses.fetch_add(1, Ordering::Relaxed);
        if let Some(slot) = slots.by_name.get(name) {
            slot.last_use.store(last_use, Ordering::Relaxed);
            return Arc::clone(slot);
        }
        while slots.bytes + name.bytes() > MAX_BYTES
            && let Some(oldest) = slots.oldest()
        {
            slots.bytes -= oldest.bytes();
            slots.by_name.remove(&oldest);
        }
        let slot = Arc::new(Slot {
            state: Mutex::new(State::Empty),
            last_use: AtomicU64::new(last_use),
        });
        slots.bytes += name.bytes();
        slots.by_name.insert(name.clone(), Arc::clone(&slot));
        slot
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Name {
    const fn bytes(&self) -> usize {
        SLOT_BYTES + self.context.len() + 2 * self.wrapped.len()
    }
}

impl Slots {
    fn oldest(&self) -> Option<Name> {
        self.by_name
            .iter()
            .min_by_key(|(_, slot)| slot.last_use.load(Ordering::Relaxed))
            .map(|(name, _)| name.clone())
    }
}

impl fmt::Debug for KeyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.service.fmt(f)
    }
}

#[cfg(test)]
mod tests;
