//! The grants of the sandbox, recorded independently of the library under test.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;

use super::account::TestAccount;
use crate::model::{Scopes, Timestamp};
use crate::provider::RotationClass;
use crate::random;

/// Identifies a grant.
pub(super) type GrantId = usize;

/// The code or the refresh token is not valid. Servers do not give the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dead;

/// The user's decision, before the code is exchanged.
pub(super) struct Code {
    pub(super) client: String,
    pub(super) account: TestAccount,
    pub(super) scopes: Scopes,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    /// The issuer that the user consented at.
    pub(super) issuer: String,
    /// The only resource that accepts the tokens (RFC 8707).
    pub(super) resource: Option<String>,
    pub(super) expires_at: Timestamp,
}

struct IssuedCode {
    code: Code,
    /// The grant, once the code has been exchanged.
    grant: Option<GrantId>,
}

pub(super) struct Grant {
    /// The client that the token was issued to.
    pub(super) client: String,
    pub(super) account: TestAccount,
    pub(super) scopes: Scopes,
    pub(super) issuer: String,
    pub(super) resource: Option<String>,
}

struct Access {
    grant: GrantId,
    dead: bool,
    expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy)]
struct Refresh {
    grant: GrantId,
    state: RefreshState,
}

#[derive(Clone, Copy)]
enum RefreshState {
    Live,
    /// Replaced, but still accepted until this time.
    Until(Timestamp),
    /// Replaced: using it again is a replay.
    Spent,
    Revoked,
}

impl Refresh {
    fn is_live(&self, now: Timestamp) -> bool {
        match self.state {
            RefreshState::Live => true,
            RefreshState::Until(end) => now < end,
            RefreshState::Spent | RefreshState::Revoked => false,
        }
    }
}

