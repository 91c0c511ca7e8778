//! The default client against TLS servers and a proxy on this machine.

use std::sync::Arc;
use std::sync::mpsc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

/// A private authority, and certificates that it issues.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(parameters, key).unwrap(),
        }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.unwrap())
    }
}

/// Serves one connection over TLS. The thread returns the request, or an empty string if the client
/// rejected the certificate.
fn serve_tls(config: Arc<ServerConfig>) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(config).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        let mut asked = Vec::new();
        let mut byte = [0];
        while !asked.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
            asked.push(byte[0]);
        }
        if !asked.is_empty() {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .unwrap();
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        String::from_utf8(asked).unwrap()
    });
    (port, server)
}

fn get(client: &UreqClient, url: &str) -> Result<u16, HttpError> {
    let mut request = HttpRequest::new(Method::GET, Url::parse(url).unwrap());
    request.timeout = Duration::from_secs(5);
    let answer = client.send(request)?;
    Ok(answer.status.as_u16())
}

#[test]
fn a_private_authority_is_trusted_once_its_root_is_added() {
    let authority = Authority::new();
    let trusting = UreqClient::new().roots(authority.pem().as_bytes()).unwrap();
    for (client, expected) in [
        (UreqClient::new(), Err(HttpError::Untrusted)),
        (trusting, Ok(200)),
    ] {
        let (port, server) = serve_tls(authority.server("localhost", |_| {}));
        assert_eq!(get(&client, &format!("https://localhost:{port}/path")), expected);
        let asked = server.join().unwrap();
        assert_eq!(
            asked.starts_with("GET /path HTTP/1.1"),
            expected.is_ok(),
            "{asked}"
        );
    }
}

#[test]
fn certificates_for_another_name_or_another_time_are_not_trusted() {
    let authority = Authority::new();
    let client = UreqClient::new().roots(authority.pem().as_bytes()).unwrap();
    let expired = |parameters: &mut CertificateParams| {
        parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2002, 1, 1);
    };
    for config in [
        authority.server("elsewhere.test", |_| {}),
        authority.server("localhost", expired),
        Authority::new().server("localhost", |_| {}),
    ] {
        let (port, server) = serve_tls(config);
        let found = get(&client, &format!("https://localhost:{port}/"));
        assert_eq!(found, Err(HttpError::Untrusted));
        assert_eq!(server.join().unwrap(), "");
    }
}

#[test]
fn roots_are_certificates_in_pem_and_several_can_be_added() {
    for pem in [
        &b""[..],
        b"no certificate",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ] {
        assert_eq!(UreqClient::new().roots(pem).unwrap_err().rule(), "roots");
    }
    let (one, other) = (Authority::new(), Authority::new());
    let both = format!("# two\n{}\n{}", one.pem(), other.pem());
    let client = UreqClient::new().roots(both.as_bytes()).unwrap();
    for authority in [one, other] {
        let (port, server) = serve_tls(authority.server("localhost", |_| {}));
        assert_eq!(get(&client, &format!("https://localhost:{port}/")), Ok(200));
        server.join().unwrap();
    }
}

/// Runs a proxy that answers one CONNECT with this status, and forwards bytes if it is 200. Returns
/// the head of the request.
fn proxy(status: u16) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, heads) = mpsc::channel();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let head = read_request(&mut client);
        let target = head.split(' ').nth(1).unwrap().to_owned();
        tell.send(head).unwrap();
        let answer = format!("HTTP/1.1 {status} Answer\r\n\r\n");
        client.write_all(answer.as_bytes()).unwrap();
        if status != 200 {
            return;
        }
        // Only the proxy resolves this name: it does not exist elsewhere.
        let port = target.rsplit(':').next().unwrap().parse::<u16>().unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || io::copy(&mut up, &mut down));
        let _ = io::copy(&mut server, &mut client);
    });
    (port, heads)
}

