//! The state of the model: the vault, the server and the holders.

use super::*;

/// The state of the model: the vault, the server and the progress of each holder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Universe {
    pub(super) stored: Stored,
    pub(super) server: Server,
    pub(super) holders: [At; HOLDERS],
    pub(super) now: i64,
    pub(super) crashes: u8,
    pub(super) lost_answers: u8,
    pub(super) lapses: u8,
    pub(super) revocations: u8,
    /// The number of reports that the API refuses the access token of the first generation.
    pub(super) refusals: u8,
    /// True if such a report was stored.
    pub(super) refused: bool,
    /// A request of a holder that crashed, still on its way to the server.
    pub(super) on_its_way: Option<u32>,
    /// Tokens that a late holder must revoke at the server.
    pub(super) returned: Vec<u32>,
}

/// The contents of the vault, flattened for comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Stored {
    pub(super) status: u8,
    pub(super) generation: u64,
    pub(super) fence: u64,
    /// Holder, fence, since, until.
    pub(super) held: Option<(u8, u64, i64, i64)>,
    pub(super) unknown: Option<u64>,
    /// The refresh token, by its number at the server.
    pub(super) token: Option<u32>,
}

/// The state of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Server {
    pub(super) current: u32,
    pub(super) issued: u32,
    pub(super) family_dead: bool,
    /// The end of the period in which the previous token is accepted, for servers with a grace
    /// period.
    pub(super) grace_until: i64,
}

/// The progress of a holder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum At {
    Idle,
    /// It holds a claim and the refresh token, and has not sent a request.
    Claimed {
        claim: (u64, u64),
        token: u32,
        unknown: bool,
    },
    /// The server has answered; nothing is stored yet.
    Answered {
        claim: (u64, u64),
        token: u32,
        unknown: bool,
        answer: Option<u32>,
    },
    Crashed,
    Done,
}

pub(super) fn holder(index: usize) -> Holder {
    Holder::from_bytes([u8::try_from(index).unwrap(); 16])
}

impl Stored {
    pub(super) fn lifecycle(&self) -> Lifecycle {
        let mut lifecycle = Lifecycle::granted(self.generation, self.token.is_some(), self.fence);
        lifecycle.status = match self.status {
            0 => Status::Active,
            1 => Status::NeedsConsent(NeedsConsent::Rejected),
            2 => Status::NeedsConsent(NeedsConsent::LostInFlight),
            _ => Status::Revoked,
        };
        lifecycle.held = self.held.map(|(index, fence, since, until)| lifecycle::Held {
            holder: holder(index.into()),
            fence,
            since: Timestamp::from_unix_millis(since),
            until: Timestamp::from_unix_millis(until),
        });
        lifecycle.unknown_generation = self.unknown;
        lifecycle
    }

    pub(super) fn keep(&mut self, lifecycle: &Lifecycle) {
        self.status = match lifecycle.status {
            Status::Active => 0,
            Status::NeedsConsent(NeedsConsent::LostInFlight) => 2,
            Status::NeedsConsent(_) => 1,
            _ => 3,
        };
        self.generation = lifecycle.generation;
        self.fence = lifecycle.fence;
        self.held = lifecycle.held.map(|held| {
            let (since, until) = (held.since.as_unix_millis(), held.until.as_unix_millis());
            (held.holder.as_bytes()[0], held.fence, since, until)
        });
        self.unknown = lifecycle.unknown_generation;
    }
}

impl Server {
    /// Returns the result of a refresh with this token: the number of a new token, or a refusal.
    pub(super) fn refresh(&mut self, rotation: RotationClass, token: u32, now: i64) -> Option<u32> {
        if self.family_dead {
            return None;
        }
        let taken = match rotation {
            RotationClass::Static => return (token == self.current).then_some(token),
            RotationClass::OldStaysValid => token <= self.current,
            RotationClass::Grace(_) => {
                token == self.current || (token + 1 == self.current && now <= self.grace_until)
            }
            _ => token == self.current,
        };
        if !taken {
            if rotation == RotationClass::SingleUseRevokesFamily {
                self.family_dead = true;
            }
            return None;
        }
        if let RotationClass::Grace(window) = rotation
            && token + 1 == self.current
        {
            // A replay within the grace period returns the token of the lost response.
            let _ = window;
            return Some(self.current);
        }
        self.issued += 1;
        self.current = self.issued;
        if let RotationClass::Grace(window) = rotation {
            self.grace_until = now + i64::try_from(window.as_millis()).unwrap();
        }
        Some(self.current)
    }
}
