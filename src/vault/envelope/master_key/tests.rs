use super::*;

const KEY: &str = "+/8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0=";

#[test]
fn every_variant_of_base64_is_read() {
    let key = MasterKey::from_base64(KEY).unwrap();
    for text in [
        KEY.to_owned(),
        KEY.trim_end_matches('=').to_owned(),
        KEY.replace('+', "-").replace('/', "_"),
        KEY.replace('+', "-").replace('/', "_").replace('=', ""),
        format!(" {KEY}\n"),
    ] {
        assert_eq!(MasterKey::from_base64(&text).unwrap().id(), key.id(), "{text:?}");
    }
    assert_eq!(key.to_base64().as_str(), KEY);
}

#[test]
fn other_text_than_32_bytes_is_refused_and_not_repeated() {
    for (text, error) in [
        ("", VaultError::KeyWrongLength),
        ("AAAA", VaultError::KeyWrongLength),
        (&KEY[..40], VaultError::KeyWrongLength),
        (&format!("AAAA{KEY}"), VaultError::KeyWrongLength),
        (&"A".repeat(4096), VaultError::KeyWrongLength),
        (&KEY.replace("AQI", "A*I"), VaultError::KeyNotBase64),
    ] {
        let found = MasterKey::from_base64(text).unwrap_err();
        assert_eq!(format!("{found:?}"), format!("{error:?}"), "{text:?}");
        assert!(text.is_empty() || !format!("{found:?} {found}").contains(text));
    }
    let unset = MasterKey::from_env("VALETKEY_NO_SUCH_VARIABLE").unwrap_err();
    assert!(matches!(unset, VaultError::KeyNotSet(name) if name == "VALETKEY_NO_SUCH_VARIABLE"));
}

#[test]
fn debug_output_shows_the_id_and_not_the_key() {
    let key = MasterKey::new(Box::new(Zeroizing::new([0xab; 32])));
    let debug = format!("{key:?}");
    assert_eq!(debug.len(), "MasterKey()".len() + 32);
    assert!(!debug.contains("abab"));
}

#[test]
fn subkeys_differ_by_label_and_key() {
    let secret = Zeroizing::new([1; 32]);
    let other = Zeroizing::new([2; 32]);
    let derived = |secret: &Zeroizing<[u8; 32]>, label: &[u8]| {
        let mut out = [0; 32];
        derive(secret, label, &mut out);
        out
    };
    let all = [
        derived(&secret, b"kek"),
        derived(&secret, b"audit"),
        derived(&secret, b"fingerprint"),
        derived(&other, b"kek"),
    ];
    for (at, one) in all.iter().enumerate() {
        assert_ne!(*one, *secret.as_slice());
        assert!(all[..at].iter().all(|earlier| earlier != one));
    }
}

#[test]
fn check_values_belong_to_one_key_and_one_vault() {
    let (one, other) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
    let (here, there) = (VaultId::from_bytes([1; 16]), VaultId::from_bytes([2; 16]));
    assert_eq!(one.check_value(here), one.check_value(here));
    assert_ne!(one.check_value(here), one.check_value(there));
    assert_ne!(one.check_value(here), other.check_value(here));
}
