//! The encodings of consent requests, compared with known answers, and the effect of altered rows.

use serde::Deserialize;

use super::*;
use crate::model::{ConsentId, Parameters};
use crate::vault::envelope::VaultId;
use crate::vault::envelope::vectors::{self, Hex, Number};
use crate::vault::sealed::rows::tests::owner_of;

#[derive(Deserialize)]
struct Answer {
    name: String,
    tenant: String,
    vault: Hex,
    data_key: Hex,
    version: u32,
    id: Hex,
    state: Hex,
    binding: Hex,
    user: String,
    owner: Option<String>,
    provider: String,
    server: String,
    issuer: Option<String>,
    token_endpoint: String,
    client_id: String,
    redirect_uri: String,
    scopes: Vec<String>,
    services: BTreeMap<String, Vec<String>>,
    parameters: Parameters,
    label: Option<String>,
    purpose: String,
    target: Option<Hex>,
    require_account: bool,
    return_to: Option<String>,
    named_scopes: Option<Vec<String>>,
    added_scopes: Vec<String>,
    login_hint: Option<String>,
    prompt: Option<String>,
    max_age: Option<Number>,
    acr_values: Option<String>,
    created_at: i64,
    expires_at: i64,
    verifier: Option<String>,
    body: Hex,
    route: Hex,
    sealed: Hex,
}

impl Answer {
    fn tenant(&self) -> Tenant {
        Tenant::with_key(
            TenantId::new(self.tenant.as_str()).unwrap(),
            VaultId::from_bytes(self.vault.array()),
            self.data_key.data_key(self.version),
        )
    }

    fn consent(&self) -> PendingConsent {
        let services = self.services.iter().map(|(provider, scopes)| {
            let provider = ProviderId::new(provider.as_str()).unwrap();
            (provider, Scopes::new(scopes.iter().cloned()).unwrap())
        });
        let target = self
            .target
            .as_ref()
            .map(|id| ConnectionId::from_bytes(id.array()));
        PendingConsent {
            id: ConsentId::from_bytes(self.id.array()),
            state: StateHash::from_bytes(self.state.array()),
            binding: StateHash::from_bytes(self.binding.array()),
            tenant: TenantId::new(self.tenant.as_str()).unwrap(),
            user: UserId::new(self.user.as_str()).unwrap(),
            owner: owner_of(self.owner.as_ref()),
            provider: ProviderId::new(self.provider.as_str()).unwrap(),
            server: ServerId::new(self.server.as_str()).unwrap(),
            issuer: self.issuer.clone(),
            token_endpoint: self.token_endpoint.clone(),
            client_id: self.client_id.clone(),
            redirect_uri: self.redirect_uri.clone(),
            scopes: Scopes::new(self.scopes.iter().cloned()).unwrap(),
            services: services.collect(),
            parameters: self.parameters.clone(),
            label: self
                .label
                .as_ref()
                .map(|label| Label::new(label.as_str()).unwrap()),
            purpose: purpose(&self.purpose, target).unwrap(),
            require_account: self.require_account,
            return_to: self.return_to.clone(),
            request: self.request(),
            created_at: Timestamp::from_unix_millis(self.created_at),
            expires_at: Timestamp::from_unix_millis(self.expires_at),
            status: ConsentStatus::Pending,
        }
    }

    fn request(&self) -> RequestOptions {
        let scopes = |names: &Vec<String>| Scopes::new(names.iter().cloned()).unwrap();
        let mut request = RequestOptions {
            scopes: self.named_scopes.as_ref().map(scopes),
            added_scopes: scopes(&self.added_scopes),
            hints: Hints::default(),
        };
        request.hints.login_hint.clone_from(&self.login_hint);
        request.hints.prompt = self
            .prompt
            .as_ref()
            .map(|prompt| Prompt::from_text(prompt).unwrap());
        request.hints.max_age = self.max_age.map(|nanos| Duration::from_nanos(nanos.0));
        request.hints.acr_values.clone_from(&self.acr_values);
        request
    }
}

fn answers() -> Vec<Answer> {
    let answers: Vec<Answer> = vectors::format_2("consents");
    assert_eq!(answers.len(), 2);
    answers
}

#[test]
fn consent_requests_have_the_known_bodies_and_routes() {
    for answer in answers() {
        let expected = answer.consent();
        let row = consent_row(&expected, answer.version, answer.tenant().row_key());
        assert_eq!(row.body, answer.body.0, "{}", answer.name);
        assert_eq!(route(&row), answer.route.0, "{}", answer.name);
        assert_eq!(
            consent(&row, &expected.tenant, answer.tenant().row_key()).unwrap(),
            expected,
            "{}",
            answer.name
        );
    }
}

#[test]
fn verifiers_open_under_the_known_routes() {
    for answer in answers() {
        let (tenant, consent) = (answer.tenant(), answer.consent());
        let route = route(&consent_row(&consent, answer.version, answer.tenant().row_key()));
        let context = context(&tenant, &consent, &route);
        let opened = tenant.key().open(&context, answer.sealed.0).unwrap();
        let text = opened.into_only_text().unwrap();
        assert_eq!(*text, answer.verifier.unwrap_or_default(), "{}", answer.name);
    }
}

#[test]
fn promise_04_a_verifier_opens_for_no_altered_request() {
    let answer = answers().remove(0);
    let tenant = answer.tenant();
    let alterations: [fn(&mut PendingConsent); 28] = [
        |consent| consent.id = ConsentId::from_bytes([1; 16]),
        |consent| consent.state = StateHash::from_bytes([1; 32]),
        |consent| consent.binding = StateHash::from_bytes([1; 32]),
        |consent| consent.user = UserId::new("mallory").unwrap(),
        |consent| consent.owner = owner_of(Some(&"alice".into())),
        |consent| consent.provider = ProviderId::new("calendar").unwrap(),
        |consent| consent.server = ServerId::new("evil").unwrap(),
        |consent| consent.issuer = None,
        |consent| consent.token_endpoint = "https://evil.test/token".into(),
        |consent| consent.client_id.push('x'),
        |consent| consent.redirect_uri.push('x'),
        |consent| consent.scopes = Scopes::default(),
        |consent| consent.services.clear(),
        |consent| drop(consent.parameters.insert("region".into(), "us".into())),
        |consent| consent.label = None,
        |consent| consent.purpose = Purpose::Connect,
        |consent| consent.purpose = Purpose::Extend(ConnectionId::from_bytes([1; 16])),
        |consent| consent.purpose = Purpose::SwitchAccount(consent.purpose.target().unwrap()),
        |consent| consent.require_account = false,
        |consent| consent.return_to = Some("https://evil.test".into()),
        |consent| consent.request.scopes = None,
        |consent| consent.request.added_scopes = Scopes::default(),
        |consent| consent.request.hints.login_hint = Some("mallory@evil.test".into()),
        |consent| consent.request.hints.prompt = Some(Prompt::None),
        |consent| consent.request.hints.max_age = None,
        |consent| consent.request.hints.acr_values = None,
        |consent| consent.created_at = Timestamp::from_unix_millis(0),
        |consent| consent.expires_at = Timestamp::from_unix_millis(i64::MAX),
    ];
    for (at, alter) in alterations.into_iter().enumerate() {
        let mut consent = answer.consent();
        alter(&mut consent);
        let route = route(&consent_row(&consent, answer.version, answer.tenant().row_key()));
        let opened = tenant
            .key()
            .open(&context(&tenant, &consent, &route), answer.sealed.0.clone());
        assert!(matches!(opened, Err(VaultError::Tampered)), "alteration {at}");
    }
}
