//! A body: bytes that are wiped when dropped, or a reader.

use std::fmt;
use std::io::{self, Read};

use crate::http::error::HttpError;
use crate::secret::SecretBytes;

/// The body of a request or a response: bytes in memory, which are wiped when dropped, or a reader,
/// whose bytes pass through. `Debug` prints only its length.
#[derive(Default)]
pub struct Body {
    /// Empty if it is a reader.
    bytes: SecretBytes,
    reader: Option<Stream>,
}

struct Stream {
    reader: Box<dyn Read + Send>,
    length: Option<u64>,
}

impl Body {
    /// Returns an empty body.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Returns a body that is read while it is sent or received, with its length in bytes, if
    /// known. The length of a request body is always known.
    pub fn from_reader(reader: impl Read + Send + 'static, length: Option<u64>) -> Self {
        Self {
            bytes: SecretBytes::default(),
            reader: Some(Stream {
                reader: Box::new(reader),
                length,
            }),
        }
    }

    /// Returns the bytes of a body in memory; empty for a reader: see
    /// [`into_reader`](Self::into_reader).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.expose_secret()
    }

    /// Returns the number of bytes in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.expose_secret().len()
    }

    /// Returns the number of bytes, in memory or to be read; `None` if a reader's length is not
    /// known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match &self.reader {
            Some(stream) => stream.length,
            None => Some(self.bytes.expose_secret().len() as u64),
        }
    }

    /// Returns whether the body is empty, so that a request needs no body at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length() == Some(0)
    }

    /// Returns whether it is a reader.
    #[must_use]
    pub const fn is_reader(&self) -> bool {
        self.reader.is_some()
    }

    /// Returns a reader of the whole body, in memory or not. To take the body out of a request, use
    /// `std::mem::take(&mut request.body)`.
    #[must_use]
    pub fn into_reader(self) -> Box<dyn Read + Send> {
        match self.reader {
            Some(stream) => stream.reader,
            None => Box::new(Bytes {
                bytes: self.bytes,
                read: 0,
            }),
        }
    }

    /// Reads to the end, at most `limit` bytes, without leaving copies behind when the buffer
    /// grows.
    ///
    /// # Errors
    ///
    /// [`HttpError::TooLarge`] if there are more than `limit` bytes. An error of the reader becomes
    /// [`HttpError::Timeout`] or [`HttpError::Protocol`] if its kind says so, and otherwise
    /// [`HttpError::Interrupted`].
    pub fn read_from(mut reader: impl Read, limit: usize) -> Result<Self, HttpError> {
        // When a `Vec` grows, it frees the old buffer with the token still in it.
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(8 * 1024));
        let mut chunk = zeroize::Zeroizing::new([0_u8; 8 * 1024]);
        loop {
            let read = match reader.read(&mut chunk[..]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(error.kind())),
            };
            if bytes.len() + read > limit {
                return Err(HttpError::TooLarge);
            }
            if bytes.capacity() - bytes.len() < read {
                let mut grown = zeroize::Zeroizing::new(Vec::with_capacity(bytes.capacity() * 2));
                grown.extend_from_slice(&bytes);
                bytes = grown;
            }
            bytes.extend_from_slice(&chunk[..read]);
        }
        Ok(Self::from(std::mem::take(&mut *bytes)))
    }
}

/// Returns the error for a body that ended too early.
const fn broken(kind: io::ErrorKind) -> HttpError {
    match kind {
        io::ErrorKind::TimedOut => HttpError::Timeout,
        io::ErrorKind::InvalidData => HttpError::Protocol,
        _ => HttpError::Interrupted,
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes: SecretBytes::new(bytes),
            reader: None,
        }
    }
}

/// Bytes in memory, read like any other body.
struct Bytes {
    bytes: SecretBytes,
    read: usize,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = &self.bytes.expose_secret()[self.read..];
        let read = rest.read(buffer)?;
        self.read += read;
        Ok(read)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(length) => write!(f, "Body({length} bytes)"),
            None => f.write_str("Body(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_fits_and_refuses_one_byte_more() {
        let bytes = vec![7_u8; 20_000];
        assert_eq!(
            Body::read_from(&bytes[..], 20_000).unwrap().as_bytes(),
            &bytes[..]
        );
        let error = Body::read_from(&bytes[..], 19_999).unwrap_err();
        assert_eq!(error, HttpError::TooLarge);
    }

    #[test]
    fn debug_prints_the_length_alone() {
        assert_eq!(format!("{:?}", Body::from("access_token=tok")), "Body(16 bytes)");
        let reader = |length| Body::from_reader(&b"access_token=tok"[..], length);
        assert_eq!(format!("{:?}", reader(Some(16))), "Body(16 bytes)");
        assert_eq!(format!("{:?}", reader(None)), "Body(..)");
    }

    #[test]
    fn bytes_and_readers_are_read_alike() {
        for body in [Body::from("text"), Body::from_reader(&b"text"[..], Some(4))] {
            assert_eq!(body.length(), Some(4));
            let mut text = String::new();
            body.into_reader().read_to_string(&mut text).unwrap();
            assert_eq!(text, "text");
        }
        assert!(Body::empty().is_empty() && !Body::from_reader(&b""[..], None).is_empty());
    }
}
