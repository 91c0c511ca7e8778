//! Looks up a tenant's client registration when it is needed.

use std::error::Error;
use std::sync::Arc;

use crate::model::{ServerId, TenantId};
use crate::provider::ClientRegistration;

/// Returns the client registration of a tenant at an authorization server.
///
/// With a source, one [`Connections`](crate::Connections) serves tenants that bring their own OAuth
/// apps, and registrations can change while the process runs. The source is called at each use:
/// when a consent starts and completes, for each refresh and revocation, when a connection is
/// resolved, and once for each authorization server when connections are listed. It must therefore
/// be fast and must not block on the network: keep the registrations in memory and load them in the
/// background.
///
/// A closure is also a source:
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::{Arc, RwLock};
///
/// use valetkey::model::ServerId;
/// use valetkey::provider::ClientRegistration;
/// use valetkey::vault::SealedVault;
/// use valetkey::{Connections, TenantId, catalog};
///
/// # #[cfg(feature = "ureq")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// type Apps = RwLock<HashMap<TenantId, Arc<ClientRegistration>>>;
///
/// let apps: Arc<Apps> = Arc::default();
/// let of_tenants = Arc::clone(&apps);
/// let connections = Connections::builder(SealedVault::in_memory())
///     .clients(move |tenant: &TenantId, server: &ServerId| {
///         let apps = of_tenants.read().unwrap_or_else(|poisoned| poisoned.into_inner());
///         Ok(apps.get(tenant).filter(|_| server.as_str() == catalog::GOOGLE).cloned())
///     })
///     .build()?;
///
/// let acme = TenantId::new("acme")?;
/// assert!(connections.providers_for(&acme)?.is_empty());
/// let app = ClientRegistration::new("id", "secret", "https://acme.example/callback");
/// apps.write().unwrap().insert(acme.clone(), Arc::new(app));
/// assert!(!connections.providers_for(&acme)?.is_empty());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "ureq"))]
/// # fn main() {}
/// ```
pub trait ClientSource: Send + Sync + 'static {
    /// Returns the registration of `tenant` at `server`. `None` if the tenant has none of its own:
    /// the [registration for all tenants](crate::connections::ConnectionsBuilder::client) then
    /// applies, if there is one.
    ///
    /// A registration is checked against its server when it is returned for the first time. Return
    /// the same [`Arc`] while the registration is unchanged, so that it is not checked again.
    ///
    /// # Errors
    ///
    /// Any error, if the source cannot tell whether the tenant has a registration. Callers receive
    /// [`Unavailable`](crate::Error::Unavailable) with
    /// [`ClientSourceFailed`](crate::model::FailureCode::ClientSourceFailed); the registration for
    /// all tenants is not used. The crate drops the error without reading it, so log the cause in
    /// the source.
    ///
    /// # Security
    ///
    /// The client of another tenant would receive this tenant's codes and tokens. Look up by both
    /// arguments.
    fn client(
        &self,
        tenant: &TenantId,
        server: &ServerId,
    ) -> Result<Option<Arc<ClientRegistration>>, Box<dyn Error + Send + Sync>>;
}

impl<F> ClientSource for F
where
    F: Fn(&TenantId, &ServerId) -> Result<Option<Arc<ClientRegistration>>, Box<dyn Error + Send + Sync>>
        + Send
        + Sync
        + 'static,
{
    fn client(
        &self,
        tenant: &TenantId,
        server: &ServerId,
    ) -> Result<Option<Arc<ClientRegistration>>, Box<dyn Error + Send + Sync>> {
        self(tenant, server)
    }
}
