//! The hot path: one connection, remembered or read, and one record opened. Nothing is written.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::clock::{Clock as _, SystemClock};
use crate::model::{Scopes, Status, TenantId, Timestamp, UserId};
use crate::vault::codec::Decoder;
use crate::vault::envelope::{Context, Kind};
use crate::vault::sealed::core::{Core, again_if_tampered};
use crate::vault::sealed::recent::{Answer, Known, SealedAccess};
use crate::vault::sealed::rows;
use crate::vault::sealed::tenant::Tenant;
#[cfg(test)]
use crate::vault::tables::TenantRow;
use crate::vault::tables::{
    Basis, Begun, ConnectionRow, FoundRows, Staleness, Tables, Taken, TokenRow, Topic, Wanted,
};
use crate::vault::{AsOf, Found, Of, StoredToken, TokenQuery, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// An answer, and the basis on which it may be given again.
type Based = (Arc<Answer>, Option<Basis>);

/// The answers that a caller accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accept {
    /// Those that the tables contain now.
    Current,
    /// In addition, those that they contained a short time ago.
    Young,
}

impl<T: Tables> Core<T> {
    pub(super) fn find_token(&self, query: &TokenQuery<'_>) -> Result<Found> {
        again_if_tampered(|| self.find_once(query, Accept::Current)).map(|(found, _)| found)
    }

    pub(super) fn find_token_as_of(&self, query: &TokenQuery<'_>) -> Result<(Found, Option<AsOf>)> {
        match self.find_once(query, Accept::Young) {
            // The key of a remembered record may have been replaced and destroyed.
            Err(VaultError::Tampered) => self.find_once(query, Accept::Current),
            found => found,
        }
    }

