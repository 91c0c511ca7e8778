use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;
use crate::model::TenantId;
use crate::vault::MasterKey;
use crate::vault::envelope::VaultId;
use crate::vault::kms::tests::{check_contract, skipped};

const TOKEN: &str = "agents token";
const PIN: &str = "1234";

/// Returns the module of SoftHSM, if it is installed.
fn module() -> Option<PathBuf> {
    [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|path| path.exists())
}

/// Makes a token in this directory with an AES key that cannot leave it.
fn make_token(directory: &Path, module: &Path) {
    let tokens = directory.join("tokens");
    fs::create_dir(&tokens).unwrap();
    fs::write(
        directory.join("softhsm2.conf"),
        format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()),
    )
    .unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program)
            .args(arguments)
            .env("SOFTHSM2_CONF", directory.join("softhsm2.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(status.success(), "{program} {arguments:?}");
    };
    run(
        "softhsm2-util",
        &[
            "--init-token",
            "--free",
            "--label",
            TOKEN,
            "--so-pin",
            "5678",
            "--pin",
            PIN,
        ],
    );
    let module = module.to_str().unwrap();
    for label in ["agents", "doomed", "twice", "twice"] {
        run(
            "pkcs11-tool",
            &[
                "--module",
                module,
                "--token-label",
                TOKEN,
                "--login",
                "--pin",
                PIN,
                "--keygen",
                "--key-type",
                "AES:32",
                "--label",
                label,
                "--sensitive",
            ],
        );
    }
}

fn pin(text: &'static str) -> impl Fn() -> Result<SecretBytes, KeyServiceError> + Send + Sync {
    move || Ok(SecretBytes::new(text.as_bytes().to_vec()))
}

/// The parts of this test run in a separate process, because SoftHSM reads its configuration from
/// the environment.
#[test]
fn an_hsm_wraps_keys() {
    let Some(module) = module() else {
        return skipped("SoftHSM");
    };
    let directory = tempfile::tempdir().unwrap();
    make_token(directory.path(), &module);
    let here = Command::new(env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "vault::kms::pkcs11::tests::with_a_token",
            "--nocapture",
        ])
        .env("SOFTHSM2_CONF", directory.path().join("softhsm2.conf"))
        .env("VALETKEY_PKCS11_MODULE", &module)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&here.stdout);
    assert!(
        here.status.success() && printed.contains("1 passed"),
        "{printed}{}",
        String::from_utf8_lossy(&here.stderr)
    );
}

#[test]
#[ignore = "started by `an_hsm_wraps_keys`"]
fn with_a_token() {
    let module = PathBuf::from(env::var_os("VALETKEY_PKCS11_MODULE").unwrap());
    let key = |label: &str, pin_text| Pkcs11Key::new(&module, TOKEN, label, pin(pin_text));
    let service = key("agents", PIN);
    check_contract(&service);
    reopens_a_closed_session(&service);

    let (tenant, vault) = (TenantId::new("acme").unwrap(), VaultId::from_bytes([9; 16]));
    let context = KeyContext::tenant_of(&vault, &tenant);
    let wrap = |service: &Pkcs11Key| {
        service
            .wrap(&SecretBytes::new(vec![7; 32]), &context)
            .unwrap_err()
    };
    assert_eq!(wrap(&key("no such key", PIN)), KeyServiceError::UnknownKey);
    assert!(matches!(wrap(&key("twice", PIN)), KeyServiceError::Protocol(_)));
    let no_token = Pkcs11Key::new(&module, "no such token", "agents", pin(PIN));
    assert!(wrap(&no_token).is_retryable(), "a token can be inserted");
    let no_module = Pkcs11Key::new("/no/such/module.so", TOKEN, "agents", pin(PIN));
    assert!(matches!(wrap(&no_module), KeyServiceError::Protocol(_)));

    let sealed = MasterKey::generate().unwrap().seal(&service).unwrap();
    assert!(MasterKey::unseal(&service, &sealed).is_ok());

    assert!(matches!(
        key("twice", PIN).destroy(),
        Err(KeyServiceError::Protocol(_))
    ));
    let doomed = key("doomed", PIN);
    let sealed = MasterKey::generate().unwrap().seal(&doomed).unwrap();
    assert_eq!(doomed.destroy().unwrap(), Destruction::Done);
    for service in [&doomed, &key("doomed", PIN)] {
        assert!(matches!(
            MasterKey::unseal(service, &sealed),
            Err(crate::vault::VaultError::KeyService(KeyServiceError::UnknownKey))
        ));
        assert_eq!(service.destroy().unwrap(), Destruction::Done, "a repeated call");
    }
    wrong_pin_is_denied(service, &key("agents", "0000"));
}

fn wrong_pin_is_denied(service: Pkcs11Key, other: &Pkcs11Key) {
    // A token checks the PIN only while no session of the process is logged in.
    Pkcs11::new(&service.module).unwrap().finalize().unwrap();
    drop(service);
    let failed = other.wrap(&SecretBytes::new(vec![7; 32]), &KeyContext::master_key());
    assert_eq!(failed.unwrap_err(), KeyServiceError::Denied);
}

fn reopens_a_closed_session(service: &Pkcs11Key) {
    let context = KeyContext::master_key();
    let wrapped = service.wrap(&SecretBytes::new(vec![7; 32]), &context).unwrap();
    // The module is shut down as by another part of the process.
    Pkcs11::new(&service.module).unwrap().finalize().unwrap();
    let back = service.unwrap(&wrapped, &context).unwrap();
    assert_eq!(back.expose_secret(), [7; 32]);
}

#[test]
fn the_codes_of_modules_have_one_meaning_each() {
    let meaning = |code| failure(&Error::Pkcs11(code, cryptoki::context::Function::Decrypt));
    assert_eq!(meaning(RvError::PinIncorrect), KeyServiceError::Denied);
    assert_eq!(meaning(RvError::PinLocked), KeyServiceError::Denied);
    assert_eq!(meaning(RvError::EncryptedDataInvalid), KeyServiceError::Mismatch);
    assert!(meaning(RvError::DeviceRemoved).is_retryable());
    assert!(!meaning(RvError::MechanismInvalid).is_retryable());
    assert!(!failure(&Error::NullFunctionPointer).is_retryable());
}
