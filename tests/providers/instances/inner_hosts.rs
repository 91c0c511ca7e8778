//! Hosts inside a network, which a value must not name.

use super::*;

/// Neither a user nor a server can make this library contact a host inside the network.
#[test]
fn hosts_inside_a_network_are_not_asked() {
    let inside = [
        "127.0.0.1",
        "127.0.0.1:8443",
        "10.0.0.1",
        "8.8.8.8",
        "169.254.169.254",
        "localhost",
        "localhost:22",
        "a.localhost",
        "printer.local",
        "metadata.google.internal",
        "metadata.goog",
        "gitlab",
        "kubernetes.default.svc",
        "127.0.0.1.nip.io",
    ];
    for host_name in inside {
        let base = format!("https://{host_name}");
        // The endpoints are fixed; the value determines the account endpoint and the API.
        let host = Host::new("fixed", &[]);
        let error = host
            .connections
            .start(&host.alice, "fixed", options(Some(&base)))
            .unwrap_err();
        assert!(is_internal(&error), "{base}: {error}");
        // A wildcard does not permit it.
        let wide = Host::new("by-base", &["https://*.own.test"]);
        assert!(
            wide.connections
                .start(&wide.alice, "by-base", options(Some(&base)))
                .is_err(),
            "{base}"
        );
        // The exact base URL does.
        let named = Host::new("by-base", &[&base]);
        named
            .connect("by-base", Some(&base))
            .unwrap_or_else(|error| panic!("{base}: {error}"));
        let named = Host::new("fixed", &[&base]);
        named
            .connect("fixed", Some(&base))
            .unwrap_or_else(|error| panic!("{base}: {error}"));
    }
    for base in [
        "https://[::1]",
        "https://[fe80::1]",
        "https://[::ffff:a9fe:a9fe]",
        "https://[::]",
    ] {
        let host = Host::new("fixed", &[]);
        let error = host
            .connections
            .start(&host.alice, "fixed", options(Some(base)))
            .unwrap_err();
        assert!(is_internal(&error), "{base}: {error}");
    }
    // Notations that a URL parser would rewrite are not base URLs.
    for base in [
        "https://2130706433",
        "https://0x7f.1",
        "https://0177.0.0.1",
        "https://evil..test",
        "https://evil.test:0",
    ] {
        let host = Host::new("fixed", &[]);
        let error = host
            .connections
            .start(&host.alice, "fixed", options(Some(base)))
            .unwrap_err();
        assert!(matches!(error, Error::Parameter(_)), "{base}: {error}");
        assert_eq!(host.asked(), Vec::<String>::new(), "{base}");
    }
    for word in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "localhost",
        "metadata.google.internal",
        "gitlab",
    ] {
        let host = Host::new("fixed-word", &[]);
        let error = host
            .connections
            .start(&host.alice, "fixed-word", options(Some(word)))
            .unwrap_err();
        assert!(is_internal(&error), "{word}: {error}");
    }
    // The token answer names one: the account request is not sent there.
    for said in ["https://169.254.169.254", "https://localhost"] {
        let host = Host::saying("by-answer", &[], said);
        let error = host.connect("by-answer", None).unwrap_err();
        assert!(is_internal(&error), "{said}: {error}");
        assert_eq!(host.asked(), ["https://fixed.test/token"], "{said}");
    }
}
