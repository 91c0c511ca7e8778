//! The rule against IANA's registries of special-purpose addresses, row by row.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// The rows of both registries, with *Globally Reachable*, and the blocks that other registries
/// define: multicast, the future use of IPv4, and site-local addresses.
const REGISTRY: [(&str, bool); 47] = [
    ("0.0.0.0/8", false),
    ("10.0.0.0/8", false),
    ("100.64.0.0/10", false),
    ("127.0.0.0/8", false),
    ("169.254.0.0/16", false),
    ("172.16.0.0/12", false),
    ("192.0.0.0/24", false),
    ("192.0.0.0/29", false),
    ("192.0.0.8/32", false),
    ("192.0.0.9/32", true),
    ("192.0.0.10/32", true),
    ("192.0.0.170/32", false),
    ("192.0.0.171/32", false),
    ("192.0.2.0/24", false),
    ("192.31.196.0/24", true),
    ("192.52.193.0/24", true),
    ("192.88.99.0/24", false),
    ("192.168.0.0/16", false),
    ("192.175.48.0/24", true),
    ("198.18.0.0/15", false),
    ("198.51.100.0/24", false),
    ("203.0.113.0/24", false),
    ("224.0.0.0/4", false),
    ("240.0.0.0/4", false),
    ("255.255.255.255/32", false),
    ("::1/128", false),
    ("::/128", false),
    ("64:ff9b:1::/48", false),
    ("100::/64", false),
    ("100:0:0:1::/64", false),
    ("2001::/23", false),
    ("2001:1::1/128", true),
    ("2001:1::2/128", true),
    ("2001:1::3/128", true),
    ("2001:2::/48", false),
    ("2001:3::/32", true),
    ("2001:4:112::/48", true),
    ("2001:10::/28", false),
    ("2001:20::/28", true),
    ("2001:30::/28", true),
    ("2001:db8::/32", false),
    ("2620:4f:8000::/48", true),
    ("3fff::/20", false),
    ("5f00::/16", false),
    ("fc00::/7", false),
    ("fe80::/10", false),
    ("ff00::/8", false),
];

/// Reachable blocks that are not public here: no server of a user is at one of these.
const STRICTER: [&str; 9] = [
    "192.0.0.9/32",
    "192.0.0.10/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:20::/28",
    "2001:30::/28",
];

/// A block as the range of its addresses, in numbers of 128 bits.
#[derive(Debug, Clone, Copy)]
struct Block {
    is_v4: bool,
    first: u128,
    last: u128,
}

impl Block {
    fn parse(text: &str) -> Self {
        let (address, length) = text.split_once('/').unwrap();
        let length: u32 = length.parse().unwrap();
        let (is_v4, first, size) = match address.parse().unwrap() {
            IpAddr::V4(address) => (true, u128::from(address.to_bits()), 1_u128 << (32 - length)),
            IpAddr::V6(address) => (false, address.to_bits(), 1_u128 << (128 - length)),
        };
        Self {
            is_v4,
            first,
            last: first + (size - 1),
        }
    }

    fn address(self, number: u128) -> IpAddr {
        if self.is_v4 {
            Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into()
        } else {
            Ipv6Addr::from_bits(number).into()
        }
    }

    fn contains(self, address: IpAddr) -> bool {
        let (is_v4, number) = match address {
            IpAddr::V4(address) => (true, u128::from(address.to_bits())),
            IpAddr::V6(address) => (false, address.to_bits()),
        };
        is_v4 == self.is_v4 && (self.first..=self.last).contains(&number)
    }

    /// The first, the middle and the last address.
    fn samples(self) -> [IpAddr; 3] {
        [self.first, self.first + (self.last - self.first) / 2, self.last].map(|number| self.address(number))
    }

    /// The addresses just before and after the block, if there are any.
    fn neighbours(self) -> Vec<IpAddr> {
        let most = if self.is_v4 {
            u128::from(u32::MAX)
        } else {
            u128::MAX
        };
        let before = self.first.checked_sub(1);
        let after = self.last.checked_add(1).filter(|number| *number <= most);
        let neighbours = before.into_iter().chain(after);
        neighbours.map(|number| self.address(number)).collect()
    }
}

