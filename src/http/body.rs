//! A body that is wiped when dropped.

use std::fmt;
use std::io::{self, Read};

use crate::secret::SecretBytes;

/// The answer is longer than its reader allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is larger than allowed")]
pub struct TooLarge;

/// The body of a request or a response. Wiped when dropped; `Debug` prints its length alone.
#[derive(Default)]
pub struct Body(SecretBytes);

impl Body {
    /// An empty body.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads to the end, at most `limit` bytes, leaving no copy behind when the buffer grows.
    ///
    /// # Errors
    ///
    /// The reader's error, or one with [`TooLarge`] inside if more than `limit` bytes come.
    pub fn read_from(mut reader: impl Read, limit: usize) -> io::Result<Self> {
        // `Vec` grows by moving: the old buffer would go back to the allocator with the token in it.
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(8 * 1024));
        let mut chunk = zeroize::Zeroizing::new([0_u8; 8 * 1024]);
        loop {
            let read = match reader.read(&mut chunk[..]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if bytes.len() + read > limit {
                return Err(io::Error::other(TooLarge));
            }
            if bytes.capacity() - bytes.len() < read {
                let mut grown = zeroize::Zeroizing::new(Vec::with_capacity(bytes.capacity() * 2));
                grown.extend_from_slice(&bytes);
                bytes = grown;
            }
            bytes.extend_from_slice(&chunk[..read]);
        }
        Ok(Self(SecretBytes::new(std::mem::take(&mut *bytes))))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(SecretBytes::new(bytes))
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
        write!(f, "Body({} bytes)", self.len())
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
        assert!(error.get_ref().is_some_and(|inner| inner.is::<TooLarge>()));
    }

    #[test]
    fn debug_prints_the_length_alone() {
        assert_eq!(format!("{:?}", Body::from("access_token=tok")), "Body(16 bytes)");
    }
}
