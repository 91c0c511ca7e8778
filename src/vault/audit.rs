//! What the audit holds and how it is read.

use crate::model::{Actor, ConnectionId, ProviderId, TenantId, Timestamp, UserId};

/// What an audit entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum AuditKind {
    /// A consent began.
    ConsentStarted,
    /// A consent was given and the connection stored.
    ConsentCompleted,
    /// The person or the server said no.
    ConsentDenied,
    /// The code could not be exchanged, or its answer not be used.
    ConsentFailed,
    /// The tokens were renewed.
    Refreshed,
    /// The server refused the refresh token.
    RefreshRejected,
    /// The connection needs a new consent for another reason.
    ConsentNeeded,
    /// A refused refresh token was erased at the end of its quarantine.
    QuarantineErased,
    /// The connection was revoked here.
    Revoked,
    /// A pending revocation at the provider ended: confirmed, refused or given up.
    RevocationEnded,
    /// The connection became its owner's default.
    DefaultSet,
    /// A token was handed out.
    TokenUsed,
    /// All of a person was erased.
    UserForgotten,
    /// All of a workspace was erased.
    TenantForgotten,
    /// A workspace has a new data key.
    DataKeyRotated,
    /// Every key is wrapped by another master key.
    MasterKeyRotated,
}

impl AuditKind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::ConsentStarted,
        Self::ConsentCompleted,
        Self::ConsentDenied,
        Self::ConsentFailed,
        Self::Refreshed,
        Self::RefreshRejected,
        Self::ConsentNeeded,
        Self::QuarantineErased,
        Self::Revoked,
        Self::RevocationEnded,
        Self::DefaultSet,
        Self::TokenUsed,
        Self::UserForgotten,
        Self::TenantForgotten,
        Self::DataKeyRotated,
        Self::MasterKeyRotated,
    ];

    /// The kind as one lower-case word, for storage and display.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsentStarted => "consent_started",
            Self::ConsentCompleted => "consent_completed",
            Self::ConsentDenied => "consent_denied",
            Self::ConsentFailed => "consent_failed",
            Self::Refreshed => "refreshed",
            Self::RefreshRejected => "refresh_rejected",
            Self::ConsentNeeded => "consent_needed",
            Self::QuarantineErased => "quarantine_erased",
            Self::Revoked => "revoked",
            Self::RevocationEnded => "revocation_ended",
            Self::DefaultSet => "default_set",
            Self::TokenUsed => "token_used",
            Self::UserForgotten => "user_forgotten",
            Self::TenantForgotten => "tenant_forgotten",
            Self::DataKeyRotated => "data_key_rotated",
            Self::MasterKeyRotated => "master_key_rotated",
        }
    }

    /// The kind that [`as_str`](Self::as_str) wrote.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == code)
    }
}

/// One entry of the audit. Holds ids and codes, never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct AuditEntry {
    /// Its place in the vault's chain; those between belong to other tenants.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: AuditKind,
    /// Whose connection it is; of a consent and of a use, the person who gave it or for whom it was. None for a shared
    /// connection.
    pub user: Option<UserId>,
    /// Who made the change by name: revoked, chose the default, asked for a refresh, had a person forgotten. None for
    /// what upkeep, a server or a turn brought about, for consents and uses (there [`user`](Self::user) acted), and in
    /// entries of vaults that did not keep it yet.
    #[cfg_attr(feature = "serde", serde(default))]
    pub actor: Option<Actor>,
    /// The connection.
    pub connection: Option<ConnectionId>,
    /// The service.
    pub provider: Option<ProviderId>,
    /// The generation of the tokens concerned.
    pub generation: Option<u64>,
    /// A keyed fingerprint of the access token of that generation, where one was stored.
    pub fingerprint: Option<[u8; 8]>,
    /// One word more, out of a closed set: why a consent is needed, how a revocation ended.
    pub detail: Option<String>,
    /// Of a use: what for, in the host's words.
    pub purpose: Option<String>,
    /// Of a use: in which turn, in the host's words.
    pub turn: Option<String>,
    /// Of a use: whether it was the shared connection's token, handed to a person without one of their own.
    pub shared: bool,
}

impl AuditEntry {
    /// An entry of this kind, with nothing else in it and no number yet.
    #[must_use]
    pub const fn new(kind: AuditKind, at: Timestamp) -> Self {
        Self {
            number: 0,
            at,
            kind,
            user: None,
            actor: None,
            connection: None,
            provider: None,
            generation: None,
            fingerprint: None,
            detail: None,
            purpose: None,
            turn: None,
            shared: false,
        }
    }

    /// The same about a person.
    #[must_use]
    pub fn user(mut self, user: Option<&UserId>) -> Self {
        self.user = user.cloned();
        self
    }

    /// The same, done by this one.
    #[must_use]
    pub fn by(mut self, actor: Option<&Actor>) -> Self {
        self.actor = actor.cloned();
        self
    }

    /// The same about a connection.
    #[must_use]
    pub fn about(mut self, connection: ConnectionId, provider: &ProviderId, generation: u64) -> Self {
        self.connection = Some(connection);
        self.provider = Some(provider.clone());
        self.generation = Some(generation);
        self
    }

    /// The same with one word more.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.detail = Some(detail.to_owned());
        self
    }
}

/// In which order entries are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditOrder {
    /// From the first one on.
    #[default]
    OldestFirst,
    /// From the last one back.
    NewestFirst,
}

