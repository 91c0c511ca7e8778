//! Where the time comes from.

use std::fmt::Debug;
use std::time::SystemTime;

use crate::model::Timestamp;

/// The source of the wall-clock time.
///
/// # Contract
///
/// `now` never blocks and never panics. It may go backwards (an operator may set the clock): nothing in
/// this crate relies on it for mutual exclusion, only for lifetimes.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;
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
