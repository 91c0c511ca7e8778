//! Heads of chains, as text that a host keeps elsewhere.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::{InvalidValue, Rule, StoredName as _, TenantId};

/// A chain of audit entries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditChain {
    /// Events that concern the whole vault: rotated master keys, erased tenants.
    Vault,
    /// Events that concern one tenant.
    Tenant(TenantId),
    /// The entries of all tenants that were written before each tenant had its own chain.
    Legacy,
}

/// The newest entry of a chain, for the host to store elsewhere. A vault that does not contain it
/// was rolled back.
///
/// [`Display`](fmt::Display) writes the head as a line of text, and [`FromStr`] parses that.
///
/// ```
/// use std::sync::Arc;
///
/// use valetkey::testing::Host;
/// use valetkey::vault::{AuditHead, SealedVault};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let vault = Arc::new(SealedVault::in_memory());
/// let host = Host::builder().vault(Arc::clone(&vault)).build()?;
/// let ada = host.user("ada");
/// host.connect(&ada, "notes");
///
/// // Exported every hour to a place that a writer of the database cannot reach.
/// let exported: Vec<String> = vault.audit_heads(None)?.iter().map(ToString::to_string).collect();
///
/// // Checked after a restore, or regularly.
/// for line in exported {
///     assert!(vault.proves(&line.parse::<AuditHead>()?)?);
/// }
/// assert!(vault.verify_audit(ada.tenant(), |_, _| {})?.is_intact());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AuditHead {
    /// The chain.
    pub(crate) chain: AuditChain,
    /// The number of the entry; 0 for an empty chain.
    pub(crate) number: u64,
    /// Authenticates the entry and all before it.
    pub(crate) mac: [u8; 32],
}

impl AuditHead {
    /// Returns the head of a chain with this number and MAC.
    pub(crate) const fn new(chain: AuditChain, number: u64, mac: [u8; 32]) -> Self {
        Self { chain, number, mac }
    }

    /// Returns the tenant that the chain belongs to; `None` for a chain of the vault itself.
    #[must_use]
    pub const fn tenant(&self) -> Option<&TenantId> {
        match &self.chain {
            AuditChain::Tenant(tenant) => Some(tenant),
            AuditChain::Vault | AuditChain::Legacy => None,
        }
    }

    /// Returns the number of the entry; 0 for an empty chain.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.chain {
            AuditChain::Legacy => write!(f, "valetkey-audit:{}:", self.number)?,
            AuditChain::Vault => write!(f, "valetkey-audit/2:-:{}:", self.number)?,
            AuditChain::Tenant(tenant) => {
                let name = URL_SAFE_NO_PAD.encode(tenant.as_str());
                write!(f, "valetkey-audit/2:{name}:{}:", self.number)?;
            }
        }
        self.mac.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for AuditHead {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let (chain, rest) = if let Some(rest) = text.strip_prefix("valetkey-audit/2:") {
            let (name, rest) = rest.split_once(':').ok_or(Rule::AuditHead)?;
            (chain_named(name)?, rest)
        } else {
            let rest = text.strip_prefix("valetkey-audit:").ok_or(Rule::AuditHead)?;
            (AuditChain::Legacy, rest)
        };
        let (number, mac) = rest.split_once(':').ok_or(Rule::AuditHead)?;
        Ok(Self {
            chain,
            number: number.parse().map_err(|_| Rule::AuditHead)?,
            mac: mac_from_hex(mac)?,
        })
    }
}

fn chain_named(name: &str) -> Result<AuditChain, Rule> {
    if name == "-" {
        return Ok(AuditChain::Vault);
    }
    let name = URL_SAFE_NO_PAD.decode(name).map_err(|_| Rule::AuditHead)?;
    let name = String::from_utf8(name).map_err(|_| Rule::AuditHead)?;
    TenantId::stored(name)
        .map(AuditChain::Tenant)
        .map_err(|_| Rule::AuditHead)
}

fn mac_from_hex(hex: &str) -> Result<[u8; 32], Rule> {
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Rule::AuditHead);
    }
    let mut mac = [0; 32];
    for (byte, digits) in mac.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| Rule::AuditHead)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| Rule::AuditHead)?;
    }
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_survives_being_written_down() {
        for chain in [
            AuditChain::Vault,
            AuditChain::Legacy,
            AuditChain::Tenant(TenantId::new("acme: \"-\" é").unwrap()),
            AuditChain::Tenant(TenantId::new("-").unwrap()),
        ] {
            let mac = std::array::from_fn(|at| u8::try_from(at * 7).unwrap_or(0));
            let head = AuditHead::new(chain, 42, mac);
            assert_eq!(head.to_string().parse(), Ok(head));
        }
        for bad in [
            "",
            "valetkey-audit:1",
            "valetkey-audit:x:00",
            "valetkey-audit:1:é",
            "valetkey-audit/2:-:1",
            "valetkey-audit/2:*:1:00",
        ] {
            assert_eq!(bad.parse::<AuditHead>(), Err(Rule::AuditHead.into()), "{bad}");
        }
    }
}