/// Which entries to read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuditFilter<'a> {
    /// The workspace. Nothing of another one is read.
    pub tenant: &'a TenantId,
    /// In which order.
    pub order: AuditOrder,
    /// Only those that follow this number in that order: the last one of the page before. Zero: from the beginning.
    pub after: u64,
    /// Only those of this connection.
    pub connection: Option<ConnectionId>,
    /// Only those of this person: about them, or about what they did.
    pub user: Option<&'a UserId>,
    /// At most so many.
    pub limit: usize,
}

impl<'a> AuditFilter<'a> {
    /// The first thousand entries of a tenant.
    #[must_use]
    pub const fn of(tenant: &'a TenantId) -> Self {
        Self {
            tenant,
            order: AuditOrder::OldestFirst,
            after: 0,
            connection: None,
            user: None,
            limit: 1_000,
        }
    }

    /// Whether the entry with this number comes later in the order than those that were read.
    #[must_use]
    pub const fn reaches(&self, number: u64) -> bool {
        match self.order {
            AuditOrder::OldestFirst => number > self.after,
            AuditOrder::NewestFirst => self.after == 0 || number < self.after,
        }
    }

    /// Whether an entry, of the right tenant and number, is wanted.
    #[must_use]
    pub fn wants(&self, entry: &AuditEntry) -> bool {
        self.connection.is_none_or(|id| entry.connection == Some(id))
            && self.user.is_none_or(|user| {
                let actor = entry.actor.as_ref().map(Actor::user);
                entry.user.as_ref() == Some(user) || actor == Some(user)
            })
    }
}

/// That a token was handed out, for the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Handout {
    /// The workspace.
    pub tenant: TenantId,
    /// The connection.
    pub connection: ConnectionId,
    /// The service.
    pub provider: ProviderId,
    /// When.
    pub at: Timestamp,
    /// The acting user.
    pub user: UserId,
    /// Whether it was the shared connection's token, handed to a person without one of their own.
    pub shared: bool,
    /// What for, in the host's words.
    pub purpose: Option<String>,
    /// In which turn, in the host's words.
    pub turn: Option<String>,
}

impl Handout {
    /// The entry that tells of it.
    #[must_use]
    pub fn entry(&self) -> AuditEntry {
        AuditEntry {
            user: Some(self.user.clone()),
            connection: Some(self.connection),
            provider: Some(self.provider.clone()),
            purpose: self.purpose.clone(),
            turn: self.turn.clone(),
            shared: self.shared,
            ..AuditEntry::new(AuditKind::TokenUsed, self.at)
        }
    }
}

/// The end of the chain, for the host to keep elsewhere: a vault that no longer leads there was rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditHead {
    /// The number of the last entry.
    pub number: u64,
    /// What authenticates it and all before it.
    pub mac: [u8; 32],
}

/// The text is no exported head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the head of an audit")]
pub struct InvalidAuditHead;

impl AuditHead {
    /// The head with this number and MAC.
    #[must_use]
    pub const fn new(number: u64, mac: [u8; 32]) -> Self {
        Self { number, mac }
    }
}

impl std::fmt::Display for AuditHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "valetkey-audit:{}:", self.number)?;
        self.mac.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for AuditHead {
    type Err = InvalidAuditHead;

    fn from_str(text: &str) -> Result<Self, InvalidAuditHead> {
        let (number, hex) = text
            .trim()
            .strip_prefix("valetkey-audit:")
            .and_then(|rest| rest.split_once(':'))
            .ok_or(InvalidAuditHead)?;
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidAuditHead);
        }
        let mut mac = [0; 32];
        for (byte, digits) in mac.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| InvalidAuditHead)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| InvalidAuditHead)?;
        }
        let number = number.parse().map_err(|_| InvalidAuditHead)?;
        Ok(Self { number, mac })
    }
}

/// What checking the chain found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a broken chain is no error: look at `first_broken`"]
pub struct AuditReport {
    /// How many entries were checked.
    pub checked: u64,
    /// The number of the first entry that is altered, missing, out of place or too many. None: the chain is whole.
    pub first_broken: Option<u64>,
}

impl AuditReport {
    /// The report of a chain.
    pub const fn new(checked: u64, first_broken: Option<u64>) -> Self {
        Self {
            checked,
            first_broken,
        }
    }

    /// Whether nothing was altered, removed or added.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.first_broken.is_none()
    }
}

/// What erasing a person or a workspace did, for the host to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forgotten {
    /// The entry of the audit that proves it.
    pub proof: AuditHead,
    /// When.
    pub at: Timestamp,
    /// How many connections were erased.
    pub connections: usize,
}

impl Forgotten {
    /// A receipt.
    #[must_use]
    pub const fn new(proof: AuditHead, at: Timestamp, connections: usize) -> Self {
        Self {
            proof,
            at,
            connections,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_survives_being_written_down() {
        let head = AuditHead {
            number: 42,
            mac: std::array::from_fn(|at| u8::try_from(at * 7).unwrap_or(0)),
        };
        assert_eq!(head.to_string().parse(), Ok(head));
        for bad in [
            "",
            "valetkey-audit:1",
            "valetkey-audit:x:00",
            "valetkey-audit:1:é",
        ] {
            assert_eq!(bad.parse::<AuditHead>(), Err(InvalidAuditHead), "{bad}");
        }
    }

    #[test]
    fn kinds_survive_being_stored() {
        for kind in AuditKind::ALL {
            assert_eq!(AuditKind::from_code(kind.as_str()), Some(kind));
        }
    }
}
