//! The consent flow with a real user at the browser: at the sandbox, a real service, or any server.

use std::env;
use std::error::Error;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::json;
use valetkey::connections::ConnectionsBuilder;
use valetkey::model::{Connection, Label};
use valetkey::provider::{AuthorizationServer, ClientRegistration, DescriptorFile};
use valetkey::testing::Sandbox;
use valetkey::vault::{MasterKey, SqliteVault};
use valetkey::{Connections, ConsentOptions, Resolver, SystemClock, catalog};

use crate::arguments::{Arguments, Mode, Server};
use crate::host::{Host, acting_user};
use crate::support::loopback::Loopback;

pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let vault = SqliteVault::open(directory.path().join("connections.db"), MasterKey::generate()?)?;
    let application = Loopback::bind(loopback_host(&arguments.mode)?, arguments.port)?;
    let redirect_uri = format!("{}/callback", application.origin());
    let builder = Connections::builder(vault);
    let (builder, provider) = match &arguments.mode {
        Mode::Catalogue(id) => (at_catalogue(builder, id, &redirect_uri)?, id.clone()),
        Mode::Server(server) => (at_server(builder, server, &redirect_uri)?, "custom".to_owned()),
        Mode::Sandbox | Mode::Unattended => (at_sandbox(builder, &redirect_uri)?, "notes".to_owned()),
    };
    let connections = builder.build()?;
    println!("The redirect URI to be registered at the server is {redirect_uri}");

    let (outcomes, reported) = channel();
    let link = format!("{}/login/you", application.origin());
    let host = Host {
        connections: connections.clone(),
        provider: provider.clone(),
        options: options(arguments)?,
        outcomes,
    };
    application.serve(move |request| host.handle(&request));
    println!("Open this link: {link}");
    if arguments.open {
        open_in_browser(&link);
    }

    // A denied consent or a stray callback is reported as well. The consent stays open for the next
    // attempt.
    let connection = loop {
        match reported.recv_timeout(Duration::from_secs(600))? {
            Ok(connection) => break connection,
            Err(error) => println!("Not connected: {error}. Try the link again: {link}"),
        }
    };
    describe(&connection);
    turn(&connections, &provider, arguments)?;
    let you = acting_user("you").ok_or("a valid name")?;
    for other in connections.sharing(&you, connection.id)? {
        println!("The same consent serves {}.", other.provider);
    }
    let revocation = connections.revoke_grant(&you, connection.id)?;
    println!(
        "Revoked: {:?} here, {:?} at the provider.",
        revocation.here, revocation.at_provider
    );
    Ok(())
}

fn options(arguments: &Arguments) -> Result<ConsentOptions, Box<dyn Error>> {
    let mut options = ConsentOptions::default();
    if let Some(scope) = &arguments.scope {
        options = options.scopes(scope.parse()?);
    }
    if let Some(label) = &arguments.label {
        options = options.label(Label::new(label)?);
    }
    for service in &arguments.also {
        options = options.also(service);
    }
    for (name, value) in &arguments.parameters {
        options = options.parameter(name, value);
    }
    Ok(options)
}

fn describe(connection: &Connection) {
    match &connection.account {
        Some(account) => println!(
            "Connected the account {}",
            account.email.as_ref().unwrap_or(&account.id)
        ),
        None => println!("Connected; the provider does not name the account"),
    }
    println!("  granted: {}", connection.granted);
    if !connection.missing_scopes().is_empty() {
        println!("  requested but not granted: {}", connection.missing_scopes());
    }
    println!(
        "  refreshable: {}",
        if connection.refreshable {
            "yes"
        } else {
            "no, a new consent when it expires"
        }
    );
}

/// Runs a turn: resolves the token, refreshes it once manually, and uses it where the service has
/// data to read.
fn turn(connections: &Connections, provider: &str, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let you = acting_user("you").ok_or("a valid name")?;
    let resolver = Resolver::new(connections.clone());
    let token = resolver.resolve(&you, provider)?;
    println!("Resolved a token of generation {}", token.generation());
    match connections.refresh(&you, token.connection()) {
        Ok(renewed) => println!("Refreshed: generation {}", renewed.generation),
        Err(error) => println!("Not refreshed: {error}"),
    }
    let target = match &arguments.mode {
        Mode::Sandbox => Some("/notes"),
        Mode::Server(server) => server.api.as_deref(),
        Mode::Catalogue(_) | Mode::Unattended => None,
    };
    if let Some(target) = target {
        let request = http::Request::get(target).body(Vec::new())?;
        let response = resolver.send(&you, provider, request)?;
        println!(
            "The API answered {} with {} bytes",
            response.status(),
            response.body().len()
        );
    }
    Ok(())
}

