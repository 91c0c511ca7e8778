//! The ways in which a vault reads connections: it remembers rows, validated in two ways, or reads
//! them each time.

use std::path::Path;

use valetkey::internals::vault::{
    Found, GrantStore as _, Of, SqliteOptions, TokenQuery, VaultError, remembering_nothing,
};
use valetkey::model::{Scopes, Status};
use valetkey::vault::SqliteVault;

use crate::faults::world::{ALL_NUMBERS, id, keys, tenant_of};

/// A way of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Rows are remembered and validated by the log's index.
    LogIndex,
    /// Rows are remembered and validated by the version of the database.
    Version,
    /// Rows are not remembered.
    EachTime,
}

impl Reading {
    pub(crate) const ALL: [Self; 3] = [Self::LogIndex, Self::Version, Self::EachTime];

    /// Returns the name that the child gets.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LogIndex => "log index",
            Self::Version => "version",
            Self::EachTime => "each time",
        }
    }

    fn options(self) -> SqliteOptions {
        match self {
            Self::LogIndex => SqliteVault::options(),
            Self::Version => SqliteVault::options().without_log_index(),
            Self::EachTime => remembering_nothing(SqliteVault::options()),
        }
    }

    /// Opens a vault that reads in this way, with these master keys.
    pub(crate) fn open(self, path: &Path, numbers: [u8; 2]) -> Result<SqliteVault, VaultError> {
        self.options().open(path, keys(numbers))
    }
}

/// Checks that a vault answers from the rows as they are now, whatever it remembers and whatever the
/// steps before it met. Asked again, it gives the same answers.
pub(crate) fn answers_are_current(vault: &SqliteVault) {
    for number in ALL_NUMBERS.into_iter().chain(ALL_NUMBERS) {
        let (tenant, id) = (tenant_of(number), id(number));
        let found = vault.find_token(&TokenQuery {
            tenant: &tenant,
            of: Of::Id(id),
            scopes: &Scopes::default(),
        });
        // The disk may fail, which is reported.
        let (Ok(found), Ok(stored)) = (found, vault.connection(&tenant, id)) else {
            continue;
        };
        let answered = match found {
            Found::One(token) => Some((token.generation, token.status, token.access_token.is_some())),
            Found::Nothing => None,
            Found::Several => panic!("an id names one"),
        };
        let stored = stored.filter(|stored| stored.status != Status::Revoked);
        let stored = stored.map(|stored| (stored.generation, stored.status, stored.status == Status::Active));
        assert_eq!(answered, stored, "connection {number}");
    }
}
