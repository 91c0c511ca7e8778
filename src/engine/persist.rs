//! Retries writes that must not be lost while the vault is unavailable.

use std::thread;
use std::time::{Duration, Instant};

use crate::engine::Context;
use crate::vault::VaultError;

/// The pause before the second attempt to store.
const FIRST_PAUSE: Duration = Duration::from_millis(15);

/// The longest pause between two attempts to store.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Stores data that cannot be requested again. Retries while the vault cannot be written, for
/// longer than a database failover takes.
pub(crate) fn persist<T>(
    cx: &Context,
    mut write: impl FnMut() -> Result<T, VaultError>,
) -> Result<T, VaultError> {
    let patience = cx.settings.store_patience.max(cx.settings.refresh_lease);
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        match write() {
            Err(error) if error.is_retryable() && Instant::now() + pause < deadline => {
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            outcome => return outcome,
        }
    }
}
