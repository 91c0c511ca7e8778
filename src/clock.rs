//! Provides the current time.
//!
//! # Examples
//!
//! ```
//! use valetkey::{Clock, SystemClock};
//!
//! let before = SystemClock.now();
//! assert!(SystemClock.now() >= before);
//! ```

pub(crate) mod monotonic;

use std::time::SystemTime;

use crate::model::Timestamp;

pub(crate) use monotonic::Monotonic;
#[cfg(feature = "postgres")]
pub(crate) use monotonic::Uptime;

/// The source of the wall-clock time.
///
/// # Contract
///
/// `now` never blocks and never panics. It may go backwards (an administrator may set the clock):
/// the crate relies on it only for lifetimes, never for mutual exclusion.
///
/// A closure that returns the time is also a clock:
///
/// ```
/// use std::time::SystemTime;
/// use valetkey::vault::SealedVault;
/// use valetkey::{Connections, Timestamp};
///
/// let connections = Connections::builder(SealedVault::in_memory())
///     .clock(|| Timestamp::from(SystemTime::now()))
/// #   .http_client(valetkey::testing::Sandbox::new(valetkey::SystemClock))
///     .build()?;
/// # Ok::<(), valetkey::Error>(())
/// ```
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

impl<F> Clock for F
where
    F: Fn() -> Timestamp + Send + Sync + 'static,
{
    fn now(&self) -> Timestamp {
        self()
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The system clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from(SystemTime::now())
    }
}
