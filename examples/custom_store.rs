//! A vault in a host's own database.
//!
//! `cargo run --example custom_store`
//!
//! The crate provides the rules, the keys and the encryption. A host implements two small traits
//! over its database: `Store` runs transactions, `Transaction` reads and writes keys and values.
//! The database of this example is a file to which every transaction is appended. It is read once,
//! when it is opened:
//!
//! ```text
//! file   = "vkstore1" batch*                                  one batch for each transaction
//! batch  = length (u32) ‖ SHA-256 of the changes ‖ changes
//! change = 1 ‖ length (u32) ‖ key ‖ length (u32) ‖ value      the key has this value
//!        | 0 ‖ length (u32) ‖ key                             the key is deleted
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use valetkey::testing::{Sandbox, vault_contract};
use valetkey::vault::{MasterKey, SealedVault, Store, Transaction, VaultError};
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Resolver};

type Values = BTreeMap<Vec<u8>, Vec<u8>>;
/// The changes of one transaction: a new value, or `None` where the key is deleted.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;
type Work<'a> = &'a mut dyn FnMut(&mut dyn Transaction) -> Result<(), VaultError>;
const MAGIC: &[u8] = b"vkstore1";

/// A store in a file that only one process has open. Transactions run one at a time.
#[derive(Debug)]
struct LogStore(Mutex<Log>);

#[derive(Debug)]
struct Log {
    file: File,
    /// The end of the last complete batch.
    end: u64,
    values: Values,
}

impl LogStore {
    fn open(path: &Path) -> Result<Self, VaultError> {
        let (file, bytes) = read_or_create(path).map_err(VaultError::storage)?;
        let (values, end) = replay(&bytes)?;
        Ok(Self(Mutex::new(Log { file, end, values })))
    }
}

fn read_or_create(path: &Path) -> io::Result<(File, Vec<u8>)> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(path)?;
    file.try_lock()?;
    let mut bytes = fs::read(path)?;
    if bytes.len() < MAGIC.len() && MAGIC.starts_with(&bytes) {
        // The file is new, or its creation was interrupted.
        file.write_all(MAGIC).and_then(|()| file.sync_all())?;
        bytes = MAGIC.to_vec();
        #[cfg(unix)] // A new file's name is durable once its directory is synchronized.
        File::open(path.parent().unwrap_or(path))?.sync_all()?;
    }
    Ok((file, bytes))
}

impl Store for LogStore {
    fn read(&self, work: Work<'_>) -> Result<(), VaultError> {
        self.write(work) // A transaction that changes nothing appends nothing.
    }

    fn write(&self, work: Work<'_>) -> Result<(), VaultError> {
        // A panic in `work` poisons the lock, but it happens before anything changes.
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (values, changes) = (&log.values, Changes::new());
        let mut pending = Pending { values, changes };
        // An error drops the changes here: nothing else has seen them.
        work(&mut pending)?;
        let changes = pending.changes;
        if !changes.is_empty() {
            log.append(&encode(&changes)?).map_err(VaultError::storage)?;
            apply(&mut log.values, changes);
        }
        Ok(())
    }

    /// The file keeps every value that was ever written, and the result says so. A database that
    /// can overwrite or drop former values does it here and returns `true` once none is left.
    fn erase_residue(&self) -> Result<bool, VaultError> {
        Ok(false)
    }
}

impl Log {
    /// Appends a batch. After `Ok` it is durable as a whole; after an error it is removed.
    fn append(&mut self, batch: &[u8]) -> io::Result<()> {
        // Cuts off an unfinished batch, of this process or of one that crashed.
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        let written = self.file.write_all(batch).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.end += batch.len() as u64,
            Err(_) => self.file.set_len(self.end).and_then(|()| self.file.sync_all())?,
        }
        written
    }
}

/// A transaction: the values at its beginning, and its own changes on top.
struct Pending<'a> {
    values: &'a Values,
    changes: Changes,
}

impl Transaction for Pending<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        let changed = self.changes.get(key).cloned();
        Ok(changed.unwrap_or_else(|| self.values.get(key).cloned()))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), VaultError> {
        self.changes.insert(key.to_vec(), Some(value.to_vec()));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), VaultError> {
        self.changes.insert(key.to_vec(), None);
        Ok(())
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>, VaultError> {
        let range = from.to_vec()..to.max(from).to_vec();
        let changes = self.changes.range(range.clone());
        // Every change may delete one of the values, so one more is read for each.
        let enough = limit.saturating_add(changes.clone().count());
        let values = self.values.range(range).take(enough);
        let mut found: BTreeMap<_, _> = values.map(|(key, value)| (key, Some(value))).collect();
        found.extend(changes.map(|(key, value)| (key, value.as_ref())));
        let kept = found.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let kept = kept.map(|(key, value)| (key.clone(), value.clone()));
        Ok(kept.take(limit).collect())
    }
}

