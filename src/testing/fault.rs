//! An HTTP client whose requests fail on demand.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;

use crate::http::{HttpClient, HttpError, HttpRequest, HttpResponse};

/// The timeout of a gate that is never opened: a test that forgets to open it should fail instead
/// of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// Creates the response of [`Fault::Answer`].
type Answer = Box<dyn FnOnce(HttpRequest) -> Result<HttpResponse, HttpError> + Send>;

/// A fault for one request.
#[non_exhaustive]
pub enum Fault {
    /// The request is never sent: [`HttpError::Connect`].
    Connect,
    /// The request is lost and times out: [`HttpError::Timeout`]. The server did not act.
    Timeout,
    /// The server acts, but its response arrives too late: [`HttpError::Timeout`].
    TimeoutAfterSend,
    /// The server acts, but the connection breaks before the response: [`HttpError::Interrupted`].
    InterruptedAfterSend,
    /// A proxy in front of the server responds with this status and body. The server did not act.
    Status(u16, String),
    /// The closure responds in place of the server. [`Fault::answer`] creates one.
    Answer(Answer),
    /// The request waits at the gate, then reaches the server.
    Hold(Gate),
    /// The server acts immediately, and its response waits at the gate.
    HoldAnswer(Gate),
}

impl Fault {
    /// Creates a fault whose closure responds in place of the server.
    #[must_use]
    pub fn answer(
        make: impl FnOnce(HttpRequest) -> Result<HttpResponse, HttpError> + Send + 'static,
    ) -> Self {
        Self::Answer(Box::new(make))
    }

    fn apply(self, request: HttpRequest, inner: &dyn HttpClient) -> Result<HttpResponse, HttpError> {
        match self {
            Self::Connect => Err(HttpError::Connect),
            Self::Timeout => Err(HttpError::Timeout),
            Self::TimeoutAfterSend => {
                let _lost = inner.send(request)?;
                Err(HttpError::Timeout)
            }
            Self::InterruptedAfterSend => {
                let _lost = inner.send(request)?;
                Err(HttpError::Interrupted)
            }
            Self::Status(status, body) => {
                let status = StatusCode::from_u16(status).map_err(|_| HttpError::Protocol)?;
                Ok(HttpResponse::new(status, body))
            }
            Self::Answer(make) => make(request),
            Self::Hold(gate) => {
                gate.pass()?;
                inner.send(request)
            }
            Self::HoldAnswer(gate) => {
                let answer = inner.send(request)?;
                gate.pass()?;
                Ok(answer)
            }
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("Connect"),
            Self::Timeout => f.write_str("Timeout"),
            Self::TimeoutAfterSend => f.write_str("TimeoutAfterSend"),
            Self::InterruptedAfterSend => f.write_str("InterruptedAfterSend"),
            Self::Status(status, _) => write!(f, "Status({status})"),
            Self::Answer(_) => f.write_str("Answer(..)"),
            Self::Hold(gate) => write!(f, "Hold({gate:?})"),
            Self::HoldAnswer(gate) => write!(f, "HoldAnswer({gate:?})"),
        }
    }
}

/// A client that wraps another one and makes its next requests fail on demand. Clones share the
/// script.
///
/// Each fault applies to one request: the first one that matches. Requests without a fault pass
/// through.
///
/// ```
/// use valetkey::http::{HttpClient, HttpError, HttpRequest};
/// use valetkey::testing::{Fault, FaultClient, ManualClock, Sandbox};
///
/// let sandbox = Sandbox::new(ManualClock::default());
/// let client = FaultClient::new(sandbox.clone());
/// client.on("/userinfo").next(Fault::Timeout);
///
/// let url = sandbox.base_url().join("/userinfo")?;
/// let lost = client.send(HttpRequest::new(http::Method::GET, url.clone()));
/// assert_eq!(lost.unwrap_err(), HttpError::Timeout);
/// assert_eq!(sandbox.count("/userinfo"), 0);
///
/// let refused = client.send(HttpRequest::new(http::Method::GET, url))?;
/// assert_eq!(refused.status, 401);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct FaultClient(Arc<Shared>);

struct Shared {
    inner: Box<dyn HttpClient>,
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    faults: VecDeque<(Option<String>, Fault)>,
    paths: Vec<String>,
}

impl FaultClient {
    /// Creates a client that forwards everything to `inner` until faults are added.
    pub fn new(inner: impl HttpClient) -> Self {
        Self(Arc::new(Shared {
            inner: Box::new(inner),
            script: Mutex::default(),
        }))
    }

    /// Adds a fault for the next request to any path, after the faults already scripted.
    pub fn next(&self, fault: Fault) -> &Self {
        self.script().faults.push_back((None, fault));
        self
    }

    /// Scripts faults for requests to this path, such as `/token`.
    #[must_use]
    pub fn on(&self, path: impl Into<String>) -> FaultScript<'_> {
        FaultScript {
            client: self,
            path: path.into(),
        }
    }

    /// Returns the number of faults that no request has triggered yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.script().faults.len()
    }

    /// Removes the faults that no request has triggered yet.
    pub fn clear(&self) {
        self.script().faults.clear();
    }

    /// Returns the number of requests, including those with a fault.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.script().paths.len()
    }

    /// Returns the number of requests to this path.
    #[must_use]
    pub fn requests_to(&self, path: &str) -> usize {
        self.script().paths.iter().filter(|seen| *seen == path).count()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpClient for FaultClient {
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let fault = {
            let mut script = self.script();
            let path = request.url.path();
            script.paths.push(path.to_owned());
            script
                .faults
                .iter()
                .position(|(only, _)| only.as_deref().is_none_or(|only| only == path))
                .and_then(|index| script.faults.remove(index))
        };
        match fault {
            Some((_, fault)) => fault.apply(request, &*self.0.inner),
            None => self.0.inner.send(request),
        }
    }
}

