//! The calls of a host to a vault, step by step.

/// Names a grant: the connection that it was given for, and its first generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) number: u8,
    pub(crate) first: u8,
}

pub(crate) const fn of(number: u8, first: u8) -> Name {
    Name { number, first }
}

/// One call of the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Open,
    InsertConsent,
    TakeConsent,
    /// Stores a grant for one connection. This completes the consent, if it was taken.
    Grant(Name),
    /// Stores a grant for several services: these, and those that use a grant of [`FAMILY`]
    /// already.
    Share {
        first: u8,
        joining: &'static [u8],
    },
    Claim(Name, u64),
    /// Stores the tokens of this generation.
    Commit(Name, u64),
    /// Stores tokens that arrived after the grant had been replaced.
    CommitLate(Name, u64),
    Fail(Name),
    /// Revokes a connection, the last one that uses its grant.
    Revoke(u8),
    /// Revokes a connection whose grant other connections continue to use.
    Leave(u8),
    /// Ends a former grant.
    End(Name),
    /// Revokes a connection, and keeps the tokens for the provider.
    Queue(u8),
    /// Keeps tokens that arrived too late to be stored.
    QueueLate(Name),
    /// Takes the pending revocations.
    Take,
    /// Settles an attempt: the provider did not answer, or it did.
    TryLater(Name),
    Settle(Name),
    /// Erases all data of alice.
    ForgetUser,
    /// Erases all data of acme.
    ForgetTenant,
    Backup,
    /// Replaces the vault by the backup.
    Restore,
    /// Adds a data key, and seals two grants again with it.
    RotateDataKey,
    Reseal,
    /// Opens the vault with another active master key, and wraps keys with it.
    OpenWithNextKey,
    Rewrap,
    Clear,
    Close,
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) begins_with: Beginning,
    pub(crate) steps: &'static [Step],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    Nothing,
    /// A vault with connections, closed.
    Closed,
    /// A vault with connections after a crash: all of it is in the log, and one connection has a
    /// former grant.
    Crashed,
    /// A file of an older schema.
    Older(u32),
}

/// The numbers of the connections of a vault that exists at the beginning. All but [`REVOKED`] are
/// active in generation 1.
pub(crate) const ACTIVE: [u8; 5] = [1, 2, BOBS, HELD, NEIGHBOUR];
/// Belongs to bob; all others of the tenant belong to alice.
pub(crate) const BOBS: u8 = 3;
/// Belongs to another tenant.
pub(crate) const NEIGHBOUR: u8 = 8;
/// Has a refresh claim that never ended.
pub(crate) const HELD: u8 = 4;
pub(crate) const REVOKED: u8 = 5;
// Scenarios add connections 6 and 7.
/// Names the grants that several services share. There is no connection with this number.
pub(crate) const FAMILY: u8 = 9;

pub(crate) const CREATE: Scenario = Scenario {
    name: "create",
    begins_with: Beginning::Nothing,
    steps: &[Step::Open, Step::Grant(of(6, 1)), Step::Close],
};

pub(crate) const CONNECT: Scenario = Scenario {
    name: "connect",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::InsertConsent,
        Step::TakeConsent,
        Step::Grant(of(6, 1)),
        Step::Grant(of(1, 2)),
        Step::Close,
    ],
};

pub(crate) const RECONNECT: Scenario = Scenario {
    name: "reconnect",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Grant(of(1, 2)),
        Step::Claim(of(2, 1), 1),
        Step::Grant(of(2, 2)),
        Step::CommitLate(of(2, 1), 2),
        Step::End(of(1, 1)),
        Step::Clear,
        Step::Grant(of(1, 3)),
        // Ends both of its grants.
        Step::Revoke(1),
        Step::Clear,
        Step::Close,
    ],
};

pub(crate) const REFRESH: Scenario = Scenario {
    name: "refresh",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Claim(of(1, 1), 1),
        Step::Commit(of(1, 1), 2),
        Step::Claim(of(2, 1), 1),
        Step::Fail(of(2, 1)),
        Step::Claim(of(2, 1), 1),
        Step::Commit(of(2, 1), 2),
        Step::Clear,
        Step::Close,
    ],
};