fn apply(values: &mut Values, changes: Changes) {
    for (key, value) in changes {
        values.remove(&key);
        values.extend(value.map(|value| (key, value)));
    }
}

fn encode(changes: &Changes) -> Result<Vec<u8>, VaultError> {
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| VaultError::TooLarge);
    let mut body = Vec::new();
    for (key, value) in changes {
        body.push(u8::from(value.is_some()));
        for part in std::iter::once(key).chain(value) {
            body.extend(len(part)?.to_be_bytes());
            body.extend(part);
        }
    }
    let mut batch = len(&body)?.to_be_bytes().to_vec();
    batch.extend(Sha256::digest(&body));
    batch.extend(body);
    Ok(batch)
}

/// Replays all batches. Returns the values, and the end of the last complete batch. Each batch is
/// durable before the next one begins, so only the last one can be incomplete. A complete batch
/// after a broken one indicates damage.
fn replay(bytes: &[u8]) -> Result<(Values, u64), VaultError> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or(VaultError::NotAVault)?;
    let mut values = Values::new();
    while let Some((body, next)) = whole_batch(rest) {
        apply(&mut values, decode(body).ok_or(VaultError::Damaged)?);
        rest = next;
    }
    if (1..rest.len()).any(|at| whole_batch(&rest[at..]).is_some()) {
        return Err(VaultError::Damaged);
    }
    Ok((values, (bytes.len() - rest.len()) as u64))
}

/// Splits off a batch whose checksum is correct.
fn whole_batch(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    let (body, next) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    (Sha256::digest(body).as_slice() == hash).then_some((body, next))
}

fn decode(mut body: &[u8]) -> Option<Changes> {
    fn part(body: &mut &[u8]) -> Option<Vec<u8>> {
        let (len, rest) = body.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        *body = rest;
        Some(part.to_vec())
    }
    let mut changes = Changes::new();
    while let Some((kind, rest)) = body.split_first() {
        body = rest;
        let key = part(&mut body)?;
        changes.insert(key, if *kind == 1 { Some(part(&mut body)?) } else { None });
    }
    Some(changes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    vault_contract::check(&|| {
        let file = tempfile::NamedTempFile::new_in(&directory).expect("an empty file");
        let store = LogStore::open(&file.keep().expect("its path").1).expect("an empty store");
        Arc::new(SealedVault::open(store, MasterKey::generate().expect("a key")).expect("an empty vault"))
    });
    println!("the vault in an append-only file fulfils the whole contract of a vault");
    let path = directory.path().join("vault.log");
    let key = MasterKey::generate()?.to_base64();
    let sandbox = Sandbox::new(valetkey::SystemClock);
    let ada = ActingUser::authenticated("acme", "ada")?;
    let connections = connections(&path, &key, &sandbox)?;
    let consent = connections.start(&ada, "notes", ConsentOptions::default())?;
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    connections.complete(&ada, AuthorizationResponse::parse(&callback)?, consent.binding())?;
    drop(connections);
    println!("ada has connected her notes, and the host has stopped");
    let (file, secrets) = (fs::read(&path)?, sandbox.issued_secrets());
    let is_shown = |text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(is_shown("notes") && !secrets.iter().any(|secret| is_shown(secret)));
    println!("the file contains the name of the service, but none of her secrets");
    let resolver = Resolver::new(self::connections(&path, &key, &sandbox)?);
    let token = resolver.resolve(&ada, "notes")?;
    assert!(sandbox.is_live(token.access_token().expose_secret()));
    println!("after the restart her token is read from the file");
    Ok(())
}

fn connections(path: &Path, key: &str, sandbox: &Sandbox) -> Result<Connections, Box<dyn Error>> {
    let vault = SealedVault::open(LogStore::open(path)?, MasterKey::from_base64(key)?)?;
    Ok(Connections::builder(vault)
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .client("sandbox", sandbox.registration("https://app.test/callback"))
        .http_client(sandbox.clone())
        .build()?)
}
