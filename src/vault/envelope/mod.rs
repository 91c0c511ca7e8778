//! The formats of sealed records, wrapped keys and authenticated rows, which are the same for every
//! vault.
//!
//! ```text
//! MasterKey ──HKDF-SHA256──▶ kek ──wraps──┬▶ DataKey ──seals──▶ records     several per tenant
//!                                         ├▶ DataKey ──seals──▶ audit bodies several per tenant
//!                                         ├▶ DataKey ──HKDF──▶ RowKey ──▶ row MACs, one per tenant
//!                                         └▶ AuditKey ──▶ audit MACs, fingerprints, one per vault
//! ```
//!
//! This page describes every byte that is sealed or authenticated, so that another program can read
//! a vault with its master key. `tests/vectors` in the repository holds known answers.
//!
//! # Notation
//!
//! All numbers are big-endian, and times are milliseconds since 1970 in an i64. `‖` joins bytes. A
//! *list of parts* is written as a u32 length and the bytes of each part in turn. Two different
//! lists never have the same bytes.
//!
//! An *encoding* is a list of parts, here called fields, whose order and types are known to the
//! reader:
//!
//! | type | bytes of the field |
//! |---|---|
//! | bytes, text, ids | the bytes themselves; text is UTF-8, an id of 16 bytes is that of its UUID |
//! | u32, u64, i64 | 4 or 8 bytes |
//! | flag | one byte, 0 or 1 |
//! | optional (written *type?*) | no bytes if absent, otherwise `0x01` ‖ the value |
//! | scopes | text: the scopes in the order of their bytes, with single spaces between them |
//! | owner | text: the user, or empty for a workspace connection |
//! | parameters | several fields: a u32 count, then name and value (text) of each, in the order of the names |
//! | services | several fields: a u32 count, then provider (text) and scopes of each, in the order of the providers |
//! | account | three fields: id text?, e-mail text?, label text?; all absent without an account |
//!
//! # Keys
//!
//! | what | bytes |
//! |---|---|
//! | key-encryption key | HKDF-SHA256 of the master key: salt `"valetkey/1"`, info `"kek"`, 32 bytes |
//! | master-key id | the same with info `"id"`, 16 bytes |
//! | check value | HMAC-SHA256 of the vault's id, under the same with info `"fingerprint"`, 32 bytes |
//! | request state's key | the same with info `"request-state"`, 32 bytes: see `resolver::mcp::RequestStateKey` |
//! | wrapped key of a tenant | format `0x01` · master-key id 16 · nonce 12 · ciphertext 32 ‖ tag 16 |
//! | its additional data | list of parts: `"valetkey/1"`, `"data_key"`, vault 16, tenant, version u32, header (format and master-key id) |
//! | the same, wrapped through a key service | format `0x02` · id of the service's key 16 · length u16 · key-encryption key as the service wrapped it · nonce 12 · ciphertext 32 ‖ tag 16 |
//! | its additional data | list of parts: as above, header (everything before the nonce) |
//! | context of the service for a tenant | list of parts: `"valetkey/1"`, `"key_service"`, `"tenant"`, vault 16, tenant; for the vault's audit key `"vault"` and an empty tenant, for a sealed master key `"master key"` and both empty |
//! | id of a service's key | the first 16 bytes of the SHA-256 of its full name |
//! | check value with a service | HMAC-SHA256 of the vault's id, under HKDF-SHA256 of the audit key: salt as above, info `"check"` |
//! | wrapped audit key | as the wrapped key of a tenant |
//! | its additional data | list of parts: `"valetkey/1"`, `"audit_key"`, vault 16, header |
//! | row key | HKDF-SHA256 of the tenant's key with version 2³²−1: salt as above, info `"rows"`, 32 bytes |
//! | chain key | HKDF-SHA256 of the vault's audit key: salt as above, info `"audit"`, 32 bytes |
//! | fingerprint key | the same with info `"fingerprint"`, 32 bytes |
//!
//! The version of a tenant's key says what the key is for:
//!
//! | versions | use | replaced |
//! |---|---|---|
//! | 1 to 2³¹−1 | seals tokens and verifiers | by a rotation or after many seals; the older key is destroyed when nothing is sealed with it |
//! | 2³¹ to 2³²−2 | seals bodies of audit entries | after many seals; the older key is kept, so that entries stay readable |
//! | 2³²−1 | authenticates rows of connections, grants and consent requests | never |
//!
//! The audit key of the vault is random and wrapped, not derived from the master key, so that the
//! chains of the audit outlive the master key that they began with.
//!
//! # Sealed records
//!
//! The cipher is AES-256-GCM with random 96-bit nonces. A vault counts the seals of each key and
//! takes a new key after 2³⁰, long before the 2³² that random nonces allow.
//!
//! | what | bytes |
//! |---|---|
//! | sealed record | format `0x02` · key version u32 · nonce 12 · ciphertext ‖ tag 16 |
//! | its additional data | list of parts: `"valetkey/2"`, kind, vault 16, tenant, owner (`0x01` ‖ user, or `0x00` for the workspace), provider, id 16, generation u64, header (format and key version), route |
//! | its plaintext | list of parts; the parts together at most 64 KiB |
//! | record of format 1 | format `0x01` · as above |
//! | its additional data | list of parts: `"valetkey/1"`, the parts from kind to header as above, no route |
//! | body of an audit entry | format `0x01` · as above, under the tenant's audit key |
//! | its additional data | list of parts: `"valetkey/1"`, `"audit"`, vault 16, tenant, number u64, header |
//! | body of an audit entry that was stored before it had a number | format `0x03` · entry id 16, random · record in format `0x01`, under the tenant's audit key |
//! | additional data of that record | list of parts: `"valetkey/1"`, `"audit_entry"`, vault 16, tenant, entry id 16, header of the record |
//!
//! Schemas 1 and 2 wrote records in format 1. Only their migration opens it
//! ([`DataKey::open_format_1`]), and nothing but bodies of audit entries is written in it: an entry
//! has no route. The format is part of the additional data twice, in the domain and in the header,
//! so that a record never opens in another format.
//!
//! | kind | id | generation | plaintext | route |
//! |---|---|---|---|---|
//! | `access_token` | grant | of the grant | access token | [of the grant](#routes-and-bodies) |
//! | `rest` | grant | of the grant | refresh token, id token; an absent one is empty | of the grant |
//! | `consent` | consent request | 0 | PKCE verifier; empty without PKCE | of the consent request |
//! | `revocation_access` | pending revocation | of the grant | access token | of the pending revocation |
//! | `revocation_rest` | pending revocation | of the grant | refresh token | of the pending revocation |
//!
//! Owner and provider are those of the grant or of the consent request.
//!
//! # Routes and bodies
//!
//! A route is an encoding of everything that decides where a secret is sent. It is additional data:
//! changing an endpoint in the database makes the token unreadable instead of redirecting it.
//!
//! | encoding | fields |
//! |---|---|
//! | route of a grant (column `route`) | server text, expires_at i64?, granted scopes, owner, provider text, origin text, token endpoint text, refresh endpoint text, revocation endpoint text?, client id text, parameters, requested scopes, consented_at i64, lifetime u64? (milliseconds), account |
//! | body of a consent request (column `body`) | binding 32, provider text, server text, issuer text?, token endpoint text, client id text, redirect URI text, scopes, services, parameters, label text?, purpose text (`connect`, `reconnect`, `switch_account`, `extend`), target id? (the connection that the purpose names), require_account flag, return_to text?, scopes named by the host?, scopes added by the host, login_hint text?, prompt text? (as in an authorization request), max_age u64? (nanoseconds), acr_values text?, created_at i64 |
//! | route of a consent request | state 32, user text, expires_at i64, body |
//! | body of a pending revocation (column `body`) | grant id, generation u64, route of the grant |
//! | route of a pending revocation | connection id, owner, give_up_at i64, body |
//! | details of a connection (column `details`) | account, requested scopes, parameters, created_at i64 |
//! | fields of the row of a grant | grant id, former_of id?, status text, generation u64, refreshable flag, server text, expires_at i64?, refreshed_at i64, not_before i64?, held_until i64?, quarantined_until i64?, dead_at i64?, route, state, key version u32, revision u64 |
//! | state of a grant (column `state`) | fence u64, holder 16?, fence of the claim u64 (0 without a claim), since i64?, until i64?, unknown generation u64?, failures u32, not_before i64?, last failure text?, failed_at i64?, quarantined_until i64?, check of the failed setup u64?, token_refused_at i64?, refresh_token_expires_at i64?; no bytes at all for a grant without any of them |
//! | body of an audit entry (sealed) | ten parts of a plaintext, empty if absent: user, connection id 16, provider, generation u64, fingerprint 8, detail, purpose, turn, `"1"` for a workspace connection, actor (`role:user`); the oldest entries have no actor |
//!
//! # MACs
//!
//! Each is HMAC-SHA256 of a list of parts that begins with `"valetkey/1"`. Optional numbers are 8
//! bytes, or none.
//!
//! | what | key | further parts |
//! |---|---|---|
//! | row of a connection | row key | `"connection"`, id 16, owner, provider, label present (1 byte), label, is_default ‖ revoked (1 byte each), grant id 16, account present (1 byte), account id, details |
//! | row of a grant | row key | `"grant"`, [fields of the row](#routes-and-bodies) |
//! | row of a consent request | row key | `"consent"`, an encoding of state 32, id 16, user text, owner, expires_at i64, body |
//! | audit entry | chain key | `"link"`, vault 16, number u64, MAC of the entry before (zeros for the first), at i64, tenant i64 or empty, kind, body |
//! | audit entry without a number yet | chain key | `"pending"`, vault 16, tenant i64, at i64, kind, body |
//! | head of a chain | chain key | `"chain head"`, vault 16, chain i64, number u64, MAC of the last entry, first broken number u64 or empty |
//! | head of the chain of schemas 1 and 2 | chain key | `"head"`, then as above without the chain |
//! | gap of pruned entries | chain key | `"gap"`, vault 16, chain i64, first u64, last u64, MAC of the entry before, MAC of the last |
//! | checkpoint | chain key | `"checkpoint"`, vault 16, chain i64, number u64, MAC of that entry |
//! | fingerprint | fingerprint key | the parts; the first 8 bytes. Of an access token: tenant, connection id 16, generation u64, token. Of a user that was forgotten: `"user"`, tenant, user |
//!
//! A chain is identified by the number of its tenant in the database, 0 for the vault's own chain,
//! and −1 in gaps and checkpoints for the chain of schemas 1 and 2. Tenants' names need no MAC: the
//! wrapped keys of a tenant name it.
//!
//! # What is authenticated
//!
//! Assume an attacker who can write the database and has no key.
//!
//! | rows | authenticated | not authenticated, and what changing it achieves |
//! |---|---|---|
//! | connections | every column, by the MAC | time of the last use: a wrong time is shown |
//! | grants | every column but the slot, by the MAC, whenever a grant is read for anything but its access token; the access token itself by its seal, which binds id, generation and route | slot: the tokens do not open, or the zeros that erase them are written elsewhere. For the access token alone: status, refresh state and the time of the last refresh. A token is refreshed too early or not at all |
//! | consent requests | state, id, user, owner, expiry and body, by the MAC; one that is pending has its verifier as well | status, and the connection that is shown as the result. One that was taken has no verifier and cannot become pending again |
//! | pending revocations | every column but the schedule, by the tokens' seal | next attempt and number of attempts: the revocation is tried sooner, later, or never |
//! | keys | tenant and version, by the wrapping | number of seals and whether it is retired: a key is replaced late or early, or destroyed together with what it seals. A lowered count matters only after 2³² seals |
//! | audit | everything, by the chain | whether a run of entries was pruned is said by authenticated gaps |
//!
//! Changing data that is not authenticated lets an attacker delay, repeat or prevent an operation,
//! which deleting the row does as well. It never makes a token readable, sends it to another
//! destination, or gives it to another user. Indexes are not authenticated either: a resolved
//! connection is compared with the query.
//!
//! **Not prevented:** putting back an earlier state of a whole row together with its sealed tokens.
//! The audit finds it, because the newest entry about the connection names another generation or
//! fingerprint (see [`AuditLog`](crate::vault::AuditLog)), unless the audit is put back as well;
//! for that, export its head.
//!
//! # Security
//!
//! Plaintext and key schedules are overwritten when they are dropped.

mod aad;
mod aead;
mod audit_key;
mod data_key;
mod entry;
mod fields;
mod key_encryption;
mod key_file;
mod key_service;
mod master_key;
mod master_keys;
mod record;
mod row_key;
mod vault_id;
mod wrapping;

pub(crate) use aead::{Cipher, Nonces};
pub(crate) use audit_key::proves;
pub use audit_key::{AuditKey, Link};
pub use data_key::DataKey;
pub use entry::named_entry;
pub use fields::Fields;
pub use key_encryption::{Destruction, KeyContext, KeyEncryption};
pub use master_key::MasterKey;
#[cfg(feature = "_internals")]
pub use master_key::check_value;
pub use master_keys::MasterKeys;
pub(crate) use record::Binding;
pub use record::{Context, Kind};
pub use row_key::RowKey;
pub use vault_id::VaultId;

#[cfg(test)]
mod known_answers;
#[cfg(test)]
pub(in crate::vault) mod vectors;
#[cfg(test)]
mod wycheproof;

/// The greatest total length of the fields of one record, in bytes.
pub const MAX_SECRET_LEN: usize = 64 * 1024;