pub(crate) const REVOKE: Scenario = Scenario {
    name: "revoke",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Revoke(3),
        Step::Clear,
        Step::Claim(of(1, 1), 1),
        Step::Revoke(1),
        Step::Clear,
        // Its tokens are in the slots of the revoked connections.
        Step::Grant(of(7, 1)),
        Step::Close,
    ],
};

pub(crate) const SHARE: Scenario = Scenario {
    name: "share",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        // One of the two has a grant already.
        Step::Share {
            first: 2,
            joining: &[1, 6],
        },
        Step::Share {
            first: 3,
            joining: &[7],
        },
        Step::Clear,
        Step::Claim(of(FAMILY, 3), 3),
        Step::Leave(1),
        Step::Commit(of(FAMILY, 3), 4),
        Step::Leave(6),
        Step::Revoke(7),
        Step::Clear,
        Step::Close,
    ],
};

pub(crate) const ROTATE: Scenario = Scenario {
    name: "rotate",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::RotateDataKey,
        Step::Reseal,
        Step::Reseal,
        Step::Reseal,
        Step::Clear,
        Step::Close,
        Step::OpenWithNextKey,
        Step::Rewrap,
        Step::Clear,
        Step::Close,
    ],
};

pub(crate) const RECOVER: Scenario = Scenario {
    name: "recover",
    begins_with: Beginning::Crashed,
    steps: &[
        Step::Open,
        Step::Revoke(3),
        Step::Clear,
        Step::Grant(of(6, 1)),
        Step::Close,
    ],
};

pub(crate) const FORGET_USER: Scenario = Scenario {
    name: "forget a person",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::InsertConsent,
        Step::Queue(1),
        Step::ForgetUser,
        Step::Clear,
        // Another user with that name may be created.
        Step::Grant(of(7, 1)),
        Step::Close,
    ],
};

pub(crate) const FORGET_TENANT: Scenario = Scenario {
    name: "forget a tenant",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::InsertConsent,
        Step::Queue(1),
        Step::ForgetTenant,
        Step::Clear,
        Step::Grant(of(7, 1)),
        Step::Close,
    ],
};

pub(crate) const REVOCATIONS: Scenario = Scenario {
    name: "pending revocations",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Queue(1),
        Step::QueueLate(of(6, 1)),
        Step::Take,
        Step::TryLater(of(1, 1)),
        Step::Settle(of(6, 1)),
        Step::Take,
        Step::Settle(of(1, 1)),
        Step::Clear,
        Step::Close,
    ],
};

pub(crate) const BACKUP: Scenario = Scenario {
    name: "backup",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Grant(of(6, 1)),
        Step::Backup,
        Step::Grant(of(1, 2)),
        Step::Close,
    ],
};

pub(crate) const RESTORE: Scenario = Scenario {
    name: "restore",
    begins_with: Beginning::Crashed,
    steps: &[
        Step::Open,
        Step::Backup,
        Step::Revoke(3),
        Step::Grant(of(6, 1)),
        Step::Close,
        Step::Restore,
        Step::Open,
        Step::Grant(of(7, 1)),
        Step::Close,
    ],
};

pub(crate) const MIGRATE_1: Scenario = Scenario {
    name: "migrate schema 1",
    begins_with: Beginning::Older(1),
    steps: &[Step::Open, Step::Clear, Step::Close],
};

pub(crate) const MIGRATE_2: Scenario = Scenario {
    name: "migrate schema 2",
    begins_with: Beginning::Older(2),
    steps: &[Step::Open, Step::Clear, Step::Close],
};

pub(crate) const ALL: [&Scenario; 15] = [
    &CREATE,
    &CONNECT,
    &RECONNECT,
    &REFRESH,
    &REVOKE,
    &SHARE,
    &ROTATE,
    &RECOVER,
    &FORGET_USER,
    &FORGET_TENANT,
    &REVOCATIONS,
    &BACKUP,
    &RESTORE,
    &MIGRATE_1,
    &MIGRATE_2,
];
