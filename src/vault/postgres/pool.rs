//! The sessions that are not in use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::random;
use crate::vault::VaultError;
use crate::vault::postgres::failure::{POOLER, connecting, meaning};
use crate::vault::postgres::io::Io;
use crate::vault::postgres::options::{MARK, PostgresOptions, Statements};
use crate::vault::postgres::session::Session;

/// The sessions of a vault, at most as many as the options allow.
#[derive(Debug)]
pub(super) struct Pool {
    io: Arc<Io>,
    options: PostgresOptions,
    tls: Tls,
    state: Mutex<State>,
    returned: Condvar,
    has_connected: AtomicBool,
    #[cfg(any(test, feature = "_internals"))]
    pub(super) trips: std::sync::atomic::AtomicUsize,
}

/// The encryption of a connection.
#[derive(Clone)]
pub(super) enum Tls {
    /// Not at all: a socket of this machine, or the host's decision.
    None,
    /// With a certificate that is verified.
    Verified(MakeRustlsConnect),
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Verified(_) => "Verified",
        })
    }
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Arc<Session>>,
    open: usize,
}

/// A session that is in use. It returns to the pool when it is dropped.
#[derive(Debug)]
pub(super) struct Lent<'p> {
    pool: &'p Pool,
    session: Option<Arc<Session>>,
}

impl Pool {
    pub(super) fn new(io: Arc<Io>, options: PostgresOptions, tls: Tls) -> Self {
        Self {
            io,
            options,
            tls,
            state: Mutex::default(),
            returned: Condvar::new(),
            has_connected: AtomicBool::new(false),
            #[cfg(any(test, feature = "_internals"))]
            trips: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    pub(super) const fn options(&self) -> &PostgresOptions {
        &self.options
    }

    /// Returns the statements that begin a transaction.
    pub(super) fn begin(&self, begin: &str) -> String {
        self.options.begin(begin)
    }

    pub(super) fn io(&self) -> &Arc<Io> {
        &self.io
    }

    /// Returns a session that is not in use, or a new one. Waits if all are in use.
    ///
    /// # Errors
    ///
    /// [`VaultError::Busy`] if all sessions stay in use; otherwise the reason why the server cannot
    /// be reached.
    pub(super) fn session(&self) -> Result<Lent<'_>, VaultError> {
        let until = Instant::now() + self.options.pool_wait;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(session) = state.idle.pop() {
                if session.is_closed() {
                    state.open -= 1;
                    continue;
                }
                return Ok(self.lent(session));
            }
            if state.open < self.options.sessions {
                state.open += 1;
                break;
            }
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return Err(VaultError::Busy);
            };
            (state, _) = self
                .returned
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        match self.connect() {
            Ok(session) => {
                self.has_connected.store(true, Ordering::SeqCst);
                Ok(self.lent(Arc::new(session)))
            }
            Err(error) => {
                self.closed();
                // The vault was open, so that a standby is about to become the primary.
                Err(match error {
                    VaultError::ReadOnly if self.has_connected.load(Ordering::SeqCst) => {
                        VaultError::Unreachable
                    }
                    error => error,
                })
            }
        }
    }

    /// Returns a session that is not in use, if there is one.
    pub(super) fn idle(&self) -> Option<Lent<'_>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let session = state.idle.pop()?;
        Some(self.lent(session))
    }

    const fn lent(&self, session: Arc<Session>) -> Lent<'_> {
        Lent {
            pool: self,
            session: Some(session),
        }
    }

    fn closed(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open -= 1;
        self.returned.notify_one();
    }

    fn connect(&self) -> Result<Session, VaultError> {
        let mut bytes = [0; 8];
        random::fill(&mut bytes)?;
        let mark = format!("{:016x}", u64::from_ne_bytes(bytes));
        let config = self.options.session_config(&mark);
        let (tls, statements) = (self.tls.clone(), self.options.statements);
        self.io.run(self.options.deadline, async move {
            let session = match tls {
                Tls::None => {
                    let connected = config.connect(tokio_postgres::NoTls).await;
                    let (client, connection) = connected.map_err(|error| connecting(&error))?;
                    Session::start(client, connection, statements)
                }
                Tls::Verified(tls) => {
                    debug_assert_eq!(config.get_ssl_mode(), SslMode::Require);
                    let connected = config.connect(tls).await;
                    let (client, connection) = connected.map_err(|error| connecting(&error))?;
                    Session::start(client, connection, statements)
                }
            };
            if statements == Statements::Prepared {
                is_own(&session, &mark).await?;
            }
            Ok(session)
        })
    }
}

/// Checks that the session is not one that a pooler shares among clients. There, a statement that
/// another client has prepared could run in place of one of this vault.
async fn is_own(session: &Session, mark: &str) -> Result<(), VaultError> {
    let failed = |error| VaultError::from(meaning(&error));
    let shown = format!("SELECT current_setting('{MARK}', true)");
    let row = session.row(&shown).await.map_err(failed)?;
    let shown: Option<&str> = row.try_get(0).map_err(|_| VaultError::Damaged)?;
    if shown == Some(mark) {
        Ok(())
    } else {
        Err(VaultError::Unsupported(POOLER))
    }
}

impl Lent<'_> {
    pub(super) fn session(&self) -> Arc<Session> {
        // The session is taken only by `drop` and `discard`.
        match &self.session {
            Some(session) => Arc::clone(session),
            None => unreachable!("a session is lent until it is returned"),
        }
    }

    /// Closes the session: its state is not known.
    pub(super) fn discard(mut self) {
        self.session = None;
        self.pool.closed();
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        let mut state = self.pool.state.lock().unwrap_or_else(PoisonError::into_inner);
        if session.is_closed() {
            state.open -= 1;
        } else {
            state.idle.push(session);
        }
        self.pool.returned.notify_one();
    }
}
