//! Which scopes are asked for.

use std::collections::BTreeMap;

use crate::model::{Parameters, Scopes};
use crate::provider::Provider;

/// Named choices of scopes, beside the default ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(
        default,
        deny_unknown_fields,
        expecting = "tiers of scopes, written as an object"
    )
)]
#[non_exhaustive]
pub struct ScopeTiers {
    /// Reading alone. Absent: the service has no such scopes.
    pub read_only: Option<Scopes>,
    /// Reading and writing.
    pub read_write: Option<Scopes>,
    /// The least with which something useful can be written (or read, where nothing can be written).
    pub least_privilege: Option<Scopes>,
}

/// Names one of the [`ScopeTiers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScopeTier {
    /// Reading alone.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
    /// The least that is useful.
    LeastPrivilege,
}

/// Scopes that depend on how the host's client is registered: a parameter of the connection says how.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(deny_unknown_fields, expecting = "modes of scopes, written as an object")
)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct ScopeModes {
    /// The parameter that decides.
    pub parameter: String,
    /// By its value: the scopes to ask for, and no others. Values that are not here leave the choice as it is.
    pub scopes: BTreeMap<String, Scopes>,
}

impl Provider {
    /// The scopes of a tier, for [`ConsentOptions::scopes`](crate::ConsentOptions::scopes), if the service has it.
    #[must_use]
    pub const fn scopes_of(&self, tier: ScopeTier) -> Option<&Scopes> {
        match tier {
            ScopeTier::ReadOnly => self.tiers.read_only.as_ref(),
            ScopeTier::ReadWrite => self.tiers.read_write.as_ref(),
            ScopeTier::LeastPrivilege => self.tiers.least_privilege.as_ref(),
        }
    }

    /// Every scope that the descriptor names: the default and the required ones, those of the tiers and of the modes.
    pub(crate) fn known_scopes(&self) -> Scopes {
        let tiers = [
            ScopeTier::ReadOnly,
            ScopeTier::ReadWrite,
            ScopeTier::LeastPrivilege,
        ];
        let modes = self.scope_modes.iter().flat_map(|modes| modes.scopes.values());
        let others = tiers
            .into_iter()
            .filter_map(|tier| self.scopes_of(tier))
            .chain(modes);
        others.fold(
            self.default_scopes.union(&self.required_scopes),
            |known, scopes| known.union(scopes),
        )
    }

    /// What to ask for: what the host named or else the default, with what is required and what `held` before.
    /// Where a mode decides, its scopes and no others.
    #[must_use]
    pub fn wanted_scopes(&self, named: Option<Scopes>, held: &Scopes, parameters: &Parameters) -> Scopes {
        let mode = self.scope_modes.as_ref().and_then(|modes| {
            let value = parameters.get(&modes.parameter)?;
            modes.scopes.get(value)
        });
        if let Some(scopes) = mode {
            return scopes.clone();
        }
        named
            .unwrap_or_else(|| self.default_scopes.clone())
            .union(&self.required_scopes)
            .union(held)
    }
}
