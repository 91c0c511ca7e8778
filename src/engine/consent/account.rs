//! Determines which account a consent connected, as reported by each service involved.
//!
//! The sources, in this order: the fields that the descriptor names in the token response, the
//! account endpoint, and, if the descriptor names neither, the ID token. If a source exists, it
//! must identify the account: otherwise a connection could silently switch to another account.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Context;
use crate::engine::context::Service;
use crate::engine::persist;
use crate::error::{ConsentError, Result};
use crate::http::HttpResponse;
use crate::model::{Account, Parameters, ProviderId};
use crate::protocol::{
    IdTokenError, TokenResponse, account_in_answer, account_in_id_token, account_request, parse_account,
};
use crate::provider::ProviderDescriptor;
use crate::provider::compiled::CompiledProvider;
use crate::secret::AccessToken;
use crate::vault::{PendingConsent, Purpose};

/// Returns the account as reported by each service. Services without a source are omitted.
pub(crate) fn accounts(
    cx: &Context,
    consent: &PendingConsent,
    service: &Service,
    response: &HttpResponse,
    answer: &TokenResponse,
) -> Result<BTreeMap<ProviderId, Account>> {
    let target = match consent.purpose {
        Purpose::Extend(id) => persist::persist(cx, || cx.vault.connection(&consent.tenant, id))?,
        _ => None,
    };
    let target = target.map(|target| target.provider);
    let others = consent.services.keys().chain(&target);
    let mut accounts = BTreeMap::new();
    // Services with the same source are queried once.
    let mut asked: Vec<(Arc<CompiledProvider>, Option<Account>)> = Vec::new();
    for id in [&consent.provider].into_iter().chain(others) {
        let Some(entry) = persist::prepare(cx, || cx.entry(&consent.tenant, id.as_str()))? else {
            continue;
        };
        let provider = &entry.provider;
        let alike = asked.iter().find(|(other, _)| {
            other.account == provider.account && other.account_in_answer == provider.account_in_answer
        });
        let account = match alike {
            Some((_, account)) => account.clone(),
            None => {
                let service = Service {
                    provider: Arc::clone(provider),
                    ..service.clone()
                };
                service.check_instance(&consent.parameters, &Parameters::new())?;
                let account = account(cx, consent, &service, response, answer)?;
                asked.push((service.provider, account.clone()));
                account
            }
        };
        accounts.extend(account.map(|account| (id.clone(), account)));
    }
    let named = [&consent.provider].into_iter().chain(consent.services.keys());
    if consent.require_account && named.into_iter().any(|id| !accounts.contains_key(id)) {
        return Err(ConsentError::AccountUnknown.into());
    }
    Ok(accounts)
}

/// Returns the account from the service's own sources, or `None` if it has none.
fn account(
    cx: &Context,
    consent: &PendingConsent,
    service: &Service,
    response: &HttpResponse,
    answer: &TokenResponse,
) -> Result<Option<Account>, ConsentError> {
    let ProviderDescriptor {
        account,
        account_in_answer: pointers,
        ..
    } = &**service.provider;
    if account.is_some() || pointers.is_some() {
        return pointers
            .as_ref()
            .and_then(|pointers| account_in_answer(pointers, response))
            .or_else(|| ask(cx, consent, service, &answer.access_token))
            .map(Some)
            .ok_or(ConsentError::AccountUnknown);
    }
    let Some(id_token) = &answer.id_token else {
        return Ok(None);
    };
    match account_in_id_token(id_token, consent.issuer.as_deref(), &consent.client_id) {
        Ok(account) => Ok(Some(account)),
        // Nothing here can read the field, so the service has no source.
        Err(IdTokenError::NotSigned) => Ok(None),
        Err(_) => Err(ConsentError::AccountUnknown),
    }
}

/// Queries the account endpoint, if there is one.
fn ask(
    cx: &Context,
    consent: &PendingConsent,
    service: &Service,
    access_token: &AccessToken,
) -> Option<Account> {
    let endpoint = service.provider.account.as_ref()?;
    let url = service.provider.account_url(&consent.parameters)?;
    let mut request = account_request(&service.provider, &url, access_token).ok()?;
    service.add_to_request(&consent.parameters, &mut request);
    request.timeout = cx.settings.http_timeout;
    let response = cx.http.send(service.provider.bounded(request)).ok()?;
    parse_account(endpoint, &response)
}
