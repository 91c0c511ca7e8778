//! Samples of the errors of a vault, of its key services and of a transfer.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use super::{Sample, sample};
use crate::error::Error;
use crate::vault::{KeyServiceError, TransferError, VaultError};

pub(super) fn key_services() -> Vec<Sample> {
    vec![
        sample!(KeyServiceError::Denied),
        sample!(KeyServiceError::UnknownKey),
        sample!(KeyServiceError::Disabled),
        sample!(KeyServiceError::Mismatch),
        sample!(KeyServiceError::Unavailable { retry_after: None }),
        sample!(KeyServiceError::Protocol("its answer cannot be read")),
    ]
}

pub(super) fn transfers() -> Vec<Sample> {
    vec![
        sample!(TransferError::Source(VaultError::Busy)),
        sample!(TransferError::Target(VaultError::DiskFull)),
        sample!(TransferError::SameVault),
        sample!(TransferError::NotEmpty),
        sample!(TransferError::OtherTarget),
        sample!(TransferError::RefreshUnderWay(3)),
        sample!(TransferError::Differs("grant")),
        sample!(TransferError::Ended),
    ]
}

pub(super) fn errors() -> Vec<Sample> {
    let source = Arc::new(std::io::Error::other("cause"));
    vec![
        sample!(VaultError::KeyNotSet("VALETKEY_MASTER_KEY".into())),
        sample!(VaultError::KeyUnreadable(ErrorKind::NotFound)),
        sample!(VaultError::KeyNotAFile),
        sample!(VaultError::KeyExposed { mode: 0o644 }),
        sample!(VaultError::KeyNotBase64),
        sample!(VaultError::KeyWrongLength),
        sample!(VaultError::WrongMasterKey),
        sample!(VaultError::UnknownMasterKey),
        sample!(VaultError::FormerMasterKey),
        sample!(VaultError::KeyService(KeyServiceError::Denied)),
        sample!(VaultError::Tampered),
        sample!(VaultError::NotAVault),
        sample!(VaultError::NewerVersion {
            found: 9,
            supported: 8
        }),
        sample!(VaultError::Damaged),
        sample!(VaultError::Mixed),
        sample!(VaultError::Replaced),
        sample!(VaultError::InUse),
        sample!(VaultError::ReadOnly),
        sample!(VaultError::AccessDenied("the directory of the vault")),
        sample!(VaultError::NoDirectory),
        sample!(VaultError::TooManyOpenFiles),
        sample!(VaultError::CannotOpen),
        sample!(VaultError::UnsafePath("it is a link")),
        sample!(VaultError::OtherOwner { file: 1, process: 2 }),
        sample!(VaultError::OtherGroup { file: 1, process: 2 }),
        sample!(VaultError::UnknownFileSystem("nfs".into())),
        sample!(VaultError::Forked),
        sample!(VaultError::Unsupported("it has no threads")),
        sample!(VaultError::NotSupported("backups")),
        sample!(VaultError::Busy),
        sample!(VaultError::Unreachable),
        sample!(VaultError::Moved),
        sample!(VaultError::Incomplete),
        sample!(VaultError::DiskFull),
        sample!(VaultError::TooLarge),
        sample!(VaultError::RandomUnavailable),
        sample!(VaultError::Storage(source)),
    ]
}

#[test]
fn a_message_says_retry_if_and_only_if_the_error_is_retryable() {
    let wait = Some(Duration::from_secs(7));
    let service = KeyServiceError::Unavailable { retry_after: wait };
    let retryable = [
        VaultError::Busy,
        VaultError::CannotOpen,
        VaultError::DiskFull,
        VaultError::RandomUnavailable,
        VaultError::TooManyOpenFiles,
        VaultError::Unreachable,
    ];
    let says = errors()
        .into_iter()
        .filter(|sample| sample.message.ends_with("retry"))
        .map(|sample| sample.variant.to_owned())
        .collect::<BTreeSet<_>>();
    let names = retryable.iter().map(|error| format!("{error:?}")).collect();
    assert_eq!(says, names);
    for error in retryable.into_iter().chain([service.clone().into()]) {
        assert!(error.is_retryable(), "{error}");
        assert!(Error::from(error.clone()).is_retryable(), "{error}");
    }
    assert!(Error::RandomUnavailable.is_retryable());
    assert!(!Error::from(VaultError::Damaged).is_retryable());
    assert_eq!(Error::from(VaultError::from(service)).retry_after(), wait);
}
