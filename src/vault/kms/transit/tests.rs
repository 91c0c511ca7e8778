use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::http::Body;
use crate::vault::MasterKey;
use crate::vault::kms::tests::check_contract;

/// A server that answers as the documentation of the engine describes. The engine itself is not
/// available to these tests.
#[derive(Clone, Default)]
struct Engine(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    keys: BTreeMap<String, (MasterKey, bool)>,
    requests: Vec<String>,
    refuse: Option<(u16, &'static str)>,
}

#[derive(Deserialize)]
struct Asked {
    plaintext: Option<String>,
    ciphertext: Option<String>,
    associated_data: Option<String>,
}

impl Engine {
    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let mut state = self.0.lock().unwrap();
        state
            .requests
            .push(format!("{} {}", request.method, request.url.path()));
        if let Some((status, body)) = state.refuse {
            return said(status, body.to_owned());
        }
        if request.headers["x-vault-token"] != "t0ken" {
            return said(403, r#"{"errors":["permission denied"]}"#.to_owned());
        }
        let path = request.url.path().strip_prefix("/v1/transit/").unwrap();
        if (path, request.url.query()) == ("keys", Some("list=true")) {
            return state.list();
        }
        let (verb, name) = path.split_once('/').unwrap();
        match verb {
            "keys" => state.administer(&request.method, name),
            "encrypt" | "decrypt" => {
                let asked: Asked = serde_json::from_slice(request.body.as_bytes()).unwrap();
                state.crypt(verb, name, &asked)
            }
            _ => said(404, r#"{"errors":[]}"#.to_owned()),
        }
    }
}

impl State {
    fn list(&self) -> HttpResponse {
        if self.keys.is_empty() {
            return said(404, r#"{"errors":[]}"#.to_owned());
        }
        let names: Vec<_> = self.keys.keys().map(|name| format!("\"{name}\"")).collect();
        said(200, format!(r#"{{"data":{{"keys":[{}]}}}}"#, names.join(",")))
    }

    fn administer(&mut self, method: &Method, name: &str) -> HttpResponse {
        if let Some(name) = name.strip_suffix("/config") {
            return match self.keys.get_mut(name) {
                Some((_, deletable)) => {
                    *deletable = true;
                    said(204, String::new())
                }
                None => said(
                    400,
                    r#"{"errors":["no existing key named that could be found"]}"#.to_owned(),
                ),
            };
        }
        assert_eq!(method, Method::DELETE);
        match self.keys.remove(name) {
            Some((_, true)) => said(204, String::new()),
            _ => said(
                400,
                r#"{"errors":["could not delete key; deletion is not allowed"]}"#.to_owned(),
            ),
        }
    }

    fn crypt(&mut self, verb: &str, name: &str, asked: &Asked) -> HttpResponse {
        if verb == "encrypt" {
            self.keys
                .entry(name.to_owned())
                .or_insert_with(|| (MasterKey::generate().unwrap(), false));
        }
        let Some((key, _)) = self.keys.get(name) else {
            return said(400, r#"{"errors":["encryption key not found"]}"#.to_owned());
        };
        let cipher = key.derived_cipher(b"engine");
        let aad = STANDARD.decode(asked.associated_data.as_ref().unwrap()).unwrap();
        if verb == "encrypt" {
            let mut text = STANDARD.decode(asked.plaintext.as_ref().unwrap()).unwrap();
            let mut nonce = [0; 12];
            crate::random::fill(&mut nonce).unwrap();
            cipher.seal(nonce, &aad, &mut text, 0).unwrap();
            text.splice(0..0, nonce);
            let text = STANDARD.encode(text);
            return said(
                200,
                format!(r#"{{"data":{{"ciphertext":"vault:v1:{text}","key_version":1}}}}"#),
            );
        }
        let text = asked.ciphertext.as_ref().unwrap().strip_prefix("vault:v1:");
        let Some(mut text) = text.and_then(|text| STANDARD.decode(text).ok()) else {
            return said(400, r#"{"errors":["invalid ciphertext: no prefix"]}"#.to_owned());
        };
        if text.len() < 12 {
            return said(400, r#"{"errors":["invalid ciphertext: too short"]}"#.to_owned());
        }
        let nonce = *text.first_chunk::<12>().unwrap();
        match cipher.open(nonce, &aad, &mut text[12..]) {
            Ok(key) => said(
                200,
                format!(r#"{{"data":{{"plaintext":"{}"}}}}"#, STANDARD.encode(key)),
            ),
            Err(_) => said(
                400,
                r#"{"errors":["cipher: message authentication failed"]}"#.to_owned(),
            ),
        }
    }
}

fn said(status: u16, body: String) -> HttpResponse {
    HttpResponse::new(StatusCode::from_u16(status).unwrap(), Body::from(body))
}

fn transit(engine: &Engine, token: &'static str) -> VaultTransit {
    let engine = engine.clone();
    let client = move |request: HttpRequest| Ok(engine.answer(&request));
    let token = move || Ok(SecretBytes::new(token.as_bytes().to_vec()));
    VaultTransit::new(
        "https://vault.test:8200".parse().unwrap(),
        "agents",
        token,
        client,
    )
    .unwrap()
}

#[test]
fn the_engine_wraps_keys() {
    let engine = Engine::default();
    check_contract(&transit(&engine, "t0ken"));
    let sealed = MasterKey::generate()
        .unwrap()
        .seal(&transit(&engine, "t0ken"))
        .unwrap();
    assert!(MasterKey::unseal(&transit(&engine, "t0ken"), &sealed).is_ok());
}

#[test]
fn each_tenant_has_a_key_and_deleting_it_ends_what_it_wrapped() {
    let engine = Engine::default();
    let transit = transit(&engine, "t0ken");
    let (acme, other) = (TenantId::new("acme").unwrap(), TenantId::new("other").unwrap());
    let vault = crate::vault::envelope::VaultId::from_bytes([9; 16]);
    let wrap = |tenant| {
        let context = KeyContext::tenant_of(&vault, tenant);
        transit.wrap(&SecretBytes::new(vec![7; 32]), &context).unwrap()
    };
    let (of_acme, of_other) = (wrap(&acme), wrap(&other));
    assert_eq!(engine.0.lock().unwrap().keys.len(), 2);
    transit.delete_key(&acme).unwrap();
    let gone = transit.unwrap(&of_acme, &KeyContext::tenant_of(&vault, &acme));
    assert_eq!(gone.unwrap_err(), KeyServiceError::UnknownKey);
    assert!(
        transit
            .unwrap(&of_other, &KeyContext::tenant_of(&vault, &other))
            .is_ok()
    );
    transit.delete_key(&acme).unwrap();
}

#[test]
fn all_keys_of_a_prefix_are_destroyed_and_no_others() {
    let engine = Engine::default();
    let transit = transit(&engine, "t0ken");
    assert_eq!(transit.destroy().unwrap(), Destruction::Done, "there are no keys");
    let vault = crate::vault::envelope::VaultId::from_bytes([9; 16]);
    let wrap = |context: &KeyContext<'_>| {
        let key = SecretBytes::new(vec![7; 32]);
        transit.wrap(&key, context).unwrap()
    };
    let of_vault = wrap(&KeyContext::vault(&vault));
    for number in 0..150 {
        let tenant = TenantId::new(format!("tenant-{number}")).unwrap();
        wrap(&KeyContext::tenant_of(&vault, &tenant));
    }
    let foreign = ["agents-2-vault", "agents", "other-vault", "agents-0123"];
    for name in foreign {
        let key = (MasterKey::generate().unwrap(), false);
        engine.0.lock().unwrap().keys.insert(name.to_owned(), key);
    }
    assert_eq!(transit.destroy().unwrap(), Destruction::Underway);
    // The key of the vault is the last one, so that a rotation that is continued finds its vault.
    assert!(transit.unwrap(&of_vault, &KeyContext::vault(&vault)).is_ok());
    assert_eq!(transit.destroy().unwrap(), Destruction::Done);
    let gone = transit.unwrap(&of_vault, &KeyContext::vault(&vault));
    assert_eq!(gone.unwrap_err(), KeyServiceError::UnknownKey);
    let mut left: Vec<_> = engine.0.lock().unwrap().keys.keys().cloned().collect();
    left.sort_by_key(|name| foreign.iter().position(|it| it == name));
    assert_eq!(left, foreign);
    assert_eq!(transit.destroy().unwrap(), Destruction::Done);
    engine.0.lock().unwrap().refuse = Some((403, r#"{"errors":["permission denied"]}"#));
    assert_eq!(transit.destroy().unwrap_err(), KeyServiceError::Denied);
}

#[test]
fn failures_are_typed_and_repeat_nothing() {
    let unavailable = KeyServiceError::Unavailable { retry_after: None };
    let table: [(u16, &str, KeyServiceError); 8] = [
        (403, r#"{"errors":["m4rker"]}"#, KeyServiceError::Denied),
        (404, r#"{"errors":[]}"#, KeyServiceError::UnknownKey),
        (
            400,
            r#"{"errors":["encryption key not found"]}"#,
            KeyServiceError::UnknownKey,
        ),
        (
            400,
            r#"{"errors":["ciphertext or signature version is disallowed by policy (too old)"]}"#,
            KeyServiceError::Disabled,
        ),
        (
            400,
            r#"{"errors":["cipher: message authentication failed"]}"#,
            KeyServiceError::Mismatch,
        ),
        (429, "m4rker", unavailable.clone()),
        (503, r#"{"errors":["Vault is sealed"]}"#, unavailable),
        (
            400,
            r#"{"errors":["m4rker"]}"#,
            KeyServiceError::Protocol("it refused the request"),
        ),
    ];
    let engine = Engine::default();
    let transit = transit(&engine, "t0ken");
    for (status, body, expected) in table {
        engine.0.lock().unwrap().refuse = Some((status, body));
        let failed = transit
            .unwrap(b"vault:v1:AAAA", &KeyContext::master_key())
            .unwrap_err();
        assert_eq!(failed, expected, "{body}");
        assert!(!failed.to_string().contains("m4rker"));
    }
}

#[test]
fn a_wrong_token_is_denied() {
    let transit = transit(&Engine::default(), "other");
    let failed = transit.wrap(&SecretBytes::new(vec![7; 32]), &KeyContext::master_key());
    assert_eq!(failed.unwrap_err(), KeyServiceError::Denied);
    assert!(!format!("{transit:?}").contains("other"));
}

#[test]
fn addresses_and_names_are_checked() {
    let new = |address: &str, prefix: &str| {
        VaultTransit::new(
            address.parse().unwrap(),
            prefix,
            || Err(KeyServiceError::Denied),
            |_: HttpRequest| Err(crate::http::HttpError::Connect),
        )
    };
    for (address, prefix) in [
        ("https://vault.test/v1", "agents"),
        ("https://user@vault.test/", "agents"),
        ("https://vault.test/?query", "agents"),
        ("https://vault.test/", ""),
        ("https://vault.test/", "../sys"),
        ("https://vault.test/", "a/b"),
    ] {
        assert!(
            matches!(new(address, prefix), Err(KeyServiceError::Protocol(_))),
            "{address} {prefix}"
        );
    }
    let transit = || new("https://vault.test/", "agents").unwrap();
    for path in ["", "/", "a//b", "a?b", "../x", "a b"] {
        assert!(transit().mount(path).is_err(), "{path}");
        assert!(transit().namespace(path).is_err(), "{path}");
    }
    let there = transit().mount("team/transit").unwrap().namespace("eu").unwrap();
    assert_ne!(there.name(), transit().name());
}
