//! Determines the granted scopes
//! ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).

use crate::model::{Scope, Scopes};
use crate::provider::ServerDescriptor;

/// Returns the granted scopes, in the spelling of the request.
///
/// If the answer names none, all requested scopes were granted. A requested scope counts as granted
/// if the answer names it (with the server's prefix or in another letter case, if the descriptor
/// allows it), or if the server never names it. Scopes that the answer names without a request are
/// kept unchanged.
#[must_use]
pub fn granted_scopes(server: &ServerDescriptor, requested: &Scopes, answered: Option<&Scopes>) -> Scopes {
    let Some(answered) = answered else {
        return requested.clone();
    };
    let unechoed = |scope: &Scope| {
        server
            .unechoed_scopes
            .iter()
            .any(|name| same(server, name, scope.as_str()))
    };
    let named = |scope: &Scope| {
        answered
            .iter()
            .any(|other| same(server, other.as_str(), scope.as_str()))
    };
    let granted = requested.iter().filter(|scope| named(scope) || unechoed(scope));
    let unasked = answered.iter().filter(|scope| {
        !requested
            .iter()
            .any(|other| same(server, other.as_str(), scope.as_str()))
    });
    granted.chain(unasked).cloned().collect()
}

/// Adds `offline_access` to the scopes of a grant with a refresh token, if it was requested. That
/// scope requests the refresh token
/// ([OpenID Connect Core §11](https://openid.net/specs/openid-connect-core-1_0.html#OfflineAccess)),
/// and some servers omit it from their answer.
#[must_use]
pub fn with_offline_access(granted: Scopes, requested: &Scopes) -> Scopes {
    let offline = requested
        .iter()
        .filter(|scope| scope.as_str() == "offline_access");
    granted.iter().chain(offline).cloned().collect()
}

/// Returns whether two spellings mean the same scope at this server.
fn same(server: &ServerDescriptor, one: &str, other: &str) -> bool {
    let equal = |one: &str, other: &str| {
        if server.scopes_ignore_case {
            one.eq_ignore_ascii_case(other)
        } else {
            one == other
        }
    };
    let bare = |scope: &str| -> usize {
        let prefix = server.scope_prefix.as_deref().unwrap_or_default();
        match scope.split_at_checked(prefix.len()) {
            Some((start, rest)) if !rest.is_empty() && equal(start, prefix) => prefix.len(),
            _ => 0,
        }
    };
    equal(&one[bare(one)..], &other[bare(other)..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::catalog;

    #[test]
    fn what_was_asked_for_and_answered() {
        let (google, microsoft, todoist) =
            (catalog::google(), catalog::microsoft(), catalog::todoist_server());
        for (server, requested, answered, expected) in [
            (&todoist, "a b", None, "a b"),
            (&todoist, "a b", Some("a b"), "a b"),
            (&todoist, "a b", Some("b"), "b"),
            (&todoist, "a b", Some("A b"), "A b"),
            (&todoist, "a", Some("a extra"), "a extra"),
            (
                &google,
                "openid email https://www.googleapis.com/auth/gmail.modify",
                Some("openid https://www.googleapis.com/auth/userinfo.email"),
                "openid email https://www.googleapis.com/auth/userinfo.email",
            ),
            (
                &microsoft,
                "Mail.Read User.Read offline_access",
                Some("https://graph.microsoft.com/mail.read user.read profile openid email"),
                "Mail.Read User.Read offline_access profile openid email",
            ),
            (
                &microsoft,
                "Mail.Read Mail.Send",
                Some("https://graph.microsoft.com/Mail.Read"),
                "Mail.Read",
            ),
            (
                &microsoft,
                "https://graph.microsoft.com/Mail.Read",
                Some("Mail.Read"),
                "https://graph.microsoft.com/Mail.Read",
            ),
            (
                &microsoft,
                "Mail.Read",
                Some("https://outlook.office.com/Mail.Read"),
                "https://outlook.office.com/Mail.Read",
            ),
        ] {
            let answered: Option<Scopes> = answered.map(|scopes| scopes.parse().unwrap());
            assert_eq!(
                granted_scopes(server, &requested.parse().unwrap(), answered.as_ref()),
                expected.parse().unwrap(),
                "{requested} / {answered:?}"
            );
        }
    }
}