    pub(super) fn find_tokens(&self, queries: &[TokenQuery<'_>]) -> Vec<Option<(Found, AsOf)>> {
        let lasting = |(found, as_of): (Found, Option<AsOf>)| Some((found, as_of?));
        let Some(staleness) = self.tables.staleness() else {
            let each = queries.iter();
            return each
                .map(|query| self.find_token_as_of(query).ok().and_then(lasting))
                .collect();
        };
        let mut asked = Vec::new();
        let mut answers: Vec<Option<(Found, AsOf)>> = Vec::with_capacity(queries.len());
        for (at, query) in queries.iter().enumerate() {
            let known = self.remembered_token(query).ok().flatten().and_then(lasting);
            if known.is_none()
                && let Ok(Some(tenant)) = self.remembered_tenant(query.tenant)
            {
                asked.push((at, query, tenant));
            }
            answers.push(known);
        }
        let wanted_of: Vec<_> = asked
            .iter()
            .map(|(_, query, tenant)| (tenant.row, wanted(&query.of)))
            .collect();
        let begun = staleness.begin();
        let found = if asked.is_empty() {
            Vec::new()
        } else {
            self.tables.tokens(&wanted_of).unwrap_or_default()
        };
        for ((at, query, tenant), found) in asked.into_iter().zip(found) {
            // Only a token is remembered.
            if let (Some(answer), FoundRows::One(_)) = (answers.get_mut(at), &found) {
                let based = self.based(&tenant, wanted(&query.of), found, None, Some((staleness, begun)));
                let given = based.map(|based| based.map(|based| self.give(&tenant, query, &based)));
                *answer = given.ok().flatten().and_then(Result::ok).and_then(lasting);
            }
        }
        answers
    }

    pub(super) fn remembered_token(&self, query: &TokenQuery<'_>) -> Result<Option<(Found, Option<AsOf>)>> {
        if self.tables.staleness().is_none() {
            return self.find_token_as_of(query).map(Some);
        }
        let Some(tenant) = self.keyring.remembered(query.tenant) else {
            return Ok(None);
        };
        let Some(young) = self.young(&tenant, query) else {
            return Ok(None);
        };
        if !young.0.is_open_to(&tenant) {
            return Ok(None);
        }
        match self.give(&tenant, query, &young) {
            // A read will tell whether the record was altered, or its key destroyed.
            Err(VaultError::Tampered) => Ok(None),
            found => found.map(Some),
        }
    }

    pub(super) fn is_local(&self) -> bool {
        self.tables.staleness().is_none()
    }

    #[expect(clippy::unnecessary_wraps, reason = "a vault that asks its database can fail")]
    pub(super) fn is_unlocked(&self, tenant: &TenantId) -> Result<bool> {
        Ok(self.keyring.is_unlocked(tenant))
    }

    pub(super) fn is_unchanged_since(&self, as_of: AsOf) -> Result<bool> {
        match as_of.0 {
            Basis::State(taken, places) => self.tables.is_unchanged_since(taken, &places),
            Basis::Moment(moment) => {
                let staleness = self.tables.staleness();
                Ok(staleness.is_some_and(|staleness| staleness.allows(&moment)))
            }
        }
    }

    fn find_once(&self, query: &TokenQuery<'_>, accept: Accept) -> Result<(Found, Option<AsOf>)> {
        let Some(tenant) = self.remembered_tenant(query.tenant)? else {
            return Ok((Found::Nothing, None));
        };
        if accept == Accept::Young
            && let Some(young) = self.young(&tenant, query)
        {
            return self.give(&tenant, query, &young);
        }
        if let Some(answer) = self.answer(&tenant, wanted(&query.of))? {
            return self.give(&tenant, query, &answer);
        }
        // The tenant was erased since its number was read. Its name may belong to a new one.
        let Some(tenant) = self.tenant(query.tenant)? else {
            return Ok((Found::Nothing, None));
        };
        match self.answer(&tenant, wanted(&query.of))? {
            Some(answer) => self.give(&tenant, query, &answer),
            None => Ok((Found::Nothing, None)),
        }
    }

    /// Returns an answer that is remembered and not too old, if it leads to a token. One that leads
    /// to a refusal may have been corrected meanwhile, so it is read.
    fn young(&self, tenant: &Tenant, query: &TokenQuery<'_>) -> Option<Based> {
        let staleness = self.tables.staleness()?;
        let (answer, basis) = self.recent.young(staleness, tenant.row, wanted(&query.of))?;
        let is_enough = match &*answer {
            Answer::One(known) => missing(query.scopes, &known.granted).is_empty(),
            Answer::Nothing | Answer::Several => false,
        };
        is_enough.then_some((answer, Some(basis)))
    }

    /// Returns the stored answer: the remembered one if nothing was committed since, and otherwise
    /// a new read. Returns `None` if the tenant has another number now.
    fn answer(&self, tenant: &Tenant, wanted: Wanted<'_>) -> Result<Option<Based>> {
        let mut recent = None;
        let begun = self
            .tables
            .staleness()
            .map(|staleness| (staleness, staleness.begin()));
        let read = self.tables.token(tenant.row, wanted, &mut |now| {
            let known = self.recent.get(now.stamp, tenant.row, wanted);
            recent = known
                .filter(|(_, basis)| self.is_unwritten(basis))
                .map(|(answer, basis)| (answer, Some(basis)));
            recent.is_some()
        })?;
        if recent.is_some() {
            return Ok(recent);
        }
        let (taken, found) = read.ok_or(VaultError::Damaged)?;
        self.based(tenant, wanted, found, taken, begun)
    }

    /// Returns whether no write of this handle has concerned a remembered answer.
    pub(super) fn is_unwritten(&self, basis: &Basis) -> bool {
        match (basis, self.tables.writes()) {
            (Basis::State(taken, places), Some(writes)) => writes.are_unwritten(taken.writes, places),
            _ => true,
        }
    }

    /// Checks the rows that were read, and remembers them if there is a basis. Returns `None` if
    /// the tenant has another number now.
    fn based(
        &self,
        tenant: &Tenant,
        wanted: Wanted<'_>,
        found: FoundRows,
        taken: Option<Taken>,
        begun: Option<(&Staleness, Begun)>,
    ) -> Result<Option<Based>> {
        let topics = |owner, last| [Topic::Tenant(tenant.row), Topic::Owner(tenant.row, owner), last];
        let state = |topics: [Topic<'_>; 3]| taken.map(|taken| Basis::State(taken, topics.map(Topic::place)));
        // That there is no connection, or that there are several, depends on no grant.
        let without_grant = || {
            let owner = owner_of(&wanted)?;
            state(topics(owner, Topic::Owner(tenant.row, owner)))
        };
        let (answer, basis) = match found {
            FoundRows::Nothing => match self.tenant(&tenant.name)? {
                Some(current) if current.row == tenant.row => (Answer::Nothing, without_grant()),
                _ => return Ok(None),
            },
            FoundRows::Several => (Answer::Several, without_grant()),
            FoundRows::Damaged => return Err(VaultError::Damaged),
            FoundRows::One(found) => {
                let owner = found.connection.owner.clone();
                let known = authentic(tenant, wanted, *found)?;
                let topics = topics(&owner, Topic::Grant(tenant.row, known.grant));
                let mut basis = state(topics);
                if let Some((staleness, begun)) = begun
                    && known.access.is_some()
                {
                    // An expired token has probably been refreshed by another host.
                    let clock = self.tables.clock();
                    let now = clock.map_or_else(|| SystemClock.now(), |clock| clock.now());
                    let valid = known.expires_at.map(|at| at.saturating_since(now));
                    basis = Some(Basis::Moment(staleness.moment(begun, topics, valid)));
                }
                (Answer::One(Box::new(known)), basis)
            }
        };
        let answer = Arc::new(answer);
        if let Some(basis) = basis {
            self.recent.put(basis, tenant.row, wanted, &answer);
        }
        Ok(Some((answer, basis)))
    }

    fn give(
        &self,
        tenant: &Tenant,
        query: &TokenQuery<'_>,
        (answer, basis): &Based,
    ) -> Result<(Found, Option<AsOf>)> {
        let found = match &**answer {
            Answer::Nothing => Found::Nothing,
            Answer::Several => Found::Several,
            Answer::One(known) => Found::One(self.open_known(tenant, query, known)?),
        };
        Ok((found, basis.map(AsOf)))
    }

    /// Returns whether the answer is remembered and nothing was committed since.
    #[cfg(test)]
    pub(in crate::vault) fn remembers(&self, tenant: TenantRow, wanted: Wanted<'_>) -> Result<bool> {
        let read = self.tables.token(tenant, wanted, &mut |now| {
            let known = self.recent.get(now.stamp, tenant, wanted);
            known.is_some_and(|(_, basis)| self.is_unwritten(&basis))
        })?;
        Ok(read.is_none())
    }

    fn open_known(&self, tenant: &Tenant, query: &TokenQuery<'_>, known: &Known) -> Result<StoredToken> {
        let access_token = match &known.access {
            Some(access) => Some(Arc::new(self.open_known_access(tenant, access)?)),
            None => None,
        };
        Ok(StoredToken {
            connection: known.connection,
            grant: known.grant,
            generation: known.generation,
            status: known.status,
            access_token,
            refreshed_at: known.refreshed_at,
            expires_at: known.expires_at,
            refreshable: known.refreshable,
            missing: missing(query.scopes, &known.granted),
            parameters: known.parameters.clone(),
            refresh: known.refresh,
        })
    }
}

fn wanted<'a>(of: &Of<'a>) -> Wanted<'a> {
    match *of {
        Of::Id(id) => Wanted::Id(id),
        Of::Owner {
            user,
            provider,
            label,
        } => {
            let (owner, provider) = (user.map_or("", UserId::as_str), provider.as_str());
            match label {
                Some(label) => Wanted::Label {
                    owner,
                    provider,
                    label: label.as_str(),
                },
                None => Wanted::Owner { owner, provider },
            }
        }
    }
}

