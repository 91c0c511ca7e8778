//! Erases the rows of an owner or of a whole tenant in chunks.

use crate::model::GrantId;
use crate::vault::VaultError;
use crate::vault::sqlite::data::{connection, consent, definition, grant, revocation, taken};
use crate::vault::sqlite::sql::Sql;
use crate::vault::tables::{Doomed, TenantRow};

type Result<T> = std::result::Result<T, VaultError>;

const FORMER_OF: &str = "SELECT uuid FROM grants INDEXED BY grants_former
    WHERE tenant = :tenant AND former_of = :of";
const OTHER_GRANTS: &str = "SELECT uuid FROM grants WHERE tenant = :tenant LIMIT :limit";

/// A connection is erased together with the grants that only it uses, so that no connection is left
/// without its grant. The number of rows may therefore exceed the limit slightly.
pub(crate) fn erase(sql: Sql<'_>, tenant: TenantRow, doomed: Doomed<'_>, limit: usize) -> Result<bool> {
    let owner = match doomed {
        Doomed::Owner(owner) => Some(owner),
        Doomed::Everything => None,
    };
    let mut left = limit;
    for (id, grant) in connection::some(sql, tenant, owner, left)? {
        if left == 0 {
            return Ok(false);
        }
        connection::delete(sql, tenant, id)?;
        left = left.saturating_sub(1);
        if !connection::uses_grant(sql, tenant, grant)? {
            left = left.saturating_sub(delete_grants(sql, tenant, grant)?);
        }
    }
    for id in revocation::some(sql, tenant, owner, left)? {
        revocation::delete_revocation(sql, tenant, id)?;
        left = left.saturating_sub(1);
    }
    left = match owner {
        Some(person) => erase_consents_of(sql, tenant, person, left)?,
        None => erase_others(sql, tenant, left)?,
    };
    Ok(left > 0)
}

/// Deletes a grant and those that it replaced. Returns how many were deleted.
fn delete_grants(sql: Sql<'_>, tenant: TenantRow, id: GrantId) -> Result<usize> {
    let mut doomed = vec![id];
    let mut deleted = 0;
    while let Some(id) = doomed.pop() {
        // The grant is deleted before its former ones are listed, so that one that names itself is
        // not found again.
        grant::delete_grant(sql, tenant, id)?;
        doomed.extend(sql.all(FORMER_OF, &[(":tenant", &tenant), (":of", &id)], taken::<GrantId>)?);
        deleted += 1;
    }
    Ok(deleted)
}

fn erase_consents_of(sql: Sql<'_>, tenant: TenantRow, person: &str, mut left: usize) -> Result<usize> {
    for some in [consent::some_of_user, consent::some_of_owner] {
        for state in some(sql, tenant, person, left)? {
            consent::delete_consent(sql, tenant, &state)?;
            left = left.saturating_sub(1);
        }
    }
    Ok(left)
}

/// Erases the rows that no connection leads to.
fn erase_others(sql: Sql<'_>, tenant: TenantRow, mut left: usize) -> Result<usize> {
    for state in consent::some(sql, tenant, left)? {
        consent::delete_consent(sql, tenant, &state)?;
        left = left.saturating_sub(1);
    }
    for (kind, name) in definition::some(sql, tenant, left)? {
        definition::delete_definition(sql, tenant, &kind, &name)?;
        left = left.saturating_sub(1);
    }
    for id in sql.all(
        OTHER_GRANTS,
        &[(":tenant", &tenant), (":limit", &left)],
        taken::<GrantId>,
    )? {
        grant::delete_grant(sql, tenant, id)?;
        left = left.saturating_sub(1);
    }
    Ok(left)
}
