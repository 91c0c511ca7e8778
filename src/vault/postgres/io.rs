//! The thread that drives all sessions.
//!
//! Callers are on any thread, those of an asynchronous runtime included. They hand a future over
//! and wait for its outcome, with a deadline. The runtime is entered and dropped on its own thread
//! only, because a runtime must not be dropped within another.

use std::future::Future;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::vault::VaultError;

/// The additional time that a caller waits for a future which has its own deadline.
const GRACE: Duration = Duration::from_secs(5);

/// A thread with an asynchronous runtime.
#[derive(Debug)]
pub(super) struct Io {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Io {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// [`VaultError::Storage`] if the thread or its runtime cannot be created.
    pub(super) fn start() -> Result<Self, VaultError> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, started) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("valetkey-postgres".to_owned())
            .spawn(move || {
                let runtime = match Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                let _ = ready.send(Ok(runtime.handle().clone()));
                // Tasks run while the thread waits here.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })
            .map_err(VaultError::storage)?;
        let handle = match started.recv() {
            Ok(started) => started.map_err(VaultError::storage)?,
            Err(_) => return Err(VaultError::Unreachable),
        };
        Ok(Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Runs a future to its end and returns its outcome.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unreachable`] if the future does not end within its own deadline, and those of
    /// the future.
    pub(super) fn run<T, F>(&self, deadline: Duration, future: F) -> Result<T, VaultError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, VaultError>> + Send + 'static,
    {
        let (done, outcome) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            let ended = tokio::time::timeout(deadline, future).await;
            let _ = done.send(ended.unwrap_or(Err(VaultError::Unreachable)));
        });
        outcome
            .recv_timeout(deadline + GRACE)
            .unwrap_or(Err(VaultError::Unreachable))
    }

    /// Runs a future whose outcome is not needed.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(future);
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        // A task can hold the last handle. The thread then ends by itself.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}
