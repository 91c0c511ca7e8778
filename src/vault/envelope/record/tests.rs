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

const KINDS: [Kind; 5] = [
    Kind::AccessToken,
    Kind::Rest,
    Kind::Consent,
    Kind::RevocationAccess,
    Kind::RevocationRest,
];

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

/// Seals in format 1, as schemas 1 and 2 did.
fn seal_format_1(key: &DataKey, context: &Context<'_>, secrets: &[&[u8]], nonce: [u8; 12]) -> Vec<u8> {
    key.seal_bound(
        FORMAT_1,
        |header| context.encode(FORMAT_1, header),
        secrets,
        nonce,
    )
    .unwrap()
}

/// The expected bytes were computed from the documented format with another implementation of
/// AES-GCM and HKDF (Python's `cryptography`).
#[test]
fn format_1_is_what_schemas_1_and_2_wrote() {
    const NONCE: [u8; 12] = [100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111];
    let mut parts = Parts::new();
    let key = counting_key(7);
    let record = seal_format_1(&key, &parts.context(), &[b"refresh-1", b""], NONCE);
    assert_eq!(
        hex(&record),
        "01000000076465666768696a6b6c6d6e6f481bde6f0b8c30ec5b1137c5eb656afd425081a44b17219c12974439b61748156c"
    );
    parts.owner = None;
    let shared = Context {
        kind: Kind::AccessToken,
        generation: 1,
        ..parts.context()
    };
    assert_eq!(
        hex(&seal_format_1(&key, &shared, &[b"at"], NONCE)),
        "01000000076465666768696a6b6c6d6e6f481bde64189deee8abfd9ac904c05db90278f2a57ade"
    );

    let master = MasterKey::new(Box::new(Zeroizing::new([1; 32])));
    assert_eq!(hex(master.id()), "e1c68a5b2734a58edf57befe152db14e");
    let wrapped: Vec<u8> = [
        "01e1c68a5b2734a58edf57befe152db14e6465666768696a6b6c6d6e6fa6f7cadac36860f8972a",
        "1c87a0f565d6223196c1ba52df61a3380a209b3336d3d291686a7eeb5d998b9c1ce6018f1b0a",
    ]
    .concat()
    .as_bytes()
    .chunks(2)
    .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
    .collect();
    let vault = VaultId::from_bytes([9; 16]);
    let unwrapped = DataKey::unwrap(&wrapped, &MasterKeys::from(master), vault, &parts.tenant, 7).unwrap();
    let mut fields = unwrapped.open_format_1(&Parts::new().context(), record).unwrap();
    assert_eq!(fields.expose_next_text().unwrap(), Some("refresh-1"));
    assert_eq!(fields.expose_next_text().unwrap(), None);
    fields.finish().unwrap();
}

#[test]
fn a_record_opens_in_its_own_format_only() {
    let parts = Parts::new();
    let key = counting_key(1);
    // A context without a route differs from one of format 1 by the domain and the empty route.
    for route in [&b""[..], b"route"] {
        let context = Context {
            route,
            ..parts.context()
        };
        let old = seal_format_1(&key, &context, &[b"secret-token"], [7; 12]);
        let new = key.seal(&context, &[b"secret-token"]).unwrap();
        assert_eq!((old[0], new[0]), (1, 2));
        assert!(key.open_format_1(&context, old.clone()).is_ok());
        assert!(key.open(&context, new.clone()).is_ok());

        let as_new = [&[2], &old[1..]].concat();
        let as_old = [&[1], &new[1..]].concat();
        for record in [&old, &as_new, &as_old] {
            let opened = key.open(&context, record.clone());
            assert!(matches!(opened, Err(VaultError::Tampered)), "{}", record[0]);
        }
        for record in [&new, &as_new, &as_old] {
            let opened = key.open_format_1(&context, record.clone());
            assert!(matches!(opened, Err(VaultError::Tampered)), "{}", record[0]);
        }
    }
}

#[test]
fn a_record_of_an_unknown_format_names_no_version() {
    let parts = Parts::new();
    let key = counting_key(7);
    let sealed = key.seal(&parts.context(), &[b"secret-token"]).unwrap();
    for format in 0..=u8::MAX {
        let record = [&[format], &sealed[1..]].concat();
        let version = DataKey::version_of(&record);
        match format {
            1 | 2 => assert_eq!(version.unwrap(), 7),
            _ => assert!(matches!(version, Err(VaultError::Tampered)), "format {format}"),
        }
        assert_eq!(
            key.open(&parts.context(), record).is_ok(),
            format == 2,
            "format {format}"
        );
    }
}

