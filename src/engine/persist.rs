//! Retries writes that must not be lost while the vault is unavailable.

use std::thread;
use std::time::{Duration, Instant};

use crate::engine::Context;
use crate::error::{Error, Result as EngineResult};
use crate::vault::VaultError;

/// The pause before the second attempt to store.
const FIRST_PAUSE: Duration = Duration::from_millis(15);

/// The longest pause between two attempts to store.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Stores data that cannot be requested again. Retries while the vault cannot be written, for
/// longer than a database failover takes.
pub(crate) fn persist<T>(
    cx: &Context,
    write: impl FnMut() -> Result<T, VaultError>,
) -> Result<T, VaultError> {
    retry(cx, write, VaultError::is_retryable)
}

/// Prepares such a write. A failure of the vault on the way is retried as one of the write is.
pub(crate) fn prepare<T>(cx: &Context, step: impl FnMut() -> EngineResult<T>) -> EngineResult<T> {
    retry(
        cx,
        step,
        |error| matches!(error, Error::Vault(error) if error.is_retryable()),
    )
}

fn retry<T, E>(
    cx: &Context,
    mut attempt: impl FnMut() -> Result<T, E>,
    may_pass: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let patience = cx.settings.store_patience.max(cx.settings.refresh_lease);
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt() {
            Err(error) if may_pass(&error) && Instant::now() + pause < deadline => {
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            outcome => return outcome,
        }
    }
}
