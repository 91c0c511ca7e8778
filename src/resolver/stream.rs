//! Streamed bodies: read while they are sent, and masked while they are read.

use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use zeroize::{Zeroize as _, Zeroizing};

use crate::error::RequestRefused;
use crate::http::Body;
use crate::resolver::Redactor;

/// The number of bytes of a response to read at once.
const PIECE: usize = 16 * 1024;

/// Opens the body from its beginning.
type Open = Box<dyn FnMut() -> io::Result<Box<dyn Read + Send>> + Send>;

/// The request body of [`Turn::send_stream`](crate::resolver::Turn::send_stream), read while it is
/// sent.
///
/// ```
/// use std::fs::File;
/// use valetkey::resolver::Upload;
///
/// # fn main() -> std::io::Result<()> {
/// # let path = "Cargo.toml";
/// let length = std::fs::metadata(path)?.len();
/// let upload = Upload::new(length, move || File::open(path));
/// # let _ = upload;
/// # Ok(())
/// # }
/// ```
pub struct Upload {
    length: u64,
    /// The body; `None` once it can no longer be opened.
    open: Option<Open>,
    reopens: Reopens,
}

/// The number of times that a body can be read.
#[derive(Clone, Copy)]
enum Reopens {
    Always,
    Never,
}

impl Upload {
    /// Creates a body of `length` bytes that can be opened any number of times: after a 401 it is
    /// sent once more, from the beginning.
    pub fn new<R: Read + Send + 'static>(
        length: u64,
        mut open: impl FnMut() -> io::Result<R> + Send + 'static,
    ) -> Self {
        Self {
            length,
            open: Some(Box::new(move || open().map(|reader| Box::new(reader) as _))),
            reopens: Reopens::Always,
        }
    }

    /// Creates a body of `length` bytes that can be read once, such as a pipe. It is not sent
    /// again: if the API refuses the token, the token is refreshed for the next call, and this call
    /// returns the API's 401.
    pub fn once(length: u64, reader: impl Read + Send + 'static) -> Self {
        let mut reader = Some(reader);
        Self {
            length,
            open: Some(Box::new(move || match reader.take() {
                Some(reader) => Ok(Box::new(reader) as _),
                None => Err(io::ErrorKind::UnexpectedEof.into()),
            })),
            reopens: Reopens::Never,
        }
    }

    /// Creates an empty body, for a download.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(0, || Ok(io::empty()))
    }

    /// Opens the body for one request; `None` if that cannot be repeated.
    pub(super) fn open(&mut self) -> Result<Option<(Body, Arc<Watch>)>, RequestRefused> {
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        let reader = open().map_err(|error| RequestRefused::Upload(error.kind()))?;
        if let Reopens::Never = self.reopens {
            self.open = None;
        }
        let watch = Arc::new(Watch::default());
        if self.length == 0 {
            watch.touched.store(true, Ordering::Relaxed);
            return Ok(Some((Body::empty(), watch)));
        }
        let body = Exactly {
            reader,
            left: self.length,
            watch: Arc::clone(&watch),
        };
        Ok(Some((Body::from_reader(body, Some(self.length)), watch)))
    }
}

impl From<Vec<u8>> for Upload {
    fn from(bytes: Vec<u8>) -> Self {
        let bytes: Arc<[u8]> = bytes.into();
        Self::new(bytes.len() as u64, move || {
            Ok(io::Cursor::new(Arc::clone(&bytes)))
        })
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upload({} bytes)", self.length)
    }
}

/// The state of a body being sent, as seen by its reader.
#[derive(Debug, Default)]
pub(super) struct Watch {
    touched: AtomicBool,
    failed: OnceLock<io::ErrorKind>,
}

impl Watch {
    /// Returns whether the client has read any of it.
    pub(super) fn touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// Returns why the host's reader failed.
    pub(super) fn failed(&self) -> Option<io::ErrorKind> {
        self.failed.get().copied()
    }
}

/// A reader of exactly the announced number of bytes. Further bytes are not sent; if there are
/// fewer, the request is aborted.
struct Exactly {
    reader: Box<dyn Read + Send>,
    left: u64,
    watch: Arc<Watch>,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watch.touched.store(true, Ordering::Relaxed);
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if most == 0 {
            return Ok(0);
        }
        let kind = match self.reader.read(&mut buffer[..most]) {
            Ok(0) => io::ErrorKind::UnexpectedEof,
            Ok(read) => {
                self.left -= read as u64;
                return Ok(read);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => error.kind(),
        };
        let _ = self.watch.failed.set(kind);
        // Only the error kind: the text of the host's reader may contain the name of a user's file.
        Err(kind.into())
    }
}

/// The response body of [`Turn::send_stream`](crate::resolver::Turn::send_stream), read as it
/// arrives. Every token known at its start is masked, even if it is split between reads.
///
/// It ends in an [`io::Error`] if the connection breaks or the time limit passes, never as if the
/// body had ended there. Errors do not contain text of the server or the HTTP client.
pub struct Download {
    reader: Option<Box<dyn Read + Send>>,
    /// The body; `None` once all of it has been read.
    redactor: Option<Redactor>,
    piece: Zeroizing<Vec<u8>>,
    clean: Vec<u8>,
    given: usize,
    length: Option<u64>,
    ends: Instant,
    failed: Option<io::ErrorKind>,
}

impl Download {
    pub(super) fn new(body: Body, redactor: Redactor, ends: Instant) -> Self {
        Self {
            length: body.length(),
            reader: Some(body.into_reader()),
            redactor: Some(redactor),
            piece: Zeroizing::new(vec![0; PIECE]),
            clean: Vec::new(),
            given: 0,
            ends,
            failed: None,
        }
    }

    /// Returns the length that the API announced. If a token is masked, the number of bytes read
    /// differs.
    #[must_use]
    pub const fn announced(&self) -> Option<u64> {
        self.length
    }

    /// Reads and masks a piece. If no output is available afterwards, either nothing is cleared yet
    /// or the body has ended.
    fn advance(&mut self, reader: &mut dyn Read) -> io::Result<()> {
        if Instant::now() >= self.ends {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let read = reader.read(&mut self.piece)?;
        self.given = 0;
        self.clean = match (read, &mut self.redactor) {
            (0, redactor) => redactor.take().map(Redactor::finish_bytes).unwrap_or_default(),
            (read, Some(redactor)) => redactor.push_bytes(&self.piece[..read]),
            (_, None) => Vec::new(),
        };
        self.piece[..read].zeroize();
        Ok(())
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(kind) = self.failed {
            return Err(kind.into());
        }
        while self.given == self.clean.len() && self.redactor.is_some() && !buffer.is_empty() {
            let Some(mut reader) = self.reader.take() else {
                break;
            };
            let advanced = self.advance(&mut *reader);
            match advanced {
                Ok(()) => self.reader = Some(reader),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.reader = Some(reader),
                Err(error) => {
                    self.failed = Some(error.kind());
                    return Err(error.kind().into());
                }
            }
        }
        let read = (&self.clean[self.given..]).read(buffer)?;
        self.given += read;
        Ok(read)
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("announced", &self.length)
            .finish_non_exhaustive()
    }
}
