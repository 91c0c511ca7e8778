//! The IP addresses that belong to the public internet.
//!
//! The rule is stricter than the column *Globally Reachable* of IANA's registries of
//! special-purpose addresses ([IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry),
//! [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry)): a server that a user
//! connects to is never at one of the few special addresses that are reachable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 blocks that are not public: first address and length of the prefix.
const NOT_PUBLIC_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),        // this network, RFC 791
    ([10, 0, 0, 0], 8),       // private, RFC 1918
    ([100, 64, 0, 0], 10),    // shared (carrier-grade NAT), RFC 6598
    ([127, 0, 0, 0], 8),      // loopback, RFC 1122
    ([168, 63, 129, 16], 32), // the metadata service of Azure, a public address
    ([169, 254, 0, 0], 16),   // link-local, RFC 3927, and the metadata services of most clouds
    ([172, 16, 0, 0], 12),    // private, RFC 1918
    ([192, 0, 0, 0], 24),     // protocol assignments, RFC 6890
    ([192, 0, 2, 0], 24),     // documentation, RFC 5737
    ([192, 88, 99, 0], 24),   // relays of 6to4, RFC 7526
    ([192, 168, 0, 0], 16),   // private, RFC 1918
    ([198, 18, 0, 0], 15),    // benchmarks, RFC 2544
    ([198, 51, 100, 0], 24),  // documentation, RFC 5737
    ([203, 0, 113, 0], 24),   // documentation, RFC 5737
    ([224, 0, 0, 0], 4),      // multicast, RFC 5771
    ([240, 0, 0, 0], 4),      // reserved, RFC 1112, and the broadcast address
];

/// Blocks of the global unicast addresses `2000::/3` that are not public.
const NOT_PUBLIC_V6: [([u16; 2], u32); 3] = [
    ([0x2001, 0x0000], 23), // protocol assignments, RFC 2928: Teredo, benchmarks, ORCHID
    ([0x2001, 0x0db8], 32), // documentation, RFC 3849
    ([0x3fff, 0x0000], 20), // documentation, RFC 9637
];

/// Returns whether the address belongs to the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(embedded) => is_public_v4(embedded),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !NOT_PUBLIC_V4
        .iter()
        .any(|(first, length)| (bits ^ u32::from_be_bytes(*first)) >> (32 - length) == 0)
}

/// Only addresses that are assigned as global unicast are public. Everything else, including what
/// may be assigned later, is not.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let bits = u32::from(first) << 16 | u32::from(second);
    let is_global_unicast = first >> 13 == 0b001;
    is_global_unicast
        && !NOT_PUBLIC_V6.iter().any(|([first, second], length)| {
            (bits ^ (u32::from(*first) << 16 | u32::from(*second))) >> (32 - length) == 0
        })
}

/// Returns the IPv4 address to which packets for this address are translated.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let from = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match (a, b, c, d, e, f) {
        // IPv4-mapped, RFC 4291 §2.5.5.2.
        (0, 0, 0, 0, 0, 0xffff) => Some(from(g, h)),
        // NAT64 with the well-known prefix, RFC 6052. A prefix of a network's own, RFC 8215, is not
        // public.
        (0x64, 0xff9b, 0, 0, 0, 0) => Some(from(g, h)),
        // 6to4, RFC 3056.
        (0x2002, high, low, ..) => Some(from(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
