//! Detects hosts outside the public internet by their name, which neither the value of a connection
//! nor a server may name.

use url::{Host, Url};

/// Top-level names of machines and networks, which are never public hosts.
const INTERNAL_SUFFIXES: [&str; 15] = [
    "alt",
    "arpa",
    "cluster",
    "corp",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
    "svc",
];

/// Public names that resolve to a cloud's metadata service, to the local machine, or to the address
/// written in the name.
const INWARD_DOMAINS: [&str; 10] = [
    "lacolhost.com",
    "localtest.me",
    "lvh.me",
    "metadata.goog",
    "metadata.tencentyun.com",
    "nip.io",
    "sslip.io",
    "traefik.me",
    "vcap.me",
    "xip.io",
];

/// Returns whether the host is an IP address, a name without a dot, or a name that by convention
/// resolves inside a network.
///
/// A public name whose DNS record points inside a network is not detected, because this function
/// does not resolve names; the client that connects does
/// ([`HttpRequest::to_public_addresses_only`](crate::http::HttpRequest::to_public_addresses_only)).
pub(crate) fn is_internal(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => is_internal_name(domain),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => true,
    }
}

/// Returns whether the host is the local machine, by address or by name.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_internal_name(domain: &str) -> bool {
    let name = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
    let Some((_, last)) = name.rsplit_once('.') else {
        return true;
    };
    let below = |known: &str| {
        name.strip_suffix(known)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    INTERNAL_SUFFIXES.contains(&last) || INWARD_DOMAINS.iter().any(|known| below(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_inside_a_network_are_recognised_in_each_notation() {
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "10.0.0.1",
            "8.8.8.8",
            "169.254.169.254",
            "[::1]",
            "[fe80::1]",
            "[::ffff:a9fe:a9fe]",
            "[2001:db8::1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "printer.local",
            "printer.local.",
            "metadata.google.internal",
            "metadata.goog",
            "gitlab",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "127.0.0.1.nip.io",
            "a.lvh.me",
            "1.0.0.127.in-addr.arpa",
            "router.lan",
        ] {
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            assert!(is_internal(&url), "{host}");
        }
        for host in [
            "gitlab.com",
            "local.example.com",
            "internal.example",
            "notnip.io",
            "a.b.test",
        ] {
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            assert!(!is_internal(&url), "{host}");
        }
    }

    #[test]
    fn loopback_is_this_machine_alone() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("localhost", true),
            ("a.localhost", true),
            ("10.0.0.1", false),
            ("localhost.example.com", false),
        ] {
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            assert_eq!(is_loopback(&url), expected, "{host}");
        }
    }
}
