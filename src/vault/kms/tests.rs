//! The contract of key services, and whether the programs that tests need are installed.

use std::sync::Arc;
use std::time::Duration;

use crate::model::TenantId;
use crate::secret::SecretBytes;
use crate::vault::envelope::VaultId;
use crate::vault::{KeyContext, KeyEncryption, KeyServiceError, MasterKey, MasterKeys, SealedVault};

const VAULT: VaultId = VaultId::from_bytes([9; 16]);

/// Returns whether tests must run that need a program which may not be installed.
pub(super) fn is_required() -> bool {
    std::env::var_os("VALETKEY_KMS").is_some_and(|value| value == "required")
}

/// Reports that a test did not run, which fails it if it must run.
#[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
pub(super) fn skipped(what: &str) {
    assert!(!is_required(), "{what} is not installed");
    eprintln!("skipped: {what} is not installed");
}

/// Checks the contract of [`KeyEncryption`].
pub(super) fn check_contract(service: &dyn KeyEncryption) {
    let (acme, other) = (
        TenantId::new("acme").unwrap(),
        TenantId::new("другая команда").unwrap(),
    );
    let elsewhere = VaultId::from_bytes([8; 16]);
    let contexts = [
        KeyContext::tenant_of(&VAULT, &acme),
        KeyContext::tenant_of(&VAULT, &other),
        KeyContext::tenant_of(&elsewhere, &acme),
        KeyContext::vault(&VAULT),
        KeyContext::master_key(),
    ];
    for context in &contexts {
        let key = SecretBytes::new((0..32).collect());
        let wrapped = service.wrap(&key, context).unwrap();
        assert!(
            !wrapped
                .windows(8)
                .any(|window| window == &key.expose_secret()[..8])
        );
        let back = service.unwrap(&wrapped, context).unwrap();
        assert_eq!(back.expose_secret(), key.expose_secret());
        for foreign in contexts.iter().filter(|foreign| *foreign != context) {
            let refused = service.unwrap(&wrapped, foreign).unwrap_err();
            // A service with one key for each tenant may not have the other tenant's key.
            assert!(
                matches!(refused, KeyServiceError::Mismatch | KeyServiceError::UnknownKey),
                "{refused:?}"
            );
        }
        let mut altered = wrapped.clone();
        let middle = altered.len() - 20;
        altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };
        assert_eq!(
            service.unwrap(&altered, context).unwrap_err(),
            KeyServiceError::Mismatch
        );
        assert!(service.unwrap(&wrapped[..wrapped.len() / 2], context).is_err());
        assert!(service.unwrap(b"", context).is_err());
    }
}

/// Checks that a vault works whose keys the service wraps.
pub(super) fn check_vault(service: &Arc<impl KeyEncryption>) {
    let store = Arc::new(crate::vault::sealed::MemoryStore::new());
    let open = |keys: MasterKeys| SealedVault::open(Arc::clone(&store), keys);
    let vault = open(MasterKeys::wrapped_by(Arc::clone(service))).unwrap();
    drop(vault);
    open(MasterKeys::wrapped_by(Arc::clone(service)).keep_unwrapped(Duration::ZERO)).unwrap();
    assert!(open(MasterKey::generate().unwrap().into()).is_err());
}