impl fmt::Debug for FaultClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = self.script();
        f.debug_struct("FaultClient")
            .field("faults", &script.faults)
            .field("requests", &script.paths.len())
            .finish_non_exhaustive()
    }
}

/// A script of faults for one path, created by [`FaultClient::on`].
#[derive(Debug)]
pub struct FaultScript<'a> {
    client: &'a FaultClient,
    path: String,
}

impl FaultScript<'_> {
    /// Adds a fault for the next request to this path, after the faults already scripted.
    pub fn next(&self, fault: Fault) -> &Self {
        self.client
            .script()
            .faults
            .push_back((Some(self.path.clone()), fault));
        self
    }
}

/// A gate at which requests wait until the test opens it. Clones share the gate, which stays open
/// once opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    arrived: usize,
}

impl Gate {
    /// Creates a closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Releases all waiting and future requests.
    pub fn open(&self) {
        self.state().open = true;
        self.0.1.notify_all();
    }

    /// Returns the number of requests that have reached the gate.
    #[must_use]
    pub fn arrived(&self) -> usize {
        self.state().arrived
    }

    /// Blocks until this many requests have reached the gate.
    ///
    /// # Panics
    ///
    /// If they do not arrive within 30 s.
    pub fn wait_for_arrivals(&self, count: usize) {
        let (state, _) = self
            .0
            .1
            .wait_timeout_while(self.state(), PATIENCE, |state| state.arrived < count)
            .unwrap_or_else(PoisonError::into_inner);
        let arrived = state.arrived;
        drop(state);
        assert!(
            arrived >= count,
            "{arrived} of {count} requests came to the gate in time"
        );
    }

    /// Waits until the gate is open. If it is never opened, the request times out, as with a server
    /// that does not respond.
    fn pass(&self) -> Result<(), HttpError> {
        let mut state = self.state();
        state.arrived += 1;
        self.0.1.notify_all();
        let (state, _) = self
            .0
            .1
            .wait_timeout_while(state, PATIENCE, |state| !state.open)
            .unwrap_or_else(PoisonError::into_inner);
        if state.open {
            Ok(())
        } else {
            Err(HttpError::Timeout)
        }
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Gate")
            .field("open", &state.open)
            .field("arrived", &state.arrived)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Method;
    use url::Url;

    use super::*;

    fn counted() -> (FaultClient, Arc<AtomicUsize>) {
        let served = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&served);
        let client = FaultClient::new(move |_request: HttpRequest| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(HttpResponse::new(StatusCode::OK, "ok"))
        });
        (client, served)
    }

    fn to(path: &str) -> HttpRequest {
        let url = Url::parse("https://as.test").and_then(|base| base.join(path));
        HttpRequest::new(Method::GET, url.unwrap())
    }

    #[test]
    fn each_fault_is_for_one_request_and_says_whether_the_server_acted() {
        let (client, served) = counted();
        for (fault, kind, acted) in [
            (Fault::Connect, HttpError::Connect, 0),
            (Fault::Timeout, HttpError::Timeout, 0),
            (Fault::TimeoutAfterSend, HttpError::Timeout, 1),
            (Fault::InterruptedAfterSend, HttpError::Interrupted, 1),
        ] {
            let before = served.load(Ordering::SeqCst);
            client.next(fault);
            assert_eq!(client.send(to("/token")).unwrap_err(), kind);
            assert_eq!(served.load(Ordering::SeqCst) - before, acted);
        }
        assert_eq!(client.send(to("/token")).unwrap().status, StatusCode::OK);
        assert_eq!(client.requests(), 5);
    }

    #[test]
    fn a_fault_for_a_path_lets_others_pass() {
        let (client, _) = counted();
        client
            .on("/token")
            .next(Fault::Status(503, "busy".into()))
            .next(Fault::answer(|request| {
                Ok(HttpResponse::new(
                    StatusCode::IM_A_TEAPOT,
                    request.url.path().to_owned(),
                ))
            }));
        assert_eq!(client.send(to("/userinfo")).unwrap().status, 200);
        assert_eq!(client.send(to("/token")).unwrap().status, 503);
        assert_eq!(client.send(to("/token")).unwrap().body.as_bytes(), b"/token");
        assert_eq!((client.pending(), client.requests_to("/token")), (0, 2));
    }

    #[test]
    fn a_gate_holds_the_request_or_its_answer() {
        for (answer, acted) in [(false, 0), (true, 1)] {
            let (client, served) = counted();
            let gate = Gate::new();
            client.next(if answer {
                Fault::HoldAnswer(gate.clone())
            } else {
                Fault::Hold(gate.clone())
            });
            std::thread::scope(|scope| {
                let held = scope.spawn(|| client.send(to("/token")));
                gate.wait_for_arrivals(1);
                assert_eq!(served.load(Ordering::SeqCst), acted);
                gate.open();
                assert_eq!(held.join().unwrap().unwrap().status, 200);
            });
            assert_eq!(served.load(Ordering::SeqCst), 1);
        }
    }
}
