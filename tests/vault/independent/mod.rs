//! Another implementation, written from the documented format alone, opens the records that this
//! crate seals, and vice versa.

mod answers;
#[cfg(feature = "sqlite")]
mod file;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use valetkey::internals::vault::envelope::{Context, DataKey, Fields, Kind, VaultId, check_value};
use valetkey::model::{ProviderId, TenantId, UserId};
use valetkey::vault::MasterKey;

use crate::support::format;

fn master_key(secret: &format::Key) -> MasterKey {
    MasterKey::from_base64(&STANDARD.encode(secret)).unwrap()
}

fn kind(name: &str) -> Kind {
    match name {
        "access_token" => Kind::AccessToken,
        "rest" => Kind::Rest,
        "consent" => Kind::Consent,
        "revocation_access" => Kind::RevocationAccess,
        "revocation_rest" => Kind::RevocationRest,
        _ => panic!("no kind is called {name}"),
    }
}

/// A place with checked names.
struct Names {
    tenant: TenantId,
    owner: Option<UserId>,
    provider: ProviderId,
}

impl Names {
    fn of(place: &format::Place<'_>) -> Self {
        Self {
            tenant: TenantId::new(place.tenant).unwrap(),
            owner: place.owner.map(|owner| UserId::new(owner).unwrap()),
            provider: ProviderId::new(place.provider).unwrap(),
        }
    }

    fn context<'a>(&'a self, place: &'a format::Place<'_>) -> Context<'a> {
        Context {
            kind: kind(place.kind),
            vault: VaultId::from_bytes(place.vault),
            tenant: &self.tenant,
            owner: self.owner.as_ref(),
            provider: &self.provider,
            id: &place.id,
            generation: place.generation,
            route: place.route,
        }
    }
}

/// Returns the crate's data key with these bytes. The crate accepts only wrapped keys from outside.
fn data_key(secret: &format::Key, version: u32) -> DataKey {
    let wrapped = format::wrap(&[1; 32], [2; 16], "acme", version, [3; 12], secret);
    let tenant = TenantId::new("acme").unwrap();
    let keys = master_key(&[1; 32]).into();
    DataKey::unwrap(&wrapped, &keys, VaultId::from_bytes([2; 16]), &tenant, version).unwrap()
}

fn read(mut fields: Fields, count: usize) -> Vec<Vec<u8>> {
    let read = (0..count)
        .map(|_| fields.expose_next().unwrap().to_vec())
        .collect();
    fields.finish().unwrap();
    read
}

/// The characters that are allowed in a name.
const NAME: &str = "[^\\p{C}\\p{Zl}\\p{Zp}]{1,40}";

const KINDS: [&str; 5] = [
    "access_token",
    "rest",
    "consent",
    "revocation_access",
    "revocation_rest",
];

/// A place that owns its parts.
#[derive(Debug, Clone)]
struct AnyPlace {
    kind: &'static str,
    vault: [u8; 16],
    tenant: String,
    owner: Option<String>,
    id: [u8; 16],
    generation: u64,
    route: Vec<u8>,
}

impl AnyPlace {
    fn place(&self) -> format::Place<'_> {
        format::Place {
            kind: self.kind,
            vault: self.vault,
            tenant: &self.tenant,
            owner: self.owner.as_deref(),
            provider: "gmail",
            id: self.id,
            generation: self.generation,
            route: &self.route,
        }
    }
}

prop_compose! {
    fn places()(
        kind in prop::sample::select(&KINDS[..]),
        vault in any::<[u8; 16]>(),
        tenant in NAME,
        owner in prop::option::of(NAME),
        id in any::<[u8; 16]>(),
        generation in any::<u64>(),
        route in prop::collection::vec(any::<u8>(), 0..300),
    ) -> AnyPlace {
        AnyPlace { kind, vault, tenant, owner, id, generation, route }
    }
}

fn secrets() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..16)
}

