//! The sessions that are not in use.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::vault::VaultError;
use crate::vault::postgres::failure::connecting;
use crate::vault::postgres::io::Io;
use crate::vault::postgres::options::PostgresOptions;
use crate::vault::postgres::session::Session;

/// The sessions of a vault, at most as many as the options allow.
#[derive(Debug)]
pub(super) struct Pool {
    io: Arc<Io>,
    options: PostgresOptions,
    config: Config,
    tls: Tls,
    state: Mutex<State>,
    returned: Condvar,
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
    pub(super) fn new(io: Arc<Io>, options: PostgresOptions, config: Config, tls: Tls) -> Self {
        Self {
            io,
            options,
            config,
            tls,
            state: Mutex::default(),
            returned: Condvar::new(),
            #[cfg(any(test, feature = "_internals"))]
            trips: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    pub(super) const fn options(&self) -> &PostgresOptions {
        &self.options
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
            Ok(session) => Ok(self.lent(Arc::new(session))),
            Err(error) => {
                self.closed();
                Err(error)
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
        let (config, tls) = (self.config.clone(), self.tls.clone());
        self.io.run(self.options.deadline, async move {
            match tls {
                Tls::None => {
                    let connected = config.connect(tokio_postgres::NoTls).await;
                    let (client, connection) = connected.map_err(|error| connecting(&error))?;
                    let (session, drive) = Session::new(client, connection);
                    tokio::spawn(drive);
                    Ok(session)
                }
                Tls::Verified(tls) => {
                    debug_assert_eq!(config.get_ssl_mode(), SslMode::Require);
                    let connected = config.connect(tls).await;
                    let (client, connection) = connected.map_err(|error| connecting(&error))?;
                    let (session, drive) = Session::new(client, connection);
                    tokio::spawn(drive);
                    Ok(session)
                }
            }
        })
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