/// Returns the owner of the connections that can answer a query; `None` if a write of any owner's
/// connection can change that there is no answer.
const fn owner_of<'a>(wanted: &Wanted<'a>) -> Option<&'a str> {
    match wanted {
        Wanted::Owner { owner, .. } | Wanted::Label { owner, .. } => Some(owner),
        Wanted::Id(_) => None,
    }
}

/// Checks all that was read except the token, which only its key can check.
fn authentic(tenant: &Tenant, wanted: Wanted<'_>, found: TokenRow) -> Result<Known> {
    let connection = &found.connection;
    rows::verify_connection(connection, tenant.row_key())?;
    // An index is not authenticated: it could lead to another user's connection, whose row is
    // intact.
    if !is_wanted(wanted, connection) {
        return Err(VaultError::Tampered);
    }
    let head = rows::route_head(&mut Decoder::new(&found.route))?;
    rows::check_columns(&found.server, found.expires_at, &head)?;
    let lifecycle = rows::lifecycle_of(&found.status, found.generation, found.refreshable, &found.state)?;
    let access = match (lifecycle.status, found.access) {
        // An active grant has a token, so a missing token was removed.
        (Status::Active, None) => return Err(VaultError::Tampered),
        (Status::Active, access) => access,
        _ => None,
    };
    let owner = rows::owner(head.owner)?;
    let context = Context {
        kind: Kind::AccessToken,
        vault: tenant.vault,
        tenant: &tenant.name,
        owner: owner.user(),
        provider: &rows::provider(head.provider)?,
        id: connection.grant.as_bytes(),
        generation: found.generation,
        route: &found.route,
    };
    let access = match access {
        Some(record) => Some(SealedAccess {
            binding: context.binding(&record)?,
            record: Zeroizing::new(record),
        }),
        None => None,
    };
    Ok(Known {
        connection: connection.id,
        grant: connection.grant,
        generation: found.generation,
        status: lifecycle.status,
        refreshed_at: Timestamp::from_unix_millis(found.refreshed_at),
        expires_at: head.expires_at,
        refreshable: lifecycle.refreshable,
        granted: head.granted.to_owned(),
        parameters: rows::connection_parameters(connection)?,
        refresh: lifecycle.refresh_state(),
        access,
    })
}

/// Returns whether a connection matches the request.
fn is_wanted(wanted: Wanted<'_>, row: &ConnectionRow) -> bool {
    match wanted {
        Wanted::Id(id) => row.id == id,
        Wanted::Owner { owner, provider } => row.owner == owner && row.provider == provider,
        Wanted::Label {
            owner,
            provider,
            label,
        } => row.owner == owner && row.provider == provider && row.label.as_deref() == Some(label),
    }
}

/// Returns the wanted scopes that the stored list lacks. Allocates only if there are any.
fn missing(wanted: &Scopes, granted: &str) -> Scopes {
    wanted
        .iter()
        .filter(|scope| !granted.split(' ').any(|granted| granted == scope.as_str()))
        .cloned()
        .collect()
}