/// Format 1 differs only in the domain and the route: there is no other path through the cipher.
#[test]
fn format_1_ignores_the_route() {
    let parts = Parts::new();
    let key = counting_key(1);
    let old = seal_format_1(&key, &parts.context(), &[b"secret-token"], [7; 12]);
    let elsewhere = Context {
        route: b"another route",
        ..parts.context()
    };
    assert!(key.open_format_1(&elsewhere, old).is_ok());
}

fn assert_every_flipped_bit_is_refused(sealed: &[u8], open: impl Fn(Vec<u8>) -> Result<Fields, VaultError>) {
    assert!(open(sealed.to_vec()).is_ok());
    for bit in 0..sealed.len() * 8 {
        let mut bad = sealed.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(open(bad), Err(VaultError::Tampered)), "bit {bit}");
    }
}

#[test]
fn promise_03_every_flipped_bit_is_refused() {
    let parts = Parts::new();
    let context = parts.context();
    let key = counting_key(1);
    let secrets: [&[u8]; 2] = [b"secret-token", b"id-token"];
    assert_every_flipped_bit_is_refused(&key.seal(&context, &secrets).unwrap(), |record| {
        key.open(&context, record)
    });
    assert_every_flipped_bit_is_refused(&seal_format_1(&key, &context, &secrets, [7; 12]), |record| {
        key.open_format_1(&context, record)
    });
    let body = key
        .seal_audit(context.vault, context.tenant, 5, &secrets, [7; 12])
        .unwrap();
    assert_every_flipped_bit_is_refused(&body, |body| {
        key.open_audit(context.vault, context.tenant, 5, body)
    });
}

#[test]
fn promise_04_every_flipped_bit_of_a_route_is_refused() {
    let parts = Parts::new();
    let key = counting_key(1);
    let sealed = key.seal(&parts.context(), &[b"secret-token"]).unwrap();
    let opens = |route: &[u8]| {
        let context = Context {
            route,
            ..parts.context()
        };
        key.open(&context, sealed.clone()).is_ok()
    };
    assert!(opens(b"route"));
    for bit in 0..b"route".len() * 8 {
        let mut other = b"route".to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!opens(&other), "bit {bit}");
    }
    for other in [&b""[..], b"rout", b"oute", b"route\0", b"\0route", b"routeroute"] {
        assert!(!opens(other), "{other:?}");
    }
}

#[test]
fn promise_04_a_body_of_the_audit_opens_at_its_own_number_only() {
    let (acme, other) = (tenant("acme"), tenant("acm"));
    let (here, there) = (VaultId::from_bytes([9; 16]), VaultId::from_bytes([8; 16]));
    let key = counting_key(1);
    let body = key.seal_audit(here, &acme, 5, &[b"alice"], [7; 12]).unwrap();
    assert!(key.open_audit(here, &acme, 5, body.clone()).is_ok());
    for (vault, tenant, number) in [(there, &acme, 5), (here, &other, 5), (here, &acme, 6)] {
        let opened = key.open_audit(vault, tenant, number, body.clone());
        assert!(matches!(opened, Err(VaultError::Tampered)), "{tenant:?} {number}");
    }
    let parts = Parts::new();
    assert!(key.open(&parts.context(), body.clone()).is_err());
    assert!(key.open_format_1(&parts.context(), body).is_err());
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
    // `gmai` + `l…` and `acme` + `alice`, shifted over a boundary, must not have the same encoding.
    let (tenants, providers) = (
        [tenant("acme"), tenant("acmea")],
        [provider("gmail"), provider("gmai")],
    );
    let mut contexts = Vec::new();
    for kind in KINDS {
        for vault in [[9; 16], [8; 16]] {
            for tenant in &tenants {
                for owner in [Some(&alice), Some(&bob), None] {
                    for provider in &providers {
                        for id in [&[5; 16], &[6; 16]] {
                            for generation in [3, 4] {
                                for route in [&b"route"[..], b"routes"] {
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