/// Returns what the registries say of an address: the row with the smallest block decides. Outside
/// of all rows, IPv4 addresses are reachable, and those of IPv6 in `2000::/3`.
fn by_registry(address: IpAddr) -> bool {
    let rows = REGISTRY
        .iter()
        .map(|(block, reachable)| (*block, Block::parse(block), *reachable));
    let row = rows
        .filter(|(_, block, _)| block.contains(address))
        .min_by_key(|(_, block, _)| block.last - block.first);
    match row {
        Some((text, _, reachable)) => reachable && !STRICTER.contains(&text),
        None => match address {
            IpAddr::V4(address) => address != Ipv4Addr::new(168, 63, 129, 16),
            IpAddr::V6(address) => address.segments()[0] & 0xe000 == 0x2000,
        },
    }
}

fn to_v6(form: &str, address: Ipv4Addr) -> IpAddr {
    let [a, b, c, d] = address.octets();
    let text = match form {
        "mapped" => format!("::ffff:{address}"),
        "nat64" => format!("64:ff9b::{address}"),
        "6to4" => format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"),
        "6to4 host" => format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}:ffff:808:808:1:2"),
        _ => format!("::{address}"),
    };
    text.parse().unwrap()
}

#[test]
fn each_row_of_the_registries_and_its_neighbours() {
    let mut public = 0;
    for (text, _) in REGISTRY {
        let block = Block::parse(text);
        let neighbours = block.neighbours();
        for address in block.samples().into_iter().chain(neighbours) {
            let expected = by_registry(address);
            assert_eq!(is_public(address), expected, "{address} of {text}");
            public += usize::from(expected);
        }
    }
    assert!(public > 20, "the neighbours of most blocks are public");
}

#[test]
fn an_ipv4_address_within_ipv6_is_judged_by_itself() {
    let blocks = REGISTRY.iter().map(|(text, _)| Block::parse(text));
    let samples = blocks
        .filter(|block| block.is_v4)
        .flat_map(|block| block.samples().into_iter().chain(block.neighbours()));
    for address in samples {
        let IpAddr::V4(address) = address else {
            continue;
        };
        for form in ["mapped", "nat64", "6to4", "6to4 host"] {
            let within = to_v6(form, address);
            assert_eq!(
                is_public(within),
                by_registry(address.into()),
                "{within} ({form})"
            );
        }
        assert!(!is_public(to_v6("compatible", address)));
    }
}

#[test]
fn the_metadata_services_of_clouds_are_not_public() {
    for address in [
        "169.254.169.254",        // AWS, Azure, Google Cloud, Oracle, DigitalOcean
        "169.254.170.2",          // AWS, containers
        "169.254.0.23",           // Tencent
        "168.63.129.16",          // Azure
        "100.100.100.200",        // Alibaba
        "192.0.0.192",            // Oracle
        "fd00:ec2::254",          // AWS
        "fd20:ce::254",           // Google Cloud
        "::ffff:169.254.169.254", // and in the notations of IPv6
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "::169.254.169.254",
        "fe80::a9fe:a9fe",
    ] {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "168.63.129.17",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
    ] {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

proptest! {
    #[test]
    fn any_ipv4_address_is_judged_as_by_the_registry(bits: u32) {
        let address = IpAddr::from(Ipv4Addr::from_bits(bits));
        prop_assert_eq!(is_public(address), by_registry(address));
    }

    #[test]
    fn any_ipv6_address_is_judged_as_by_the_registry(bits: u128, top in 0_u128..0x4000) {
        for address in [bits, (top << 112) | (bits >> 16)].map(Ipv6Addr::from_bits) {
            if embedded(address).is_none() {
                prop_assert_eq!(is_public(address.into()), by_registry(address.into()));
            }
        }
    }
}