proptest! {
    #[test]
    fn records_open_here_and_there(
        place in places(),
        secret in any::<format::Key>(),
        version in any::<u32>(),
        nonce in any::<format::Nonce>(),
        fields in secrets(),
    ) {
        let place = place.place();
        let names = Names::of(&place);
        let context = names.context(&place);
        let key = data_key(&secret, version);
        let ours = key.seal(&context, &fields.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        let plaintext = format::open(&secret, version, &place, &ours);
        prop_assert!(plaintext == Some(format::join(&fields)), "sealed here, not opened there");
        let theirs = format::seal(&secret, version, &place, nonce, &format::join(&fields));
        let opened = key.open(&context, theirs.clone());
        prop_assert!(opened.is_ok_and(|opened| read(opened, fields.len()) == fields), "sealed there, not opened here");
        prop_assert!(key.open_format_1(&context, theirs).is_err(), "opened in another format");
    }

    #[test]
    fn records_of_format_1_open_in_the_migration_only(
        place in places(),
        secret in any::<format::Key>(),
        version in any::<u32>(),
        nonce in any::<format::Nonce>(),
        fields in secrets(),
    ) {
        let place = place.place();
        let names = Names::of(&place);
        let context = names.context(&place);
        let key = data_key(&secret, version);
        let theirs = format::seal_format_1(&secret, version, &place, nonce, &format::join(&fields));
        let opened = key.open_format_1(&context, theirs.clone());
        prop_assert!(opened.is_ok_and(|opened| read(opened, fields.len()) == fields), "sealed there, not opened here");
        prop_assert!(key.open(&context, theirs).is_err(), "opened in another format");
    }

    #[test]
    fn bodies_of_the_audit_open_here_and_there(
        (vault, tenant, number) in (any::<[u8; 16]>(), NAME, any::<u64>()),
        secret in any::<format::Key>(),
        version in any::<u32>(),
        nonce in any::<format::Nonce>(),
        fields in secrets(),
    ) {
        let (vault_id, name) = (VaultId::from_bytes(vault), TenantId::new(tenant.as_str()).unwrap());
        let key = data_key(&secret, version);
        let slices = fields.iter().map(Vec::as_slice).collect::<Vec<_>>();
        let ours = key.seal_audit(vault_id, &name, number, &slices, nonce).unwrap();
        let plaintext = format::open_audit(&secret, version, (vault, &tenant, number), &ours);
        prop_assert!(plaintext == Some(format::join(&fields)), "sealed here, not opened there");
        let theirs =
            format::seal_audit(&secret, version, (vault, &tenant, number), nonce, &format::join(&fields));
        let opened = key.open_audit(vault_id, &name, number, theirs);
        prop_assert!(opened.is_ok_and(|opened| read(opened, fields.len()) == fields), "sealed there, not opened here");
    }

    #[test]
    fn macs_of_rows_agree(secret in any::<format::Key>(), parts in secrets()) {
        let parts = parts.iter().map(Vec::as_slice).collect::<Vec<_>>();
        let key = data_key(&secret, u32::MAX).row_key();
        let mac = format::row_mac(&secret, &parts);
        prop_assert!(key.sign(&parts) == mac);
        prop_assert!(key.verify(&parts, &mac).is_ok());
    }

    #[test]
    fn wrapped_keys_open_here_and_there(
        master in any::<format::Key>(),
        vault in any::<[u8; 16]>(),
        tenant in NAME,
        version in any::<u32>(),
        secret in any::<format::Key>(),
        nonce in any::<format::Nonce>(),
    ) {
        let keys = master_key(&master).into();
        let vault_id = VaultId::from_bytes(vault);
        let name = TenantId::new(tenant.as_str()).unwrap();
        let place = format::Place {
            kind: "rest", vault, tenant: &tenant, owner: None, provider: "gmail", id: [1; 16], generation: 1, route: &[],
        };
        let names = Names::of(&place);

        let ours = DataKey::generate(version).unwrap();
        let wrapped = ours.wrap(&keys, vault_id, &name).unwrap();
        let unwrapped = format::unwrap(&master, vault, &tenant, version, &wrapped);
        prop_assert!(unwrapped.is_some(), "wrapped here, not unwrapped there");
        // The keys are equal, not only their lengths.
        let record = ours.seal(&names.context(&place), &[b"token"]).unwrap();
        let opened = format::open(&unwrapped.unwrap(), version, &place, &record);
        prop_assert!(opened.is_some_and(|opened| format::split(&opened) == Some(vec![b"token".to_vec()])));

        let theirs = format::wrap(&master, vault, &tenant, version, nonce, &secret);
        let unwrapped = DataKey::unwrap(&theirs, &keys, vault_id, &name, version);
        prop_assert!(unwrapped.is_ok(), "wrapped there, not unwrapped here");
        let record = format::seal(&secret, version, &place, nonce, &format::join(&[b"token"]));
        prop_assert!(unwrapped.unwrap().open(&names.context(&place), record).is_ok());
    }

    #[test]
    fn names_and_check_values_of_master_keys_agree(master in any::<format::Key>(), vault in any::<[u8; 16]>()) {
        let key = master_key(&master);
        prop_assert!(*key.id() == format::derive::<16>(&master, "id"));
        prop_assert!(check_value(&key, VaultId::from_bytes(vault)) == format::check_value(&master, vault));
    }
}