#[test]
fn requests_go_through_a_proxy_and_its_password_goes_nowhere_else() {
    let authority = Authority::new();
    let (proxy, heads) = proxy(200);
    let (port, server) = serve_tls(authority.server("only-it-knows.test", |_| {}));
    let client = UreqClient::new()
        .roots(authority.pem().as_bytes())
        .unwrap()
        .proxy(&format!("http://us%40er:m4rker@127.0.0.1:{proxy}"))
        .unwrap();
    assert!(!format!("{client:?}").contains("m4rker"));
    let found = get(&client, &format!("https://only-it-knows.test:{port}/path"));
    assert_eq!(found, Ok(200));
    let head = heads.recv().unwrap();
    assert!(
        head.starts_with(&format!("CONNECT only-it-knows.test:{port} HTTP/1.1\r\n")),
        "{head}"
    );
    // us@er:m4rker
    assert!(
        head.contains("Proxy-Authorization: Basic dXNAZXI6bTRya2Vy\r\n"),
        "{head}"
    );
    let asked = server.join().unwrap();
    assert!(asked.starts_with("GET /path HTTP/1.1"), "{asked}");
    assert!(!asked.to_lowercase().contains("proxy-"), "{asked}");
}

#[test]
fn a_proxy_that_refuses_or_is_down_is_told_apart_from_the_server() {
    for status in [403, 407, 502] {
        let (proxy, _heads) = proxy(status);
        let client = UreqClient::new().proxy(&format!("http://127.0.0.1:{proxy}"));
        let found = get(&client.unwrap(), "https://as.test/");
        assert_eq!(found, Err(HttpError::Proxy), "{status}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = UreqClient::new().proxy(&format!("http://{closed}")).unwrap();
    let found = get(&client, "https://as.test/");
    assert_eq!(found, Err(HttpError::Connect));
}

#[test]
fn what_is_no_proxy_is_refused_without_a_word_of_it() {
    for url in [
        "",
        "socks5://user:m4rker@proxy.test:1080",
        "ftp://m4rker.test",
        "http://",
        "m4r ker",
    ] {
        let error = UreqClient::new().proxy(url).unwrap_err();
        assert_eq!(error.rule(), "proxy", "{url}");
        assert!(!format!("{error} {error:?}").contains("m4rker"));
    }
}

#[test]
fn a_name_that_does_not_exist_is_told_apart_from_a_server_that_is_down() {
    let found = get(&UreqClient::new(), "https://nobody-has-this-name.invalid/");
    assert_eq!(found, Err(HttpError::UnknownHost));
}

const EXPECTED: &str = "VALETKEY_TEST_EXPECTS_PROXY";

#[test]
fn the_environment_names_the_proxy_only_where_the_host_says_so() {
    let variables = [
        "ALL_PROXY",
        "all_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
    ];
    for (name, value, expected) in [
        ("HTTPS_PROXY", "http://user:m4rker@proxy.test:3128", "proxy.test"),
        ("https_proxy", "https://proxy.test", "proxy.test"),
        ("ALL_PROXY", "socks5://proxy.test:1080", "refused"),
        ("HTTP_PROXY", "no proxy at all", "refused"),
        ("https_proxy", "", "none"),
        ("NO_PROXY", "*", "none"),
    ] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let test = "http::ureq::tests::tls::a_child_reads_the_proxy_from_its_environment";
        child.args(["--exact", test, "--ignored"]);
        for variable in variables {
            child.env_remove(variable);
        }
        let output = child.env(name, value).env(EXPECTED, expected).output().unwrap();
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.contains("1 passed"), "{name}={value}: {output}");
    }
}

#[test]
#[ignore = "another test runs it, with an environment of its own"]
fn a_child_reads_the_proxy_from_its_environment() {
    let expected = std::env::var(EXPECTED).unwrap();
    match UreqClient::new().proxy_from_env() {
        Ok(client) => {
            let printed = format!("{client:?}");
            assert_eq!(printed.contains("proxy: None"), expected == "none", "{printed}");
            assert!(expected == "none" || printed.contains(&expected), "{printed}");
            assert!(!printed.contains("m4rker"), "{printed}");
        }
        Err(error) => assert_eq!((error.rule(), expected.as_str()), ("proxy", "refused")),
    }
    // A client that was not configured to read the environment does not read it.
    assert!(format!("{:?}", UreqClient::new()).contains("proxy: None"));
}