fn at_sandbox(builder: ConnectionsBuilder, redirect_uri: &str) -> Result<ConnectionsBuilder, Box<dyn Error>> {
    let server = Loopback::bind("127.0.0.1", 0)?;
    let sandbox = Sandbox::at(&server.origin(), SystemClock);
    let builder = builder
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .client("sandbox", sandbox.registration(redirect_uri))
        .dangerous_loopback_http();
    server.serve(move |request| sandbox.handle(request));
    Ok(builder)
}

fn at_catalogue(
    builder: ConnectionsBuilder,
    provider: &str,
    redirect_uri: &str,
) -> Result<ConnectionsBuilder, Box<dyn Error>> {
    let server = catalogued(provider)?;
    Ok(builder.client(server.id(), registration(redirect_uri)?))
}

fn catalogued(provider: &str) -> Result<AuthorizationServer, Box<dyn Error>> {
    let providers = catalog::providers();
    let provider = providers
        .into_iter()
        .find(|known| known.id().as_str() == provider)
        .ok_or("the catalogue has no such provider")?;
    let servers = catalog::servers();
    let server = servers.into_iter().find(|known| known.id() == provider.server());
    Ok(server.ok_or("the catalogue has no such server")?)
}

/// Returns the host name of the redirect URI: some servers require `localhost`, some refuse it.
fn loopback_host(mode: &Mode) -> Result<&'static str, Box<dyn Error>> {
    let Mode::Catalogue(provider) = mode else {
        return Ok("127.0.0.1");
    };
    // A descriptor is a document, which is printed in the form in which it is written.
    let server = serde_json::to_value(catalogued(provider)?)?;
    match server["redirects"]["loopback"].as_str() {
        Some("localhost") => Ok("localhost"),
        Some("refused") => Err("this provider takes no loopback redirect URI; it wants https".into()),
        _ => Ok("127.0.0.1"),
    }
}

fn at_server(
    builder: ConnectionsBuilder,
    server: &Server,
    redirect_uri: &str,
) -> Result<ConnectionsBuilder, Box<dyn Error>> {
    let client_authentication = match server.auth.as_str() {
        "post" if env::var_os("VALETKEY_CLIENT_SECRET").is_none() => "none",
        "post" => "post",
        "basic" => "basic",
        "basic-unencoded" => "basic_unencoded",
        "none" => "none",
        other => return Err(format!("--auth {other} is not known").into()),
    };
    let revocation = match &server.revoke {
        Some(revoke) => json!({ "endpoint": { "url": server.url(revoke) } }),
        None => json!("unsupported"),
    };
    let account = server.userinfo.as_ref().map(|userinfo| {
        json!({
            "url": server.url(userinfo),
            "id": ["/sub", "/id"],
            "email": ["/email"],
            "label": ["/name", "/preferred_username", "/login"],
        })
    });
    let mut hosts = vec![json!({ "origin": origin(&server.base)? })];
    if let Some(api) = server.api.as_deref().filter(|api| api.contains("://")) {
        hosts.push(json!({ "origin": origin(api)? }));
    }
    let document = json!({
        "servers": [{
            "id": "custom",
            "issuer": server.issuer,
            "issuer_policy": if server.issuer.is_some() { "if_known" } else { "ignored" },
            "authorization_endpoint": server.url(&server.authorize),
            "token_endpoint": server.url(&server.token),
            "client_authentication": client_authentication,
            "pkce": if server.pkce { "s256" } else { "refused" },
            "revocation": revocation,
        }],
        "providers": [{
            "id": "custom",
            "server": "custom",
            "name": "Custom server",
            "api_base": origin(&server.base)?,
            "api_hosts": hosts,
            "account": account,
        }],
    });
    let loopback = server.base.starts_with("http://");
    let builder = builder
        .descriptors(DescriptorFile::from_json(&document.to_string())?)
        .client("custom", registration(redirect_uri)?);
    Ok(if loopback {
        builder.dangerous_loopback_http()
    } else {
        builder
    })
}

fn origin(url: &str) -> Result<String, Box<dyn Error>> {
    Ok(url::Url::parse(url)?.origin().ascii_serialization())
}

fn registration(redirect_uri: &str) -> Result<ClientRegistration, Box<dyn Error>> {
    let id = env::var("VALETKEY_CLIENT_ID").map_err(|_| "VALETKEY_CLIENT_ID is not set")?;
    Ok(match env::var("VALETKEY_CLIENT_SECRET") {
        Ok(secret) => ClientRegistration::new(id, secret, redirect_uri),
        Err(_) => ClientRegistration::public(id, redirect_uri),
    })
}

/// Opens the application's own link, not the server's, because this process passes it to another
/// program as an argument.
fn open_in_browser(link: &str) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    if Command::new(opener).arg(link).spawn().is_err() {
        println!("(could not open a browser)");
    }
}