impl Access {
    fn is_live(&self, now: Timestamp) -> bool {
        !self.dead && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Everything that the sandbox has issued, and its state.
#[derive(Default)]
pub(super) struct Grants {
    grants: Vec<Grant>,
    codes: BTreeMap<String, IssuedCode>,
    access: BTreeMap<String, Access>,
    refresh: BTreeMap<String, Refresh>,
    /// The most recently issued access token of each grant.
    latest: BTreeMap<GrantId, String>,
}

/// Returns a random value with a prefix that a leak test can search for.
pub(super) fn fresh(prefix: &str) -> String {
    let random = random::token_256().expect("the operating system gives random numbers");
    format!("{prefix}{}", random.as_str())
}

impl Grants {
    pub(super) fn issue_code(&mut self, code: Code) -> String {
        let value = fresh("sbx-code-");
        self.codes.insert(value.clone(), IssuedCode { code, grant: None });
        value
    }

    /// Exchanges a code for a grant: a new one, or with `join` the account's live one. A second
    /// exchange ends the grant of the first
    /// ([RFC 6749 §4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)).
    pub(super) fn redeem(
        &mut self,
        value: &str,
        client: &str,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
        join: bool,
        now: Timestamp,
    ) -> Result<GrantId, Dead> {
        let issued = self.codes.get_mut(value).ok_or(Dead)?;
        if issued.code.client != client {
            return Err(Dead);
        }
        if let Some(grant) = issued.grant {
            self.end(grant);
            return Err(Dead);
        }
        let code = &issued.code;
        let proven = match (&code.challenge, verifier) {
            (Some(challenge), Some(verifier)) => s256(verifier) == *challenge,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if now >= code.expires_at || redirect_uri != Some(code.redirect_uri.as_str()) || !proven {
            return Err(Dead);
        }
        let grant = Grant {
            client: code.client.clone(),
            account: code.account,
            scopes: code.scopes.clone(),
            issuer: code.issuer.clone(),
            resource: code.resource.clone(),
        };
        let living = join.then(|| self.living_grant_of(&grant, now)).flatten();
        let id = living.unwrap_or(self.grants.len());
        match self.grants.get_mut(id) {
            Some(joined) => *joined = grant,
            None => self.grants.push(grant),
        }
        if let Some(issued) = self.codes.get_mut(value) {
            issued.grant = Some(id);
        }
        Ok(id)
    }

    /// Adds a grant without a code.
    pub(super) fn add(&mut self, grant: Grant) -> GrantId {
        self.grants.push(grant);
        self.grants.len() - 1
    }

    /// Returns the latest grant of the same account and client that has a live token.
    fn living_grant_of(&self, like: &Grant, now: Timestamp) -> Option<GrantId> {
        (0..self.grants.len()).rev().find(|id| {
            let access = self.access.values().any(|it| it.grant == *id && it.is_live(now));
            let refresh = self.refresh.values().any(|it| it.grant == *id && it.is_live(now));
            let known = &self.grants[*id];
            known.account == like.account && known.client == like.client && (access || refresh)
        })
    }

    /// Returns the code that was issued, exchanged or not.
    pub(super) fn code(&self, value: &str) -> Option<&Code> {
        self.codes.get(value).map(|issued| &issued.code)
    }

    pub(super) fn grant(&self, id: GrantId) -> &Grant {
        &self.grants[id]
    }

    pub(super) fn narrow(&mut self, id: GrantId, scopes: Scopes) {
        self.grants[id].scopes = scopes;
    }

    /// Returns the grant of a refresh token that is valid now. A replay of a used token may end its
    /// grant.
    pub(super) fn refreshable(
        &mut self,
        token: &str,
        rotation: RotationClass,
        now: Timestamp,
    ) -> Result<GrantId, Dead> {
        let refresh = *self.refresh.get(token).ok_or(Dead)?;
        if refresh.is_live(now) {
            return Ok(refresh.grant);
        }
        if matches!(refresh.state, RefreshState::Spent) && rotation == RotationClass::SingleUseRevokesFamily {
            self.end(refresh.grant);
        }
        Err(Dead)
    }

    /// Replaces a refresh token according to the rotation class; `None` if it stays the same.
    pub(super) fn rotate(&mut self, token: &str, rotation: RotationClass, now: Timestamp) -> Option<String> {
        let old = self.refresh.get_mut(token)?;
        let grant = old.grant;
        match rotation {
            RotationClass::Static => return None,
            RotationClass::OldStaysValid => {}
            RotationClass::Grace(grace) => {
                // The period starts with the first replacement: a second use within it does not
                // extend it.
                if matches!(old.state, RefreshState::Live) {
                    old.state = RefreshState::Until(now + grace);
                }
            }
            RotationClass::SingleUse | RotationClass::SingleUseRevokesFamily | RotationClass::Unknown => {
                old.state = RefreshState::Spent;
            }
        }
        Some(self.issue_refresh(grant))
    }

    pub(super) fn issue_refresh(&mut self, grant: GrantId) -> String {
        let token = fresh("sbx-rt-");
        let state = RefreshState::Live;
        self.refresh.insert(token.clone(), Refresh { grant, state });
        token
    }

    pub(super) fn issue_access(&mut self, grant: GrantId, expires_at: Option<Timestamp>) -> String {
        let token = fresh("sbx-at-");
        let access = Access {
            grant,
            dead: false,
            expires_at,
        };
        self.access.insert(token.clone(), access);
        self.latest.insert(grant, token.clone());
        token
    }

    /// Returns the previous access token with a new lifetime, if it has not been revoked.
    pub(super) fn prolong_access(&mut self, grant: GrantId, expires_at: Option<Timestamp>) -> Option<String> {
        let token = self.latest.get(&grant)?;
        let access = self.access.get_mut(token).filter(|access| !access.dead)?;
        access.expires_at = expires_at;
        Some(token.clone())
    }

    pub(super) fn kill_access_tokens(&mut self, of: impl Fn(GrantId) -> bool) {
        for access in self.access.values_mut().filter(|access| of(access.grant)) {
            access.dead = true;
        }
    }

    /// Revoked tokens stay revoked; others can be extended.
    pub(super) fn expire_access_tokens(&mut self, now: Timestamp) {
        for access in self.access.values_mut() {
            access.expires_at = Some(now);
        }
    }

    /// Returns the grant of an access token that is valid now.
    pub(super) fn bearer(&self, token: &str, now: Timestamp) -> Option<&Grant> {
        let access = self.access.get(token)?;
        access.is_live(now).then(|| self.grant(access.grant))
    }

    /// Returns the id of the grant of an access token that is valid now.
    pub(super) fn bearer_grant(&self, token: &str, now: Timestamp) -> Option<GrantId> {
        let access = self.access.get(token)?;
        access.is_live(now).then_some(access.grant)
    }

    /// Returns whether this refresh token was replaced but is still accepted.
    pub(super) fn is_replaced(&self, token: &str) -> bool {
        let refresh = self.refresh.get(token);
        refresh.is_some_and(|refresh| matches!(refresh.state, RefreshState::Until(_)))
    }

    /// Returns the most recently issued access token of a grant.
    pub(super) fn latest_access(&self, grant: GrantId) -> Option<String> {
        self.latest.get(&grant).cloned()
    }

    /// Returns the account of a token, dead or alive.
    pub(super) fn account_of(&self, token: &str) -> Option<TestAccount> {
        let refresh = self.refresh.get(token).map(|refresh| refresh.grant);
        let grant = refresh.or_else(|| self.access.get(token).map(|access| access.grant))?;
        Some(self.grants[grant].account)
    }

    /// Returns the client that a token was issued to.
    pub(super) fn client_of(&self, token: &str) -> Option<&str> {
        let refresh = self.refresh.get(token).map(|refresh| refresh.grant);
        let grant = refresh.or_else(|| self.access.get(token).map(|access| access.grant))?;
        Some(&self.grants[grant].client)
    }

    /// Returns whether the token is a refresh token, dead or alive.
    pub(super) fn is_refresh_token(&self, token: &str) -> bool {
        self.refresh.contains_key(token)
    }

    /// Ends a grant: all its tokens are dead.
    pub(super) fn end(&mut self, grant: GrantId) {
        self.kill_access_tokens(|of| of == grant);
        self.revoke_refresh(grant);
    }

    fn revoke_refresh(&mut self, grant: GrantId) {
        for refresh in self.refresh.values_mut().filter(|token| token.grant == grant) {
            refresh.state = RefreshState::Revoked;
        }
    }

    /// Revokes what the token stands for: itself with its family, or its whole grant.
    pub(super) fn revoke(&mut self, token: &str, whole_grant: bool) {
        let refresh = self.refresh.get(token).map(|refresh| refresh.grant);
        let access = self.access.get(token).map(|access| access.grant);
        match (refresh, access) {
            (Some(grant), _) | (_, Some(grant)) if whole_grant => self.end(grant),
            (Some(grant), _) => self.revoke_refresh(grant),
            (None, Some(_)) => {
                if let Some(access) = self.access.get_mut(token) {
                    access.dead = true;
                }
            }
            (None, None) => {}
        }
    }

    /// Revokes only this token.
    pub(super) fn revoke_alone(&mut self, token: &str) {
        if let Some(refresh) = self.refresh.get_mut(token) {
            refresh.state = RefreshState::Revoked;
        }
        if let Some(access) = self.access.get_mut(token) {
            access.dead = true;
        }
    }

    /// Ends all grants of the account, as when the user removes the app.
    pub(super) fn end_all_of(&mut self, account: TestAccount) {
        let ids: Vec<GrantId> = (0..self.grants.len())
            .filter(|id| self.grants[*id].account == account)
            .collect();
        for id in ids {
            self.end(id);
        }
    }

    pub(super) fn is_live(&self, token: &str, now: Timestamp) -> bool {
        self.access.get(token).is_some_and(|access| access.is_live(now))
            || self
                .refresh
                .get(token)
                .is_some_and(|refresh| refresh.is_live(now))
    }

    /// Returns the grants that have a live token.
    pub(super) fn live(&self, now: Timestamp) -> Vec<LiveGrant> {
        let count = |id: GrantId| {
            let access = self.access.values().filter(|t| t.grant == id && t.is_live(now));
            let refresh = self.refresh.values().filter(|t| t.grant == id && t.is_live(now));
            (access.count(), refresh.count())
        };
        let grants = self.grants.iter().enumerate();
        grants
            .map(|(id, grant)| {
                let (access_tokens, refresh_tokens) = count(id);
                LiveGrant {
                    account: grant.account,
                    scopes: grant.scopes.clone(),
                    access_tokens,
                    refresh_tokens,
                }
            })
            .filter(|grant| grant.access_tokens + grant.refresh_tokens > 0)
            .collect()
    }

    /// Returns every code and token ever issued.
    pub(super) fn issued(&self) -> Vec<String> {
        let codes = self.codes.keys();
        codes
            .chain(self.access.keys())
            .chain(self.refresh.keys())
            .cloned()
            .collect()
    }
}

/// A grant with at least one live token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveGrant {
    /// The account of the user who allowed it.
    pub account: TestAccount,
    /// The allowed scopes.
    pub scopes: Scopes,
    /// The number of its live access tokens.
    pub access_tokens: usize,
    /// The number of its live refresh tokens. It exceeds one within a grace period, or if old
    /// tokens stay valid.
    pub refresh_tokens: usize,
}

/// Returns the S256 challenge of a verifier
/// ([RFC 7636 §4.2](https://www.rfc-editor.org/rfc/rfc7636#section-4.2)).
fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        assert_eq!(
            s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
