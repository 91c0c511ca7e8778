//! The plaintext of sealed records: a list of fields, each as u32 length ‖ bytes.

use std::fmt;

use zeroize::Zeroizing;

use crate::vault::VaultError;
use crate::vault::envelope::MAX_SECRET_LEN;

/// The fields of an opened record. They are overwritten when dropped.
pub struct Fields {
    buffer: Zeroizing<Vec<u8>>,
    /// The position of the next field. The buffer also contains the header and the tag of the
    /// record.
    at: usize,
    /// The end of the plaintext.
    end: usize,
}

impl Fields {
    pub(super) const fn new(buffer: Zeroizing<Vec<u8>>, at: usize, end: usize) -> Self {
        Self { buffer, at, end }
    }

    /// Reads the next field.
    ///
    /// # Errors
    ///
    /// [`VaultError::Tampered`] if there is none.
    ///
    /// # Security
    ///
    /// The field is a secret. Move it into a secret type at once.
    pub fn expose_next(&mut self) -> Result<&[u8], VaultError> {
        let (from, to) = self.next_bounds()?;
        self.at = to;
        self.buffer.get(from..to).ok_or(VaultError::Tampered)
    }

    /// Reads the next field as text. Returns `None` if the field is empty, which is the encoding of
    /// an absent secret.
    ///
    /// # Errors
    ///
    /// [`VaultError::Tampered`] if there is none or it is not UTF-8.
    ///
    /// # Security
    ///
    /// As for [`expose_next`](Self::expose_next).
    pub fn expose_next_text(&mut self) -> Result<Option<&str>, VaultError> {
        let text = std::str::from_utf8(self.expose_next()?).map_err(|_| VaultError::Tampered)?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Returns the only field as text, in the buffer in which it was decrypted. No copy is made.
    ///
    /// # Errors
    ///
    /// [`VaultError::Tampered`] if there is no field, there are several, or the field is not UTF-8.
    ///
    /// # Security
    ///
    /// As for [`expose_next`](Self::expose_next).
    pub fn into_only_text(mut self) -> Result<Zeroizing<String>, VaultError> {
        let (from, to) = self.next_bounds()?;
        if to != self.end {
            return Err(VaultError::Tampered);
        }
        self.buffer.copy_within(from..to, 0);
        let len = to - from;
        // The bytes behind the text are overwritten before `truncate` makes them unreachable.
        if let Some(rest) = self.buffer.get_mut(len..) {
            rest.fill(0);
        }
        self.buffer.truncate(len);
        match String::from_utf8(std::mem::take(&mut self.buffer)) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(VaultError::Tampered)
            }
        }
    }

    /// Returns all fields that have not been read yet.
    ///
    /// # Errors
    ///
    /// [`VaultError::Tampered`] if the remaining bytes are not a list of fields.
    ///
    /// # Security
    ///
    /// As for [`expose_next`](Self::expose_next).
    pub fn expose_all(&self) -> Result<Vec<&[u8]>, VaultError> {
        let mut all = Vec::new();
        let mut at = self.at;
        while at < self.end {
            let (from, to) = self.bounds(at)?;
            all.push(self.buffer.get(from..to).ok_or(VaultError::Tampered)?);
            at = to;
        }
        Ok(all)
    }

    /// Returns whether every field has been read. Newer records can have more fields than older
    /// ones.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.at == self.end
    }

    /// Checks that every field has been read.
    ///
    /// # Errors
    ///
    /// [`VaultError::Tampered`] if not.
    pub fn finish(self) -> Result<(), VaultError> {
        if self.at == self.end {
            Ok(())
        } else {
            Err(VaultError::Tampered)
        }
    }

    fn next_bounds(&self) -> Result<(usize, usize), VaultError> {
        self.bounds(self.at)
    }

    fn bounds(&self, at: usize) -> Result<(usize, usize), VaultError> {
        let plaintext = self.buffer.get(..self.end).ok_or(VaultError::Tampered)?;
        let (len, rest) = plaintext
            .get(at..)
            .and_then(<[u8]>::split_first_chunk::<4>)
            .ok_or(VaultError::Tampered)?;
        let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| VaultError::Tampered)?;
        if len > rest.len() {
            return Err(VaultError::Tampered);
        }
        let from = at + 4;
        Ok((from, from + len))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fields([redacted])")
    }
}

/// Returns the length of the encoded fields.
pub(super) fn encoded_len(fields: &[&[u8]]) -> Result<usize, VaultError> {
    let mut total = 0_usize;
    for field in fields {
        total = total.saturating_add(field.len());
    }
    if total > MAX_SECRET_LEN {
        return Err(VaultError::TooLarge);
    }
    Ok(total + 4 * fields.len())
}

/// Appends the encoded fields to a buffer, which must have enough capacity: reallocating it would
/// leave plaintext in freed memory.
pub(super) fn encode(fields: &[&[u8]], buffer: &mut Vec<u8>) -> Result<(), VaultError> {
    for field in fields {
        let len = u32::try_from(field.len()).map_err(|_| VaultError::TooLarge)?;
        buffer.extend_from_slice(&len.to_be_bytes());
        buffer.extend_from_slice(field);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(bytes: &[u8]) -> Fields {
        Fields::new(Zeroizing::new(bytes.to_vec()), 0, bytes.len())
    }

    #[test]
    fn fields_come_back_in_order() {
        let mut buffer = Vec::new();
        encode(&[b"one", b"", b"three"], &mut buffer).unwrap();
        assert_eq!(buffer.len(), encoded_len(&[b"one", b"", b"three"]).unwrap());
        let mut fields = opened(&buffer);
        assert_eq!(fields.expose_next_text().unwrap(), Some("one"));
        assert_eq!(fields.expose_next_text().unwrap(), None);
        assert_eq!(fields.expose_next().unwrap(), b"three");
        assert!(fields.expose_next().is_err());
        assert!(fields.finish().is_ok());
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        assert!(opened(&[0, 0, 0]).expose_next().is_err());
        assert!(opened(&[0, 0, 0, 2, 1]).expose_next().is_err());
        assert!(opened(&[255, 255, 255, 255, 1]).expose_next().is_err());
        assert!(opened(&[0, 0, 0, 1, 0xff]).expose_next_text().is_err());
        assert!(opened(&[0, 0, 0, 1, 0xff]).into_only_text().is_err());
        assert!(opened(&[0, 0, 0, 1, b'a', 0]).into_only_text().is_err());
        assert!(opened(&[0]).finish().is_err());
        assert_eq!(
            opened(&[0, 0, 0, 1, b'a']).into_only_text().unwrap().as_str(),
            "a"
        );
    }

    #[test]
    fn sixty_four_kibibytes_and_not_one_more() {
        let most = vec![b'a'; MAX_SECRET_LEN];
        assert!(encoded_len(&[&most]).is_ok());
        assert!(matches!(encoded_len(&[&most, b"a"]), Err(VaultError::TooLarge)));
    }
}
