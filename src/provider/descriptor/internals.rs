//! Only for this crate's tests, which read and set the members of a descriptor as fields.

use std::ops::{Deref, DerefMut};

use super::{AuthorizationServer, Provider};
use crate::provider::{ProviderDescriptor, ServerDescriptor};

#[doc(hidden)]
impl Deref for AuthorizationServer {
    type Target = ServerDescriptor;

    fn deref(&self) -> &ServerDescriptor {
        &self.0
    }
}

#[doc(hidden)]
impl DerefMut for AuthorizationServer {
    fn deref_mut(&mut self) -> &mut ServerDescriptor {
        &mut self.0
    }
}

#[doc(hidden)]
impl Deref for Provider {
    type Target = ProviderDescriptor;

    fn deref(&self) -> &ProviderDescriptor {
        &self.0
    }
}

#[doc(hidden)]
impl DerefMut for Provider {
    fn deref_mut(&mut self) -> &mut ProviderDescriptor {
        &mut self.0
    }
}
