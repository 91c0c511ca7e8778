//! The clock of the server, which all machines share.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::model::Timestamp;
use crate::vault::VaultError;
use crate::vault::postgres::failure;
use crate::vault::postgres::pool::Pool;
use crate::vault::postgres::session::Session;

/// The time between two comparisons with the server.
const INTERVAL: Duration = Duration::from_secs(10);

const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// The server's time, computed from this machine's monotonic clock and the difference that was
/// measured last.
#[derive(Debug)]
pub(super) struct ServerClock {
    began: Instant,
    /// The server's time in milliseconds since 1970, less the time since `began`.
    offset: AtomicI64,
}

impl ServerClock {
    /// Measures the difference.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the server cannot be reached.
    pub(super) fn measure(pool: &Arc<Pool>) -> Result<Arc<Self>, VaultError> {
        let clock = Arc::new(Self {
            began: Instant::now(),
            offset: AtomicI64::new(0),
        });
        let lent = pool.session()?;
        let (session, measured) = (lent.session(), Arc::clone(&clock));
        pool.io().run(pool.options().deadline, async move {
            measured.compare(&session).await
        })?;
        pool.io().spawn(Arc::clone(&clock).follow(Arc::downgrade(pool)));
        Ok(clock)
    }

    async fn compare(&self, session: &Session) -> Result<(), VaultError> {
        let before = self.elapsed();
        let row = session
            .row(NOW)
            .await
            .map_err(|error| VaultError::from(failure::meaning(&error)))?;
        let after = self.elapsed();
        let now: i64 = row.try_get(0).map_err(|_| VaultError::Damaged)?;
        self.offset
            .store(now - (before + (after - before) / 2), Ordering::SeqCst);
        Ok(())
    }

    /// Compares again from time to time, until the pool is dropped.
    async fn follow(self: Arc<Self>, pool: Weak<Pool>) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let Some(pool) = pool.upgrade() else { return };
            if let Some(lent) = pool.idle() {
                let session = lent.session();
                // A server that cannot be reached is asked the next time.
                let _ = tokio::time::timeout(INTERVAL, self.compare(&session)).await;
            }
        }
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.offset.load(Ordering::SeqCst) + self.elapsed())
    }
}
