//! What a host does to a vault, step by step.

/// One call of the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Open,
    InsertConsent,
    TakeConsent,
    /// Stores the first or the next tokens of a connection; the consent, if it was taken, is completed by it.
    Grant {
        number: u8,
        generation: u64,
    },
    Claim {
        number: u8,
        generation: u64,
    },
    Commit {
        number: u8,
        generation: u64,
    },
    Fail {
        number: u8,
    },
    Revoke {
        number: u8,
    },
    /// Stores a grant whose tokens lie in [`KEEPER`]; these services join those that share it.
    Share {
        generation: u64,
        joining: &'static [u8],
    },
    /// Revokes one of those that share a grant; it goes on for the others.
    Leave {
        number: u8,
    },
    /// Revokes, and keeps the tokens for the provider.
    Queue {
        number: u8,
    },
    /// Keeps tokens that came too late to be stored.
    QueueLate {
        number: u8,
    },
    /// Takes what waits for the provider.
    Take,
    /// Says that the provider did not answer, or did.
    TryLater {
        number: u8,
    },
    Settle {
        number: u8,
    },
    /// Erases all of alice's.
    ForgetUser,
    /// Erases all of acme's.
    ForgetTenant,
    Backup,
    /// A new data key; and the records sealed anew under it, two at a time.
    Rotate,
    Reseal,
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
    /// The same, as a crash leaves it: all of it in the log.
    Crashed,
    /// What the version wrote that had the first schema.
    Older,
}

/// The connections of a vault that is there at the beginning, by number. All but [`REVOKED`] are active in generation 1.
pub(crate) const ACTIVE: [u8; 5] = [1, 2, BOBS, HELD, NEIGHBOUR];
/// Alice has all the others.
pub(crate) const BOBS: u8 = 3;
/// Another tenant's.
pub(crate) const NEIGHBOUR: u8 = 8;
/// Its refresh was claimed, and the claim never ended.
pub(crate) const HELD: u8 = 4;
pub(crate) const REVOKED: u8 = 5;
/// Those that a scenario may add.
pub(crate) const NEW: [u8; 2] = [6, 7];
/// The record that keeps the tokens of several: no service, and none of the beginning.
pub(crate) const KEEPER: u8 = 9;

pub(crate) const CREATE: Scenario = Scenario {
    name: "create",
    begins_with: Beginning::Nothing,
    steps: &[
        Step::Open,
        Step::Grant {
            number: 6,
            generation: 1,
        },
        Step::Close,
    ],
};

pub(crate) const CONNECT: Scenario = Scenario {
    name: "connect",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::InsertConsent,
        Step::TakeConsent,
        Step::Grant {
            number: 6,
            generation: 1,
        },
        Step::Grant {
            number: 1,
            generation: 2,
        },
        Step::Close,
    ],
};

pub(crate) const REFRESH: Scenario = Scenario {
    name: "refresh",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Claim {
            number: 1,
            generation: 1,
        },
        Step::Commit {
            number: 1,
            generation: 2,
        },
        Step::Claim {
            number: 2,
            generation: 1,
        },
        Step::Fail { number: 2 },
        Step::Claim {
            number: 2,
            generation: 1,
        },
        Step::Commit {
            number: 2,
            generation: 2,
        },
        Step::Close,
    ],
};

pub(crate) const REVOKE: Scenario = Scenario {
    name: "revoke",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Revoke { number: 3 },
        Step::Clear,
        Step::Claim {
            number: 1,
            generation: 1,
        },
        Step::Revoke { number: 1 },
        Step::Clear,
        // Its tokens lie where those of the revoked ones did.
        Step::Grant {
            number: 7,
            generation: 1,
        },
        Step::Close,
    ],
};

pub(crate) const SHARE: Scenario = Scenario {
    name: "share",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        // One of the two has had tokens of its own.
        Step::Share {
            generation: 2,
            joining: &[1, 6],
        },
        Step::Share {
            generation: 3,
            joining: &[7],
        },
        Step::Clear,
        Step::Claim {
            number: KEEPER,
            generation: 3,
        },
        Step::Leave { number: 1 },
        Step::Commit {
            number: KEEPER,
            generation: 4,
        },
        Step::Leave { number: 6 },
        Step::Revoke { number: 7 },
        Step::Clear,
        Step::Close,
    ],
};

pub(crate) const ROTATE: Scenario = Scenario {
    name: "rotate",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Rotate,
        Step::Reseal,
        Step::Reseal,
        Step::Reseal,
        Step::Clear,
        Step::Close,
    ],
};

pub(crate) const RECOVER: Scenario = Scenario {
    name: "recover",
    begins_with: Beginning::Crashed,
    steps: &[
        Step::Open,
        Step::Revoke { number: 3 },
        Step::Clear,
        Step::Grant {
            number: 6,
            generation: 1,
        },
        Step::Close,
    ],
};

pub(crate) const FORGET_USER: Scenario = Scenario {
    name: "forget a person",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::InsertConsent,
        Step::Queue { number: 1 },
        Step::ForgetUser,
        Step::Clear,
        // Somebody of that name may come again.
        Step::Grant {
            number: 7,
            generation: 1,
        },
        Step::Close,
    ],
};

pub(crate) const FORGET_TENANT: Scenario = Scenario {
    name: "forget a tenant",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::InsertConsent,
        Step::Queue { number: 1 },
        Step::ForgetTenant,
        Step::Clear,
        Step::Grant {
            number: 7,
            generation: 1,
        },
        Step::Close,
    ],
};

pub(crate) const OUTBOX: Scenario = Scenario {
    name: "outbox",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Queue { number: 1 },
        Step::QueueLate { number: 6 },
        Step::Take,
        Step::TryLater { number: 1 },
        Step::Settle { number: 6 },
        Step::Take,
        Step::Settle { number: 1 },
        Step::Clear,
        Step::Close,
    ],
};

pub(crate) const BACKUP: Scenario = Scenario {
    name: "backup",
    begins_with: Beginning::Closed,
    steps: &[
        Step::Open,
        Step::Grant {
            number: 6,
            generation: 1,
        },
        Step::Backup,
        Step::Grant {
            number: 1,
            generation: 2,
        },
        Step::Close,
    ],
};

pub(crate) const MIGRATE: Scenario = Scenario {
    name: "migrate",
    begins_with: Beginning::Older,
    steps: &[Step::Open, Step::Clear, Step::Close],
};

pub(crate) const ALL: [&Scenario; 12] = [
    &CREATE,
    &CONNECT,
    &REFRESH,
    &REVOKE,
    &SHARE,
    &ROTATE,
    &RECOVER,
    &FORGET_USER,
    &FORGET_TENANT,
    &OUTBOX,
    &BACKUP,
    &MIGRATE,
];
