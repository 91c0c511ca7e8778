//! The additional data of seals and the message of MACs: an encoding of everything that is bound or
//! signed.

/// The domain that begins every encoding except those of sealed records in format 2.
const DOMAIN: &[u8] = b"valetkey/1";

/// The domain of sealed records in format 1.
pub(super) const DOMAIN_1: &[u8] = DOMAIN;
/// The domain of sealed records in format 2.
pub(super) const DOMAIN_2: &[u8] = b"valetkey/2";

/// Encodes the domain and the parts, each as u32 length ‖ bytes. Two different lists of parts never
/// have the same encoding.
pub(super) fn encode(parts: &[&[u8]]) -> Vec<u8> {
    let mut aad =
        Vec::with_capacity(parts.iter().map(|part| 4 + part.len()).sum::<usize>() + 4 + DOMAIN.len());
    push(&mut aad, &[DOMAIN]);
    for part in parts {
        push(&mut aad, &[part]);
    }
    aad
}

/// Encodes parts as [`encode`] does, under the given domain and with one additional part in the
/// middle, which consists of a tag byte and `tagged`.
pub(super) fn encode_around(
    domain: &[u8],
    before: &[&[u8]],
    tag: u8,
    tagged: &[u8],
    after: &[&[u8]],
) -> Vec<u8> {
    let len = |parts: &[&[u8]]| parts.iter().map(|part| 4 + part.len()).sum::<usize>();
    let mut aad = Vec::with_capacity(4 + domain.len() + len(before) + 5 + tagged.len() + len(after));
    push(&mut aad, &[domain]);
    for part in before {
        push(&mut aad, &[part]);
    }
    push(&mut aad, &[&[tag], tagged]);
    for part in after {
        push(&mut aad, &[part]);
    }
    aad
}

fn push(aad: &mut Vec<u8>, pieces: &[&[u8]]) {
    let len = pieces.iter().map(|piece| piece.len()).sum::<usize>();
    // The longest part is a route of a few kilobytes, so its length always fits.
    aad.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    for piece in pieces {
        aad.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delimiter_like() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(
            prop_oneof![Just(0_u8), Just(1), Just(4), Just(b'/'), Just(b':'), Just(b'a')],
            0..9,
        )
    }

    proptest! {
        #[test]
        fn promise_04_different_parts_never_encode_alike(
            left in prop::collection::vec(delimiter_like(), 0..5),
            right in prop::collection::vec(delimiter_like(), 0..5),
        ) {
            let encoded = |parts: &[Vec<u8>]| encode(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert_eq!(encoded(&left) == encoded(&right), left == right);
        }

        #[test]
        fn the_encoding_can_be_read_back(parts in prop::collection::vec(delimiter_like(), 0..6)) {
            let aad = encode(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let mut rest = aad.as_slice();
            let mut read = Vec::new();
            while !rest.is_empty() {
                let len = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
                read.push(rest[4..4 + len].to_vec());
                rest = &rest[4 + len..];
            }
            prop_assert_eq!(&read[0], DOMAIN);
            prop_assert_eq!(&read[1..], parts.as_slice());
        }
    }

    #[test]
    fn no_allocation_beyond_the_exact_length() {
        let aad = encode(&[b"one", b"", b"three"]);
        assert_eq!(aad.capacity(), aad.len());
        let aad = encode_around(DOMAIN, &[b"one"], 1, b"two", &[b"three"]);
        assert_eq!(aad.capacity(), aad.len());
        assert_eq!(aad, encode(&[b"one", b"\x01two", b"three"]));
    }
}
