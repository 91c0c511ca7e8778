//! The selection of connections that an operator revokes together.

use super::Caller;
use super::refusal::{Refusal, Said};
use crate::engine::lists::ConnectionFilter;
use crate::error::Error;
use crate::model::UserId;

/// The number of connections that one request revokes.
pub(super) const MOST: usize = 200;

/// The number of connections that a preview counts.
pub(super) const MOST_PREVIEWED: usize = 1_000;

/// All connections of a user, of a service, or of a user to a service.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    pub(super) user: Option<UserId>,
    pub(super) provider: Option<String>,
}

impl Selection {
    /// Reads the selection of an operator from the fields of a query or a body. A selection of
    /// everything is refused.
    pub(super) fn of<'f>(caller: &Caller, field: impl Fn(&str) -> Option<&'f str>) -> Result<Self, Refusal> {
        if !caller.is_operator() {
            return Err(Refusal::forbidden());
        }
        let user = field("user").map(UserId::new);
        let selection = Self {
            user: user.transpose().map_err(Error::from)?,
            provider: field("provider").map(str::to_owned),
        };
        if selection.user.is_none() && selection.provider.is_none() {
            return Err(Refusal::bad(Said::NoSelection));
        }
        Ok(selection)
    }

    /// Returns the filter for connections that are not revoked.
    pub(super) fn filter(&self) -> ConnectionFilter {
        let mut filter = ConnectionFilter::default();
        filter.user.clone_from(&self.user);
        filter.provider.clone_from(&self.provider);
        filter
    }
}
