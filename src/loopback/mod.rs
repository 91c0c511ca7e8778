//! Consents for native apps: the browser returns to a port on this machine
//! ([RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)).

mod page;
mod server;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use url::{Host, Url};

use crate::connections::{Consent, ConsentOptions};
use crate::error::{ConsentError, Error};
use crate::loopback::page::Page;
use crate::loopback::server::{MAX_VISITORS, Message, Server, Visitor};
use crate::manager::ConnectionManager;
use crate::model::{ActingUser, Connection};

/// The longest time to wait for a browser.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The reason why a connection was not created.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LoopbackError {
    /// The process cannot listen on the loopback address of the redirect URI.
    #[error("cannot listen on the loopback address: {0}")]
    Listen(io::ErrorKind),
    /// The closure that opens the browser failed.
    #[error("the browser cannot be opened: {0}")]
    Browser(io::ErrorKind),
    /// The browser did not return in time: the user closed it or has not decided. Start again.
    #[error("the user did not finish the consent in time; start again")]
    TimedOut,
    /// The authorization URL does not lead back to the requested port, because a substitute of
    /// [`ConnectionManager`] ignores [`ConsentOptions::loopback_port`].
    #[error("the authorization URL does not lead back to this process; honor ConsentOptions::loopback_port")]
    Redirect,
    /// The consent could not be started or completed.
    #[error(transparent)]
    Connection(#[from] Error),
}

/// Options for [`connect_with`].
#[derive(Debug, Clone)]
#[must_use]
pub struct LoopbackOptions {
    consent: ConsentOptions,
    timeout: Duration,
}

impl Default for LoopbackOptions {
    fn default() -> Self {
        Self {
            consent: ConsentOptions::default(),
            timeout: Duration::from_secs(300),
        }
    }
}

impl LoopbackOptions {
    /// Sets the options of the consent. [`ConsentOptions::loopback_port`] is overwritten.
    pub fn consent(mut self, consent: ConsentOptions) -> Self {
        self.consent = consent;
        self
    }

    /// Sets how long to wait for the browser: 5 minutes by default, and at most a day. The consent
    /// itself expires after
    /// [`Settings::consent_lifetime`](crate::connections::Settings::consent_lifetime).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST_WAIT);
        self
    }
}

/// Connects a service in the browser of the user of this program: listens on a free loopback port,
/// opens the browser, waits until it returns, and completes the consent.
///
/// The client's redirect URI must be a loopback address such as `http://127.0.0.1/callback`. The
/// free port replaces its port, which every server that follows RFC 8252 accepts. `open` receives
/// the authorization URL and opens it, as the function `open` of the crate `webbrowser` does; a
/// program without a browser prints the URL.
///
/// ```
/// use valetkey::loopback;
/// use valetkey::testing::Host;
/// # use std::io::{Read as _, Write as _};
///
/// let host = Host::builder().redirect_uri("http://127.0.0.1/callback").build()?;
/// let me = host.user("ada");
/// # let sandbox = host.sandbox.clone();
/// // A function of the host: `fn open_browser(url: &str) -> std::io::Result<()>`.
/// # let open_browser = move |url: &str| {
/// #     let callback = sandbox.approve(url, "ada");
/// #     let callback = url::Url::parse(&callback).map_err(std::io::Error::other)?;
/// #     let address = callback.socket_addrs(|| None)?;
/// #     let mut stream = std::net::TcpStream::connect(&*address)?;
/// #     let (path, query) = (callback.path(), callback.query().unwrap_or_default());
/// #     write!(stream, "GET {path}?{query} HTTP/1.1\r\n\r\n")?;
/// #     stream.read_to_end(&mut Vec::new()).map(drop)
/// # };
/// let connection = loopback::connect(&host.connections, &me, "notes", open_browser)?;
/// assert_eq!(connection.provider.as_str(), "notes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Bounds
///
/// The function waits at most 5 minutes ([`LoopbackOptions::timeout`]), plus the time of a code
/// exchange that has started. `open` runs on the calling thread, and the function does not return
/// before `open` does. Requests are answered meanwhile. At most 16 connections to the port are open
/// at a time, each for 10 s and 32 KiB; further connections close the oldest.
///
/// # Errors
///
/// * [`LoopbackError::Connection`] for the errors of
///   [`Connections::start`](crate::Connections::start) and
///   [`Connections::complete`](crate::Connections::complete), such as
///   [`Misconfigured::NoLoopbackRedirect`](crate::error::Misconfigured::NoLoopbackRedirect) if the
///   client's redirect URI is not a loopback address, and [`ConsentError::Denied`] if the user
///   declines.
/// * [`LoopbackError::TimedOut`] if the browser does not return in time.
/// * [`LoopbackError::Listen`] if no port can be opened.
/// * [`LoopbackError::Browser`] if `open` fails.
/// * [`LoopbackError::Redirect`] if `connections` is a substitute that ignores the port.
///
/// After an error, the consent is withdrawn.
///
/// # Security
///
/// Every program and every website in a browser on this machine can send requests to the port.
/// Requests without the `state` of this consent get an error page and do not end the wait. Do not
/// pass the URL to a shell: it contains characters that shells interpret. Do not log it.
pub fn connect(
    connections: &dyn ConnectionManager,
    acting_user: &ActingUser,
    provider: impl AsRef<str>,
    open: impl FnOnce(&str) -> io::Result<()>,
) -> Result<Connection, LoopbackError> {
    connect_with(
        connections,
        acting_user,
        provider,
        LoopbackOptions::default(),
        open,
    )
}

