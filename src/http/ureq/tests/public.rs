//! Requests to public addresses only: the names, the addresses and the connections that they get.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, TcpConnector};

use super::*;
use crate::http::ureq::dial::PublicNames;
use crate::http::ureq::failure::Unconnected;
use crate::http::ureq::settings::config;

/// Resolves every name to one list after the other, as a hostile name server can.
#[derive(Debug)]
struct Scripted(Mutex<Vec<Vec<&'static str>>>);

impl Resolver for Scripted {
    fn resolve(&self, _: &http::Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut answers = self.0.lock().unwrap();
        let mut addresses = self.empty();
        for address in answers.remove(0) {
            addresses.push(address.parse().unwrap());
        }
        Ok(addresses)
    }
}

/// Records the addresses that it is to connect to, and connects to none.
#[derive(Debug, Clone, Default)]
struct Recorded(Arc<Mutex<Vec<SocketAddr>>>);

impl Connector<()> for Recorded {
    type Out = <TcpConnector as Connector<()>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        self.0.lock().unwrap().extend(details.addrs.iter());
        Err(Unconnected::Address.into())
    }
}

/// Returns a client for which names resolve to these lists of addresses, and what it connects to.
fn client(answers: &[&[&'static str]]) -> (UreqClient, Recorded) {
    let recorded = Recorded::default();
    let names = Scripted(Mutex::new(answers.iter().map(|list| list.to_vec()).collect()));
    let mut client = UreqClient::new();
    client.guarded = Agent::with_parts(config(None, false), recorded.clone(), PublicNames(names));
    (client, recorded)
}

fn marked(url: &str) -> HttpRequest {
    HttpRequest::new(Method::GET, Url::parse(url).unwrap()).to_public_addresses_only()
}

#[test]
fn a_name_with_an_address_that_is_not_public_is_refused() {
    for addresses in [
        &["127.0.0.1:443"][..],
        &["10.0.0.1:443"],
        &["169.254.169.254:443"],
        &["[::1]:443"],
        &["[::ffff:10.0.0.1]:443"],
        &["[fd00:ec2::254]:443"],
        &["93.184.216.34:443", "192.168.0.1:443"],
        &["[2606:4700:4700::1111]:443", "93.184.216.34:443", "[fe80::1]:443"],
    ] {
        let (client, recorded) = client(&[addresses]);
        let refused = client.send(marked("https://mcp.example/mcp")).unwrap_err();
        assert_eq!(refused, HttpError::PrivateAddress, "{addresses:?}");
        assert!(recorded.0.lock().unwrap().is_empty(), "{addresses:?}");
    }
}

#[test]
fn the_client_connects_to_the_addresses_that_it_checked() {
    let public = ["93.184.216.34:443", "[2606:4700:4700::1111]:443"];
    // The second answer would lead inside; it is never asked for by the first request.
    let (client, recorded) = client(&[&public, &["127.0.0.1:443"]]);
    let send = || client.send(marked("https://mcp.example/mcp")).unwrap_err();
    assert_eq!(send(), HttpError::Connect);
    let connected = recorded.0.lock().unwrap().clone();
    assert_eq!(connected, public.map(|address| address.parse().unwrap()));
    assert_eq!(send(), HttpError::PrivateAddress);
    assert_eq!(recorded.0.lock().unwrap().len(), public.len());
}

#[test]
fn hosts_that_are_addresses_or_internal_names_are_not_resolved() {
    for url in [
        "https://127.0.0.1/",
        "https://93.184.216.34/",
        "https://2130706433/",
        "https://[::ffff:7f00:1]/",
        "https://localhost/",
        "https://a.localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://10.0.0.1.nip.io/",
        "https://gitlab/",
    ] {
        let (client, _) = client(&[]);
        assert_eq!(
            client.send(marked(url)).unwrap_err(),
            HttpError::PrivateAddress,
            "{url}"
        );
    }
    let (client, _) = client(&[]);
    let client = client.dangerous_loopback_http();
    let loopback = client.send(marked("http://127.0.0.1/")).unwrap_err();
    assert_eq!(loopback, HttpError::PrivateAddress);
}

#[test]
fn the_real_resolver_is_checked_too() {
    // This machine resolves its own name to loopback; a name of the table above never gets here.
    let names = PublicNames(dial::Names::default());
    let uri: http::Uri = "https://localhost/".parse().unwrap();
    let timeout = NextTimeout {
        after: Duration::from_secs(5).into(),
        ..NextTimeout::default()
    };
    let error = names.resolve(&uri, &config(None, false), timeout).unwrap_err();
    assert_eq!(failure(&error, None), HttpError::PrivateAddress);
}

#[test]
fn a_proxy_resolves_the_names_and_gets_no_internal_ones() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let asked = read_request(&mut client);
        client.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap();
        asked
    });
    let client = UreqClient::new()
        .proxy(&format!("http://127.0.0.1:{port}"))
        .unwrap();
    let internal = client.send(marked("https://10.0.0.1/")).unwrap_err();
    assert_eq!(internal, HttpError::PrivateAddress);
    // The proxy is inside the network; the name is one that only the proxy could resolve.
    let refused = client.send(marked("https://only-it-knows.test/")).unwrap_err();
    assert_eq!(refused, HttpError::Proxy);
    assert!(
        proxy
            .join()
            .unwrap()
            .starts_with("CONNECT only-it-knows.test:443 ")
    );
}
