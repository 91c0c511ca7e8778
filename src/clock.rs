//! Where the time comes from.

use std::time::SystemTime;

use crate::model::Timestamp;

/// The source of the wall-clock time.
///
/// # Contract
///
/// `now` never blocks and never panics. It may go backwards (an operator may set the clock):
/// nothing in this crate relies on it for mutual exclusion, only for lifetimes.
///
/// A closure that returns the time is a clock too:
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
    /// The current time.
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

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from(SystemTime::now())
    }
}
