//! The tenant that a statement is about, for row-level security of the server.

use crate::vault::postgres::session::Step;
use crate::vault::postgres::value::Value;
use crate::vault::tables::TenantRow;

/// The setting that names the tenant. Policies of the server compare it with the rows.
const SETTING: &str = "valetkey.tenant";

/// The tenant that the server was told last, in this transaction.
#[derive(Debug, Default)]
pub(super) struct Subject(Option<TenantRow>);

impl Subject {
    /// Returns the command that must be sent before a statement with these values. A mark of the
    /// vault, whose chain has a negative number, belongs to no tenant.
    pub(super) fn before(&mut self, values: &[(&'static str, Value)]) -> Option<Step> {
        let find = |wanted: &str| {
            values.iter().find_map(|(name, value)| match value {
                Value::Number(number) if *name == wanted => Some(*number),
                _ => None,
            })
        };
        let tenant = find(":tenant").or_else(|| find(":chain"))?;
        self.tell(tenant)
    }

    /// Returns the command that tells the server this tenant, unless it knows.
    pub(super) fn tell(&mut self, tenant: TenantRow) -> Option<Step> {
        if tenant < 0 || self.0 == Some(tenant) {
            return None;
        }
        self.0 = Some(tenant);
        Some(Step::Control(format!("SET LOCAL {SETTING} = '{tenant}'").into()))
    }
}
