//! The types of rows.

use crate::model::{ConnectionId, ConsentId, GrantId, RevocationId};
use crate::vault::{DefinitionVersion, StateHash};

/// The number of a tenant. A number is never reused for another tenant.
pub(crate) type TenantRow = i64;

/// The vault's own row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VaultRow {
    pub(crate) id: [u8; 16],
    /// The id of the master key that `key_check` and `audit_key` belong to.
    pub(crate) master_key: [u8; 16],
    pub(crate) key_check: [u8; 32],
    /// The wrapped key of the audit.
    pub(crate) audit_key: Vec<u8>,
}

/// A tenant's key, wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub(crate) version: u32,
    /// The id of the master key that wraps it.
    pub(crate) master_key: [u8; 16],
    pub(crate) wrapped: Vec<u8>,
    /// The number of records it has sealed.
    pub(crate) seals: u32,
    /// True if a newer key has replaced it.
    pub(crate) retired: bool,
}

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionRow {
    pub(crate) id: ConnectionId,
    /// The user; empty for a workspace connection.
    pub(crate) owner: String,
    pub(crate) provider: String,
    pub(crate) label: Option<String>,
    pub(crate) is_default: bool,
    pub(crate) revoked: bool,
    pub(crate) grant: GrantId,
    /// The id of the account, for the index that keeps it unique.
    pub(crate) account: Option<String>,
    pub(crate) details: Vec<u8>,
    /// Authenticates every field above. It also shows whether the row has changed since it was
    /// read.
    pub(crate) mac: [u8; 32],
}

/// A grant, without its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrantRow {
    pub(crate) id: GrantId,
    /// The grant that replaced this one.
    pub(crate) former_of: Option<GrantId>,
    /// `active`, `revoked`, or the reason why a new consent is needed.
    pub(crate) status: String,
    pub(crate) generation: u64,
    pub(crate) refreshable: bool,
    pub(crate) server: String,
    pub(crate) expires_at: Option<i64>,
    pub(crate) refreshed_at: i64,
    /// The end of the back-off.
    pub(crate) not_before: Option<i64>,
    /// The time when the current claim lapses.
    pub(crate) held_until: Option<i64>,
    /// The time until which a refused refresh token is kept.
    pub(crate) quarantined_until: Option<i64>,
    /// The latest time at which the tokens of a former grant expire at the server.
    pub(crate) dead_at: Option<i64>,
    /// The encoding of everything that decides where the tokens are sent. It is part of their
    /// additional data.
    pub(crate) route: Vec<u8>,
    /// The claim and the failures; empty if there is neither.
    pub(crate) state: Vec<u8>,
    /// The version of the key that seals the tokens; 0 without tokens.
    pub(crate) key_version: u32,
    /// The revision of the row. Every write increases it.
    pub(crate) revision: u64,
    /// Authenticates every field above.
    pub(crate) mac: [u8; 32],
}

/// The effect of a write on the sealed tokens of a grant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Secrets<'a> {
    /// Keeps them.
    Keep,
    /// Overwrites them.
    Set {
        /// The sealed access token.
        access: &'a [u8],
        /// The sealed refresh and id tokens; empty if there are none.
        rest: &'a [u8],
    },
    /// Overwrites the access token with zeros.
    EraseAccess,
    /// Overwrites all of them with zeros.
    Erase,
}

/// Two sealed records, each of which may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) access: Option<Vec<u8>>,
    pub(crate) rest: Option<Vec<u8>>,
}

/// A consent request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsentRow {
    pub(crate) state: StateHash,
    pub(crate) id: ConsentId,
    pub(crate) user: String,
    /// The owner of the connection to be made; empty for a workspace connection.
    pub(crate) owner: String,
    pub(crate) expires_at: i64,
    /// `pending`, `taken`, `completed`, `denied`, `failed` or `cancelled`.
    pub(crate) status: String,
    pub(crate) completed: Option<ConnectionId>,
    pub(crate) body: Vec<u8>,
    /// The version of the key that seals the verifier; 0 once it is erased.
    pub(crate) key_version: u32,
    /// Authenticates every field above that never changes.
    pub(crate) mac: [u8; 32],
}

/// A definition, without its sealed content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DefinitionRow {
    /// `server`, `provider` or `client`.
    pub(crate) kind: String,
    pub(crate) name: String,
    /// The version. It is part of the additional data of the content.
    pub(crate) version: DefinitionVersion,
    /// Increases with every write. It is part of the additional data of the content as well.
    pub(crate) revision: u64,
    /// The version of the key that seals the content.
    pub(crate) key_version: u32,
}

/// A revocation that the provider has not confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RevocationRow {
    pub(crate) id: RevocationId,
    pub(crate) connection: ConnectionId,
    /// The owner of the connection; empty for a workspace connection.
    pub(crate) owner: String,
    pub(crate) not_before: i64,
    pub(crate) attempts: u32,
    pub(crate) give_up_at: i64,
    pub(crate) body: Vec<u8>,
    pub(crate) key_version: u32,
}

/// An audit entry, its body sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditRow {
    pub(crate) number: u64,
    pub(crate) at: i64,
    /// Differs from the chain only in entries that were written under schemas 1 and 2.
    pub(crate) tenant: Option<TenantRow>,
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
    pub(crate) mac: [u8; 32],
}

/// An audit entry that has no number in its chain yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PendingRow {
    /// The place among the entries of the tenant that wait. The database assigns it when the entry
    /// is added; it is ignored then.
    pub(crate) position: u64,
    pub(crate) at: i64,
    pub(crate) kind: String,
    /// The sealed body, which names the entry.
    pub(crate) body: Vec<u8>,
    pub(crate) mac: [u8; 32],
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeadRow {
    pub(crate) number: u64,
    pub(crate) mac: [u8; 32],
    /// The number of the first broken entry that was found during a write.
    pub(crate) broken: Option<u64>,
    pub(crate) seal: [u8; 32],
}

/// A run of entries that were pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GapRow {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The MAC of the entry before the first.
    pub(crate) before: [u8; 32],
    /// The MAC of the last.
    pub(crate) mac: [u8; 32],
    pub(crate) seal: [u8; 32],
}

/// A head that was exported, kept so that it can be recognised after pruning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckpointRow {
    pub(crate) number: u64,
    pub(crate) mac: [u8; 32],
    pub(crate) seal: [u8; 32],
}
