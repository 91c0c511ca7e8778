use super::*;
use crate::vault::envelope::{MasterKey, MasterKeys};

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn provider(name: &str) -> ProviderId {
    ProviderId::new(name).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn counting_key(version: u32) -> DataKey {
    let mut bytes = Box::new(Zeroizing::new([0; 32]));
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::try_from(at).unwrap();
    }
    DataKey::new(version, bytes)
}

struct Parts {
    tenant: TenantId,
    owner: Option<UserId>,
    provider: ProviderId,
}

impl Parts {
    fn new() -> Self {
        Self {
            tenant: tenant("acme"),
            owner: Some(user("alice")),
            provider: provider("gmail"),
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            kind: Kind::Rest,
            vault: VaultId::from_bytes([9; 16]),
            tenant: &self.tenant,
            owner: self.owner.as_ref(),
            provider: &self.provider,
            id: &[5; 16],
            generation: 3,
            route: b"route",
        }
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The expected bytes were computed from the documented format with another implementation of AES-GCM and HKDF
/// (Python's `cryptography`).
#[test]
fn the_format_is_what_the_documentation_says() {
    const NONCE: [u8; 12] = [100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111];
    let mut parts = Parts::new();
    let key = counting_key(7);
    let record = key
        .seal_with_nonce(&parts.context(), &[b"refresh-1", b""], NONCE)
        .unwrap();
    assert_eq!(
        hex(&record),
        "02000000076465666768696a6b6c6d6e6f481bde6f0b8c30ec5b1137c5eb656afd42d398b5bffa72b3ebd2571c1509548d98"
    );
    parts.owner = None;
    let shared = Context {
        kind: Kind::AccessToken,
        generation: 1,
        ..parts.context()
    };
    assert_eq!(
        hex(&key.seal_with_nonce(&shared, &[b"at"], NONCE).unwrap()),
        "02000000076465666768696a6b6c6d6e6f481bde64189d363184d7bb2e7ae77f37bce04a1ef9eb"
    );

    let master = MasterKey::new(Box::new(Zeroizing::new([1; 32])));
    assert_eq!(hex(master.id()), "e1c68a5b2734a58edf57befe152db14e");
    let wrapped = [
        "01e1c68a5b2734a58edf57befe152db14e6465666768696a6b6c6d6e6fa6f7cadac36860f8972a",
        "1c87a0f565d6223196c1ba52df61a3380a209b3336d3d291686a7eeb5d998b9c1ce6018f1b0a",
    ]
    .concat();
    let wrapped = unhex(&wrapped);
    let vault = VaultId::from_bytes([9; 16]);
    let unwrapped = DataKey::unwrap(&wrapped, &MasterKeys::from(master), vault, &parts.tenant, 7).unwrap();
    let mut fields = unwrapped.open(&Parts::new().context(), record).unwrap();
    assert_eq!(fields.expose_next_text().unwrap(), Some("refresh-1"));
    assert_eq!(fields.expose_next_text().unwrap(), None);
    fields.finish().unwrap();
}

/// The bytes are what the last version wrote that had no route. The route of the context does not count.
#[test]
fn a_record_of_format_1_opens_only_where_it_is_expected() {
    let record = unhex(
        "01000000076465666768696a6b6c6d6e6f481bde6f0b8c30ec5b1137c5eb656afd425081a44b17219c12974439b61748156c",
    );
    let (parts, key) = (Parts::new(), counting_key(7));
    let mut fields = key.open_format_1(&parts.context(), record.clone()).unwrap();
    assert_eq!(fields.expose_next_text().unwrap(), Some("refresh-1"));
    assert!(key.open(&parts.context(), record).is_err());
    let sealed = key.seal(&parts.context(), &[b"refresh-1"]).unwrap();
    assert!(key.open_format_1(&parts.context(), sealed).is_err());
}

#[test]
fn promise_03_every_flipped_bit_is_refused() {
    let parts = Parts::new();
    let key = counting_key(1);
    let sealed = key
        .seal(&parts.context(), &[b"secret-token", b"id-token"])
        .unwrap();
    assert!(key.open(&parts.context(), sealed.clone()).is_ok());
    for bit in 0..sealed.len() * 8 {
        let mut bad = sealed.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(
            matches!(key.open(&parts.context(), bad), Err(VaultError::Tampered)),
            "bit {bit}"
        );
    }
}

#[test]
fn promise_03_every_truncation_and_extension_is_refused() {
    let parts = Parts::new();
    let key = counting_key(1);
    let sealed = key.seal(&parts.context(), &[b"secret-token"]).unwrap();
    for len in 0..sealed.len() {
        assert!(
            matches!(
                key.open(&parts.context(), sealed[..len].to_vec()),
                Err(VaultError::Tampered)
            ),
            "{len} bytes"
        );
        assert!(key.open(&parts.context(), sealed[len + 1..].to_vec()).is_err());
    }
    for more in 1..=64 {
        for filler in [0, 0xff] {
            let mut bad = sealed.clone();
            bad.resize(sealed.len() + more, filler);
            assert!(
                matches!(key.open(&parts.context(), bad), Err(VaultError::Tampered)),
                "{more} more"
            );
        }
    }
    assert!(key.open(&parts.context(), vec![1; 1 << 20]).is_err());
}

#[test]
fn promise_04_a_record_opens_at_its_own_place_only() {
    let names = Parts::new();
    let (alice, bob) = (user("alice"), user("bob"));
    // `gmai` + `l…` and `acme` + `alice` shifted over a boundary must not read alike.
    let (tenants, providers) = (
        [tenant("acme"), tenant("acmea")],
        [provider("gmail"), provider("gmai")],
    );
    let mut contexts = Vec::new();
    for kind in [Kind::AccessToken, Kind::Rest, Kind::Consent] {
        for vault in [[9; 16], [8; 16]] {
            for tenant in &tenants {
                for owner in [Some(&alice), Some(&bob), None] {
                    for provider in &providers {
                        for id in [&[5; 16], &[6; 16]] {
                            for (generation, route) in [(3, b"a"), (4, b"a"), (3, b"b")] {
                                contexts.push(Context {
                                    kind,
                                    vault: VaultId::from_bytes(vault),
                                    tenant,
                                    owner,
                                    provider,
                                    id,
                                    generation,
                                    route,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
    let key = counting_key(1);
    for (at, context) in contexts.iter().enumerate() {
        let sealed = key.seal(context, &[b"secret-token"]).unwrap();
        for (there, other) in contexts.iter().enumerate() {
            assert_eq!(
                key.open(other, sealed.clone()).is_ok(),
                at == there,
                "{context:?} in {other:?}"
            );
        }
    }
    assert!(
        counting_key(2)
            .open(
                &names.context(),
                key.seal(&names.context(), &[b"secret-token"]).unwrap()
            )
            .is_err(),
        "another version of the same key"
    );
}

#[test]
fn sixty_four_kibibytes_fit() {
    let parts = Parts::new();
    let key = counting_key(1);
    let most = vec![b'a'; MAX_SECRET_LEN];
    let sealed = key.seal(&parts.context(), &[&most]).unwrap();
    assert_eq!(
        sealed.capacity(),
        sealed.len(),
        "a buffer that grows leaves plaintext behind"
    );
    let text = key
        .open(&parts.context(), sealed)
        .unwrap()
        .into_only_text()
        .unwrap();
    assert_eq!(text.as_bytes(), most);
    assert!(matches!(
        key.seal(&parts.context(), &[&most, b"a"]),
        Err(VaultError::TooLarge)
    ));
}

#[test]
fn promise_06_nonces_are_not_repeated() {
    let parts = Parts::new();
    let key = counting_key(1);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1_000 {
        let sealed = key.seal(&parts.context(), &[b"x"]).unwrap();
        assert!(seen.insert(sealed[HEADER_LEN..SEALED_FROM].to_vec()));
    }
}
