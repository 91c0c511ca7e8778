//! Maps failures of the server and of the connection to errors of the vault.
//!
//! The text of the server is never kept: it repeats values and names.

use std::error::Error as StdError;
use std::io;

use tokio_postgres::error::{Error, SqlState};

use crate::vault::VaultError;

/// The advice for an address that leads to a pooler.
pub(super) const POOLER: &str = "the address leads to a pooler that drops the settings or the statements of a \
                                 session; connect to the server itself, or in transaction mode with \
                                 PostgresOptions::transaction_pooling";

/// A failure of a batch of statements.
#[derive(Debug)]
pub(super) enum Failure {
    /// The transaction can be run again from its beginning: it lost against another one.
    Again,
    /// A row is not as it was read.
    Changed,
    /// A key would seal more than it may.
    UsedUp,
    /// The mark of a transfer forbids the write.
    Refused,
    /// Any other failure.
    Vault(VaultError),
}

impl Failure {
    /// Returns the error for a caller inside the transaction, which may handle it.
    pub(super) fn inside(&self) -> VaultError {
        match self {
            Self::Again | Self::Changed | Self::UsedUp | Self::Refused => VaultError::Busy,
            Self::Vault(error) => error.clone(),
        }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl From<Failure> for VaultError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Again | Failure::Changed | Failure::UsedUp => Self::Busy,
            Failure::Refused => Self::Moved,
            Failure::Vault(error) => error,
        }
    }
}

/// Returns the meaning of a failure.
pub(super) fn meaning(error: &Error) -> Failure {
    let Some(code) = error.code() else {
        // Without a code, the connection broke, or a value has another type than its column.
        return Failure::Vault(if is_conversion(error) {
            VaultError::Damaged
        } else {
            VaultError::Unreachable
        });
    };
    match *code {
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::UNIQUE_VIOLATION => Failure::Again,
        // Only the statement that counts seals divides.
        SqlState::DIVISION_BY_ZERO => Failure::UsedUp,
        // Only the statements that check rows take a logarithm.
        SqlState::INVALID_ARGUMENT_FOR_LOG => Failure::Changed,
        // Only the statement that checks the mark takes a square root.
        SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION => Failure::Refused,
        _ => Failure::Vault(of_code(code)),
    }
}

/// Returns the error of the vault for a code of the server.
fn of_code(code: &SqlState) -> VaultError {
    match *code {
        SqlState::TOO_MANY_CONNECTIONS | SqlState::LOCK_NOT_AVAILABLE | SqlState::QUERY_CANCELED => {
            VaultError::Busy
        }
        // Another client of the pooler got the session in which the statement was prepared.
        SqlState::INVALID_SQL_STATEMENT_NAME | SqlState::DUPLICATE_PSTATEMENT => {
            VaultError::Unsupported(POOLER)
        }
        SqlState::DISK_FULL => VaultError::DiskFull,
        SqlState::READ_ONLY_SQL_TRANSACTION => VaultError::ReadOnly,
        SqlState::UNDEFINED_TABLE
        | SqlState::UNDEFINED_COLUMN
        | SqlState::INVALID_SCHEMA_NAME
        | SqlState::INVALID_CATALOG_NAME => VaultError::NotAVault,
        SqlState::INSUFFICIENT_PRIVILEGE => VaultError::AccessDenied("the tables of the vault"),
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => VaultError::Damaged,
        _ => of_class(code.code()),
    }
}

/// Returns the error of the vault for the class of a code: its first two characters.
fn of_class(code: &str) -> VaultError {
    match code.get(..2) {
        Some("08" | "57") => VaultError::Unreachable,
        Some("28") => VaultError::AccessDenied("the database server"),
        Some("53") => VaultError::Busy,
        Some("22" | "23" | "XX") => VaultError::Damaged,
        _ => VaultError::Unsupported("the PostgreSQL server refused a statement"),
    }
}

/// Returns the error of the vault for a connection that could not be made.
pub(super) fn connecting(error: &Error) -> VaultError {
    match error.code() {
        // A pooler does not know the settings of a session.
        Some(&SqlState::PROTOCOL_VIOLATION) => VaultError::Unsupported(POOLER),
        Some(code) => of_code(code),
        None if is_tls(error) => tls(error),
        None if accepts_no_writes(error) => VaultError::ReadOnly,
        None if is_authentication(error) => VaultError::AccessDenied("the database server"),
        None => VaultError::Unreachable,
    }
}

/// The client library has no other way to tell these causes apart than its own fixed texts.
fn is_tls(error: &Error) -> bool {
    error.to_string().starts_with("error performing TLS handshake")
}

/// Returns the error for an encrypted connection that could not be made.
fn tls(error: &Error) -> VaultError {
    let mut source = error.source();
    while let Some(cause) = source {
        let io = cause.downcast_ref::<io::Error>();
        let inner = io.and_then(|io| io.get_ref()).map(|inner| inner as &dyn StdError);
        if let Some(rustls) = inner.unwrap_or(cause).downcast_ref::<rustls::Error>() {
            return VaultError::Unsupported(certificate(rustls));
        }
        if io.is_some() {
            return VaultError::Unreachable;
        }
        source = cause.source();
    }
    VaultError::Unsupported("the server offers no TLS; turn it on, or connect without it")
}

fn certificate(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "the certificate of the server has expired; renew it"
        }
        rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "the certificate of the server is for another name; use a name in it as the host"
        }
        rustls::Error::InvalidCertificate(_) => {
            "the certificate of the server is not trusted; add its authority (PostgresOptions::root)"
        }
        _ => "the server and this crate support no common version of TLS",
    }
}

/// Returns whether the server is a replica. The client library has no code for this.
fn accepts_no_writes(error: &Error) -> bool {
    let io = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    io.is_some_and(|io| io.kind() == io::ErrorKind::PermissionDenied && io.raw_os_error().is_none())
}

fn is_authentication(error: &Error) -> bool {
    let text = error.to_string();
    text.starts_with("authentication error") || text.starts_with("invalid configuration")
}

fn is_conversion(error: &Error) -> bool {
    let text = error.to_string();
    text.starts_with("error deserializing column") || text.starts_with("error serializing parameter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_meaning_that_a_caller_can_act_on() {
        let retryable = [
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::CONNECTION_FAILURE,
            SqlState::DISK_FULL,
            SqlState::OUT_OF_MEMORY,
        ];
        for code in retryable {
            assert!(of_code(&code).is_retryable(), "{code:?}");
        }
        let lasting = [
            SqlState::UNDEFINED_TABLE,
            SqlState::INVALID_PASSWORD,
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::DATA_CORRUPTED,
            SqlState::SYNTAX_ERROR,
        ];
        for code in lasting {
            assert!(!of_code(&code).is_retryable(), "{code:?}");
        }
    }
}
