//! A stateless server for one callback, bounded in connections, bytes and time.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::loopback::page::Page;
use crate::protocol::AuthorizationResponse;

/// The maximum number of open connections. An additional one closes the oldest, which a browser may
/// have opened in advance.
pub(super) const MAX_VISITORS: usize = 16;
/// The maximum number of bytes of a request.
const MAX_HEAD: usize = 32 * 1024;
/// The time limit for receiving a request, and for sending a response.
const PATIENCE: Duration = Duration::from_secs(10);
/// The polling interval of the listeners. The standard library cannot interrupt a blocking
/// `accept`.
const POLL: Duration = Duration::from_millis(20);

/// A message from the server to the waiting caller.
pub(super) enum Message {
    /// A browser requested the callback.
    Callback(AuthorizationResponse, Visitor),
    /// No more requests will arrive.
    Cancel,
}

/// A browser that waits for its response.
pub(super) struct Visitor(TcpStream);

impl Visitor {
    /// Sends the response and closes the connection. If the browser has disconnected, this does
    /// nothing.
    pub(super) fn answer(self, page: Page) {
        respond(&self.0, page);
    }
}

pub(super) struct Server {
    listeners: Vec<TcpListener>,
    path: String,
    is_over: AtomicBool,
    visitors: Mutex<Visitors>,
}

/// The connections whose request is being read.
#[derive(Default)]
struct Visitors {
    next: u64,
    open: Vec<(u64, TcpStream)>,
}

/// Stops the server when it is dropped.
pub(super) struct Stop<'a>(&'a Server);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
        for (_, stream) in self.0.visitors().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Server {
    pub(super) fn new(listeners: Vec<TcpListener>, path: &str) -> io::Result<Self> {
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        Ok(Self {
            listeners,
            path: path.to_owned(),
            is_over: AtomicBool::new(false),
            visitors: Mutex::default(),
        })
    }

    pub(super) const fn stop_on_drop(&self) -> Stop<'_> {
        Stop(self)
    }

    /// Accepts connections until the server is stopped, and reads each on its own thread, so that a
    /// silent connection does not delay the others.
    pub(super) fn accept<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        messages: &SyncSender<Message>,
    ) {
        while !self.is_over.load(Ordering::SeqCst) {
            let mut is_idle = true;
            for listener in &self.listeners {
                // All failures are temporary: the connection was aborted, or too many files are
                // open.
                let Ok((stream, _)) = listener.accept() else {
                    continue;
                };
                is_idle = false;
                let Some(id) = self.admit(&stream) else { continue };
                let messages = messages.clone();
                let serve = move || self.serve(id, stream, &messages);
                if thread::Builder::new().spawn_scoped(scope, serve).is_err() {
                    self.dismiss(id);
                }
            }
            if is_idle {
                thread::park_timeout(POLL);
            }
        }
    }

    /// Registers a connection, so that it can be closed from outside.
    fn admit(&self, stream: &TcpStream) -> Option<u64> {
        // On some systems, the stream inherits the mode of its listener.
        stream.set_nonblocking(false).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        let held = stream.try_clone().ok()?;
        let mut visitors = self.visitors();
        if self.is_over.load(Ordering::SeqCst) {
            return None;
        }
        if visitors.open.len() == MAX_VISITORS {
            let (_, oldest) = visitors.open.remove(0);
            let _ = oldest.shutdown(Shutdown::Both);
        }
        let id = visitors.next;
        visitors.next += 1;
        visitors.open.push((id, held));
        Some(id)
    }

    /// Removes a connection, and returns whether it was still open.
    fn dismiss(&self, id: u64) -> bool {
        let open = &mut self.visitors().open;
        let before = open.len();
        open.retain(|(other, _)| *other != id);
        open.len() < before
    }

    fn serve(&self, id: u64, stream: TcpStream, messages: &SyncSender<Message>) {
        let request = self.read(&stream);
        // From here on, the connection is not closed from outside: it gets a response.
        if !self.dismiss(id) {
            return;
        }
        match request {
            Ok(response) => match messages.try_send(Message::Callback(response, Visitor(stream))) {
                Ok(()) => {}
                Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => {
                    if let Message::Callback(_, visitor) = message {
                        visitor.answer(Page::Busy);
                    }
                }
            },
            Err(Some(page)) => respond(&stream, page),
            Err(None) => {}
        }
    }

    /// Reads a request, or returns the error response for it. `None` if the peer has disconnected.
    fn read(&self, stream: &TcpStream) -> Result<AuthorizationResponse, Option<Page>> {
        // The request contains the code. The full capacity is reserved at once: a growing buffer
        // leaves copies behind.
        let mut buffer = Zeroizing::new(vec![0; MAX_HEAD]);
        let len = read_head(stream, &mut buffer)?;
        let head = buffer.get(..len).unwrap_or_default();
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = std::str::from_utf8(line).map_err(|_| Some(Page::Malformed))?;
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Some(Page::Malformed));
        };
        if !version.starts_with("HTTP/1.") {
            return Err(Some(Page::Malformed));
        }
        let path = target.split('?').next().unwrap_or_default();
        if path != self.path {
            return Err(Some(Page::NotFound));
        }
        if method != "GET" {
            return Err(Some(Page::Method));
        }
        AuthorizationResponse::parse(target).map_err(|_| Some(Page::Unrelated))
    }

    fn visitors(&self) -> MutexGuard<'_, Visitors> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads up to the empty line after the headers, and returns the length of the data before it.
fn read_head(mut stream: &TcpStream, buffer: &mut [u8]) -> Result<usize, Option<Page>> {
    let deadline = Instant::now() + PATIENCE;
    let mut len = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(None);
        }
        let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) else {
            return Err(Some(Page::TooLarge));
        };
        match stream.read(rest) {
            Ok(0) => return Err(None),
            Ok(read) => {
                let before = len;
                len += read;
                if let Some(end) = end_of_head(buffer.get(..len).unwrap_or_default(), before) {
                    return Ok(end);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(None),
        }
    }
}

/// Finds the empty line after the headers. The data up to `searched` does not contain it, but it
/// may begin before that.
fn end_of_head(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let found = bytes
        .get(from..)?
        .windows(4)
        .position(|window| window == b"\r\n\r\n")?;
    Some(from + found)
}

/// Writes a response and ends the connection. Remaining input is read for a moment: closing earlier
/// would reset the connection, and the browser would lose the page.
fn respond(mut stream: &TcpStream, page: Page) {
    let written = stream
        .write_all(page.response().as_bytes())
        .and_then(|()| stream.shutdown(Shutdown::Write));
    if written.is_err() || page != Page::TooLarge {
        return;
    }
    let mut rest = [0; 4096];
    let deadline = Instant::now() + Duration::from_secs(1);
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        let is_over = stream.set_read_timeout(Some(left)).is_err();
        if is_over || !matches!(stream.read(&mut rest), Ok(1..)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_headers_is_found_wherever_the_reads_part_it() {
        let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        let end = request.len() - 8;
        for parted in 0..end + 4 {
            assert_eq!(end_of_head(&request[..parted], 0), None, "{parted}");
            assert_eq!(end_of_head(request, parted), Some(end), "{parted}");
        }
    }
}
