//! A proxy in front of the server's socket, which cuts or stalls one connection at a chosen byte.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::support::postgres::Cluster;

/// The direction of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

impl Way {
    pub(crate) const BOTH: [Self; 2] = [Self::ToServer, Self::ToClient];
}

/// The end of a connection at the chosen byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides see the end of the stream.
    Cut,
    /// Nothing more passes in this direction, and both sides stay open.
    Stall,
}

/// A place in the messages that pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Byte {
        way: Way,
        /// The number of whole messages in this direction that pass first.
        messages: usize,
        /// The number of bytes of the next message that pass, or all if it has fewer.
        bytes: usize,
    },
    /// After the commit with this number, so that its answer is lost.
    Commit(usize),
}

/// Returns whether a message of a client commits a transaction.
pub(crate) fn is_commit(message: &[u8]) -> bool {
    message.starts_with(b"Q") && message.ends_with(b"COMMIT\0")
}

/// A proxy that runs until the test ends.
#[derive(Debug)]
pub(crate) struct Proxy {
    directory: tempfile::TempDir,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    plan: Option<(Place, End)>,
    /// The messages that passed since the plan was made.
    passed: [usize; 2],
    /// The commits among them.
    commits: usize,
    /// The messages that passed since the recording began, if one is made.
    recording: Option<[Vec<Vec<u8>>; 2]>,
    /// The connections that were cut, and whose server has not ended yet.
    unsettled: usize,
}

impl Proxy {
    /// Starts a proxy to the server of this cluster.
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let name = format!(".s.PGSQL.{}", cluster.port());
        let listener = UnixListener::bind(directory.path().join(&name)).unwrap();
        let server = cluster.directory().join(&name);
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        // The thread ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = UnixStream::connect(&server) else {
                    continue;
                };
                pass(&client, &server, &served);
            }
        });
        Self { directory, shared }
    }

    /// Returns the address of the cluster's database through this proxy.
    pub(crate) fn address(&self, cluster: &Cluster) -> String {
        cluster.address().replace(
            cluster.directory().to_str().unwrap(),
            self.directory.path().to_str().unwrap(),
        )
    }

    /// Keeps the messages that pass from now on.
    pub(crate) fn record(&self) {
        self.shared.state().recording = Some(Default::default());
    }

    /// Ends the recording, and returns the messages that passed in each direction.
    pub(crate) fn recorded(&self) -> [(Way, Vec<Vec<u8>>); 2] {
        let [to_server, to_client] = self.shared.state().recording.take().unwrap();
        [(Way::ToServer, to_server), (Way::ToClient, to_client)]
    }

    /// Ends the next connection that passes this place. Messages count from now on.
    pub(crate) fn end_at(&self, place: Place, end: End) {
        let mut state = self.shared.state();
        state.passed = [0; 2];
        state.commits = 0;
        state.plan = Some((place, end));
    }

    /// Waits until the server has ended every connection that was cut, and so has done all that it
    /// received. Returns whether the place was reached; otherwise nothing will be cut any more.
    pub(crate) fn settle(&self) -> bool {
        let mut state = self.shared.state();
        while state.unsettled > 0 {
            state = self
                .shared
                .ended
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.plan.take().is_none()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads bytes of a connection. Returns how many of them may pass, and the end that follows.
    fn read(&self, way: Way, bytes: &[u8], message: &mut Message) -> (usize, Option<End>) {
        let mut state = self.state();
        for (at, byte) in bytes.iter().enumerate() {
            message.bytes.push(*byte);
            let ended = message.is_whole();
            let commits = ended && way == Way::ToServer && is_commit(&message.bytes);
            let passed = state.passed[way as usize];
            let is_here = |place| match place {
                Place::Byte {
                    way: planned,
                    messages,
                    bytes,
                } => planned == way && messages == passed && (ended || bytes == message.bytes.len()),
                Place::Commit(number) => commits && number == state.commits,
            };
            let end = state
                .plan
                .filter(|(place, _)| is_here(*place))
                .map(|(_, end)| end);
            if ended {
                state.passed[way as usize] += 1;
                state.commits += usize::from(commits);
                let whole = message.next();
                if let Some(recording) = &mut state.recording {
                    recording[way as usize].push(whole);
                }
            }
            if let Some(end) = end {
                state.plan = None;
                state.unsettled += usize::from(end == End::Cut);
                return (at + 1, Some(end));
            }
        }
        (bytes.len(), None)
    }
}

/// The message that is being read.
struct Message {
    /// The number of bytes before the length: 1, except in the first message of a client.
    kind: usize,
    bytes: Vec<u8>,
}

impl Message {
    fn is_whole(&self) -> bool {
        let length = self.bytes.get(self.kind..self.kind + 4);
        length.is_some_and(|length| {
            let length = u32::from_be_bytes(length.try_into().unwrap());
            self.bytes.len() == self.kind + usize::try_from(length).unwrap()
        })
    }

    fn next(&mut self) -> Vec<u8> {
        self.kind = 1;
        std::mem::take(&mut self.bytes)
    }
}

/// Passes the bytes of one connection in both directions.
fn pass(client: &UnixStream, server: &UnixStream, shared: &Arc<Shared>) {
    for way in Way::BOTH {
        let (client, server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let shared = Arc::clone(shared);
        thread::spawn(move || pump(way, &client, &server, &shared));
    }
}

fn pump(way: Way, client: &UnixStream, server: &UnixStream, shared: &Shared) {
    let (mut from, mut to) = match way {
        Way::ToServer => (client, server),
        Way::ToClient => (server, client),
    };
    let mut bytes = [0; 16 * 1024];
    let mut message = Message {
        kind: usize::from(way == Way::ToClient),
        bytes: Vec::new(),
    };
    loop {
        let read = from.read(&mut bytes).unwrap_or(0);
        if read == 0 {
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        let (passes, end) = shared.read(way, &bytes[..read], &mut message);
        let sent = to.write_all(&bytes[..passes]);
        match end {
            Some(End::Cut) => {
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Write);
                // The other thread may read the end of the server's stream as well.
                let mut server = server;
                while server.read(&mut bytes).is_ok_and(|read| read > 0) {}
                shared.state().unsettled -= 1;
                shared.ended.notify_all();
                return;
            }
            // The streams stay open as long as the client keeps its end.
            Some(End::Stall) => while from.read(&mut bytes).is_ok_and(|read| read > 0) {},
            None if sent.is_err() => return,
            None => {}
        }
    }
}