/// Connects a service like [`connect`], with these options.
///
/// # Errors
///
/// Those of [`connect`].
pub fn connect_with(
    connections: &dyn ConnectionManager,
    acting_user: &ActingUser,
    provider: impl AsRef<str>,
    options: LoopbackOptions,
    open: impl FnOnce(&str) -> io::Result<()>,
) -> Result<Connection, LoopbackError> {
    let deadline = Instant::now() + options.timeout;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(cannot_listen)?;
    let port = listener.local_addr().map_err(cannot_listen)?.port();
    let asked = options.consent.loopback_port(port);
    let consent = connections.start(acting_user, provider.as_ref(), asked)?;
    let flow = Flow {
        connections,
        acting_user,
        consent: &consent,
        deadline,
    };
    let connected = flow
        .server(listener, port)
        .and_then(|server| flow.run(&server, open));
    if connected.is_err() {
        // The error says what happened; a failure to withdraw the request would hide it.
        let _ = connections.cancel(acting_user, consent.id());
    }
    connected
}

/// One consent and the channel to the waiting caller.
struct Flow<'a> {
    connections: &'a dyn ConnectionManager,
    acting_user: &'a ActingUser,
    consent: &'a Consent,
    deadline: Instant,
}

impl Flow<'_> {
    /// Listens on the address to which the authorization URL leads back.
    fn server(&self, listener: TcpListener, port: u16) -> Result<Server, LoopbackError> {
        let redirect = redirect_uri(self.consent.authorization_url()).ok_or(LoopbackError::Redirect)?;
        if redirect.port_or_known_default() != Some(port) {
            return Err(LoopbackError::Redirect);
        }
        let on_ipv6 = || TcpListener::bind((Ipv6Addr::LOCALHOST, port));
        let listeners = match redirect.host() {
            Some(Host::Ipv4(_)) => vec![listener],
            Some(Host::Ipv6(_)) => vec![on_ipv6().map_err(cannot_listen)?],
            // Browsers try both addresses of the name. A machine without IPv6 has one.
            _ => std::iter::once(listener).chain(on_ipv6()).collect(),
        };
        Server::new(listeners, redirect.path()).map_err(cannot_listen)
    }

    /// Opens the browser, and answers its requests on other threads.
    fn run(
        &self,
        server: &Server,
        open: impl FnOnce(&str) -> io::Result<()>,
    ) -> Result<Connection, LoopbackError> {
        let (sender, receiver) = sync_channel(MAX_VISITORS);
        thread::scope(|scope| {
            // Stops the server in every case: the scope waits for its threads.
            let stop = server.stop_on_drop();
            let messages = sender.clone();
            scope.spawn(move || server.accept(scope, &messages));
            let waiting = scope.spawn(move || {
                let _stop = stop;
                self.wait(&receiver)
            });
            // This also runs if the closure panics: the scope waits for the other threads.
            let mut cancel = CancelOnDrop(Some(sender));
            let opened = open(self.consent.authorization_url().as_str());
            if opened.is_ok() {
                cancel.0 = None;
            }
            drop(cancel);
            match (waiting.join(), opened) {
                (Ok(Ok(connection)), _) => Ok(connection),
                (_, Err(error)) => Err(LoopbackError::Browser(error.kind())),
                (Ok(Err(error)), Ok(())) => Err(error),
                (Err(panic), Ok(())) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Waits for the callback of this consent.
    fn wait(&self, messages: &Receiver<Message>) -> Result<Connection, LoopbackError> {
        let result = self.completed(messages);
        // Browsers sometimes deliver a callback twice. The second one reads the result of the
        // first.
        let page = if result.is_ok() { Page::Done } else { Page::Failed };
        for message in messages.try_iter() {
            if let Message::Callback(_, visitor) = message {
                visitor.answer(page);
            }
        }
        result
    }

    fn completed(&self, messages: &Receiver<Message>) -> Result<Connection, LoopbackError> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let (response, visitor): (_, Visitor) = match messages.recv_timeout(left) {
                Ok(Message::Callback(response, visitor)) => (response, visitor),
                Ok(Message::Cancel) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(LoopbackError::TimedOut);
                }
            };
            let completed = self
                .connections
                .complete(self.acting_user, response, self.consent.binding());
            match completed {
                Ok(connection) => {
                    visitor.answer(Page::Done);
                    return Ok(connection);
                }
                Err(error) if leaves_open(&error) => visitor.answer(Page::Unrelated),
                Err(error) => {
                    visitor.answer(Page::Failed);
                    return Err(error.into());
                }
            }
        }
    }
}

/// Returns whether the callback did not belong to this consent, which therefore stays open.
const fn leaves_open(error: &Error) -> bool {
    match error {
        Error::InvalidValue(error) => error.is_callback(),
        Error::Consent(error) => matches!(
            error,
            ConsentError::Unknown
                | ConsentError::WrongUser
                | ConsentError::WrongBrowser
                | ConsentError::IssuerMismatch
        ),
        _ => false,
    }
}

fn redirect_uri(authorization_url: &Url) -> Option<Url> {
    let (_, uri) = authorization_url
        .query_pairs()
        .find(|(name, _)| name == "redirect_uri")?;
    Url::parse(&uri).ok()
}

/// Ends the wait when it is dropped, unless the sender has been taken.
struct CancelOnDrop(Option<SyncSender<Message>>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(messages) = &self.0 {
            // If it fails, the wait is over.
            let _ = messages.send(Message::Cancel);
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used with `map_err`")]
fn cannot_listen(error: io::Error) -> LoopbackError {
    LoopbackError::Listen(error.kind())
}
