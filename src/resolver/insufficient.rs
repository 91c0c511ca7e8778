//! What an API's refusal for want of scopes means: a need of consent, or an answer like any other.

use http::StatusCode;
use zeroize::Zeroizing;

use crate::error::{ConsentReason, ConsentRequired, Result};
use crate::http::HttpResponse;
use crate::model::{ActingUser, Scopes};
use crate::protocol::{BearerError, bearer_error};
use crate::resolver::ledger::Ledger;
use crate::resolver::{ResolvedToken, Resolver};

impl Resolver {
    /// Hands the answer on, unless the API says that the grant does not cover the request and more consent can change that.
    ///
    /// The API chooses the scopes that it names. Only those that the descriptor knows become part of the need, because
    /// the user is asked for them.
    pub(super) fn finish(
        &self,
        acting_user: &ActingUser,
        token: &ResolvedToken,
        answer: HttpResponse,
        ledger: &Ledger,
    ) -> Result<HttpResponse> {
        let Some(named) = insufficient_scope(&answer) else {
            return Ok(answer);
        };
        let named = without_token(named, ledger);
        let known = token.provider.known_scopes();
        let unknown = named.difference(&known);
        let known = named.difference(&unknown);
        if !named.is_empty() && unknown.is_empty() && self.has_granted(acting_user, token, &known)? {
            // The user has agreed to all of it, and the API refuses nevertheless: asking again would change nothing.
            return Ok(answer);
        }
        Err(
            ConsentRequired::new(token.provider.id.clone(), ConsentReason::MissingScopes)
                .renewing(token.connection)
                .of(token.shared)
                .missing(known)
                .named_by_api(unknown)
                .into(),
        )
    }

    fn has_granted(&self, acting_user: &ActingUser, token: &ResolvedToken, scopes: &Scopes) -> Result<bool> {
        let vault = &self.connections.inner().vault;
        let connection = vault.connection(acting_user.tenant(), token.connection)?;
        Ok(connection.is_some_and(|connection| scopes.difference(&connection.granted).is_empty()))
    }
}

/// The scopes that the API names, if it refuses for want of scopes; empty if it names none.
fn insufficient_scope(answer: &HttpResponse) -> Option<Scopes> {
    if answer.status != StatusCode::FORBIDDEN {
        return None;
    }
    match bearer_error(&answer.headers) {
        Some(BearerError::InsufficientScope(scopes)) => Some(scopes.unwrap_or_default()),
        _ => None,
    }
}

/// The scopes, unless they repeat a token.
fn without_token(scopes: Scopes, ledger: &Ledger) -> Scopes {
    let text = Zeroizing::new(scopes.join(" "));
    match ledger.masks_for([text.as_bytes()]) {
        Some(masks) if !masks.find(text.as_bytes()).is_empty() => Scopes::default(),
        _ => scopes,
    }
}
