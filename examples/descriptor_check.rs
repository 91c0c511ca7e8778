//! Checks a descriptor file, says what its apps need to be registered with, and walks a consent with it.
//!
//! `cargo run --example descriptor_check -- FILE [--walk] [--redirect URI] [--parameter name=value]...`
//!
//! With `--walk` a sandbox plays the server of each provider, at the addresses of the descriptor, in process: consent,
//! account, refresh and revocation. It shows that a descriptor holds together, not that the real server agrees with it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks to its reader"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use valetkey::model::Parameters;
use valetkey::provider::{
    AuthorizationServer, ClientAuthentication, DescriptorFile, Loopback, ParameterSource, Provider,
    RefreshWith, Revocation,
};
use valetkey::testing::sandbox::{IssuerEcho, Personality, Surface};
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Resolver, catalog};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut path = None;
    let (mut walks, mut redirect, mut parameters) = (false, None, Parameters::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--walk" => walks = true,
            "--redirect" => redirect = arguments.next(),
            "--parameter" => {
                let pair = arguments.next().unwrap_or_default();
                let (name, value) = pair.split_once('=').ok_or("--parameter takes name=value")?;
                parameters.insert(name.into(), value.into());
            }
            _ => path = Some(argument),
        }
    }
    let path =
        path.ok_or("usage: descriptor_check FILE [--walk] [--redirect URI] [--parameter name=value]...")?;
    let file = read(&path)?;
    let mistakes = file.validate_all();
    if !mistakes.is_empty() {
        let sentences: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        return Err(sentences.join("\n").into());
    }
    println!(
        "{} servers and {} providers, all valid",
        file.servers.len(),
        file.providers.len()
    );

    let known = catalog::servers();
    let mut failed = Vec::new();
    for provider in &file.providers {
        let mut servers = file.servers.iter().chain(&known);
        let server = servers.find(|server| server.id == provider.server);
        let server = server.ok_or("a provider names a server that is not there")?;
        let redirect = redirect
            .clone()
            .unwrap_or_else(|| default_redirect(server).into());
        describe(provider, server, &redirect);
        if walks && let Err(error) = walk(provider, server, &redirect, &parameters) {
            println!("  walk failed: {error}");
            failed.push(provider.id.as_str());
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("not walked to the end: {}", failed.join(", ")).into())
    }
}

/// Reads JSON, or YAML or TOML by the file's name. An error says which member cannot be read.
fn read(path: &str) -> Result<DescriptorFile, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let extension = Path::new(path)
        .extension()
        .and_then(|extension| extension.to_str());
    let file = match extension {
        Some("yaml" | "yml") => {
            serde_path_to_error::deserialize(serde_yaml_ng::Deserializer::from_str(&text)).map_err(located)?
        }
        Some("toml") => {
            serde_path_to_error::deserialize(toml::Deserializer::parse(&text)?).map_err(located)?
        }
        _ => serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(&text))
            .map_err(located)?,
    };
    Ok(file)
}

/// The place of the mistake, and the mistake.
fn located<E: std::fmt::Display>(error: serde_path_to_error::Error<E>) -> String {
    format!("{}: {}", error.path(), error.inner())
}

const fn default_redirect(server: &AuthorizationServer) -> &'static str {
    match server.redirects.loopback {
        Loopback::Any | Loopback::IpLiteral => "http://127.0.0.1:8080/callback",
        Loopback::Localhost => "http://localhost:8080/callback",
        _ => "https://your-app.example/callback",
    }
}

fn describe(provider: &Provider, server: &AuthorizationServer, redirect: &str) {
    println!("\n{} ({})", provider.name, provider.id);
    if let Some(page) = &server.register_at {
        println!("  register the app at  {page}");
    }
    println!(
        "  redirect URI         {redirect}   (accepted: {})",
        server.redirects
    );
    println!(
        "  scopes               {}",
        provider.default_scopes.union(&provider.required_scopes)
    );
    if server.client_authentication == ClientAuthentication::None {
        println!("  client               public, no secret");
    }
    for rule in server
        .parameters
        .iter()
        .filter(|rule| rule.source == ParameterSource::Host)
    {
        println!(
            "  parameter            {} {}",
            rule.name,
            rule.default.as_deref().unwrap_or(if rule.optional {
                "(may be named)"
            } else {
                "(to be named)"
            })
        );
    }
    let added: Vec<&String> = provider
        .api_headers
        .keys()
        .chain(provider.api_query.keys())
        .collect();
    if !added.is_empty() {
        println!("  every API request    has {added:?}");
    }
    if provider.api_hosts.is_empty() && provider.api_base.is_none() {
        println!(
            "  warning: neither api_hosts nor api_base, so the token can be sent nowhere by the library"
        );
    }
    if provider.account.is_none() && provider.account_in_answer.is_none() {
        println!(
            "  warning: nothing says whose account it is: two accounts of a person cannot be told apart"
        );
    }
}

/// A sandbox at these addresses, as strict as the descriptor.
fn sandbox(surface: Surface, server: &AuthorizationServer, clock: ManualClock) -> Sandbox {
    let mut personality = Personality::default();
    personality.client_authentication = server.client_authentication;
    personality.pkce = server.pkce;
    personality.rotation = server.rotation;
    personality.scope_separator.clone_from(&server.scope_separator);
    personality.issuer = if server.issuer.is_some() {
        IssuerEcho::Always
    } else {
        IssuerEcho::Never
    };
    if let Revocation::Endpoint {
        authentication,
        tokens,
        ..
    } = &server.revocation
    {
        personality.revocation_authentication = *authentication;
        personality.revocation_takes = *tokens;
    }
    Sandbox::playing_as(surface, personality, clock)
}

/// Whether a parameter is there with another value than the standard's.
fn other(parameters: &BTreeMap<String, String>, name: &str, usual: &str) -> bool {
    parameters.get(name).is_some_and(|value| value != usual)
}

/// A request to the API, and whether it had what the descriptor adds.
fn call(
    resolver: &Resolver,
    ada: &ActingUser,
    provider: &Provider,
    sandbox: &Sandbox,
) -> Result<(), Box<dyn Error>> {
    let request = http::Request::get("/anything").body(Vec::new())?;
    resolver.send(ada, provider.id.as_str(), request)?;
    let log = sandbox.log();
    let seen = log.last().ok_or("no request arrived")?;
    let header = |name: &&String| seen.header(name).is_some();
    let (sent, left_out): (Vec<&String>, Vec<&String>) = provider.api_headers.keys().partition(header);
    println!(
        "  walk: called the API, with {sent:?}, without {left_out:?}, and with the query {:?}",
        seen.query_pairs().collect::<Vec<_>>()
    );
    Ok(())
}

fn walk(
    provider: &Provider,
    server: &AuthorizationServer,
    redirect: &str,
    given: &Parameters,
) -> Result<(), Box<dyn Error>> {
    let deviates = server.answer != valetkey::provider::AnswerShape::default()
        || !server.token_renames.is_empty()
        || !server.authorization_renames.is_empty()
        || server.authorization_fragment.is_some()
        || server.code_parameter.is_some()
        || !server.token_query.is_empty()
        || server.refresh_with != RefreshWith::RefreshToken
        || server.refresh_grant_type.is_some()
        || other(&server.authorization_parameters, "response_type", "code")
        || other(&provider.authorization_parameters, "response_type", "code")
        || other(&server.token_parameters, "grant_type", "authorization_code")
        || other(&server.refresh_parameters, "grant_type", "refresh_token")
        || server.parameters.iter().any(|rule| {
            matches!(
                rule.source,
                ParameterSource::Callback(_) | ParameterSource::TokenAnswer(_)
            )
        });
    if deviates {
        println!("  not walked: the sandbox does not play servers that rename, wrap or bring values");
        return Ok(());
    }
    let clock = ManualClock::default();
    let surface = Surface::described(server, provider, given)?;
    let mut instances = Vec::new();
    for endpoint in [&surface.authorization, &surface.token] {
        instances.push(url::Url::parse(endpoint)?.origin().ascii_serialization());
    }
    let sandbox = sandbox(surface, server, clock.clone());
    let (mut server, mut provider) = (server.clone(), provider.clone());
    // The catalogue's server may be the provider's; here it is one more of the host's own.
    server.replaces_builtin = catalog::servers().iter().any(|known| known.id == server.id);
    provider.replaces_builtin = catalog::providers().iter().any(|known| known.id == provider.id);
    let (server, provider) = (&server, &provider);
    let connections = Connections::builder(SealedVault::in_memory())
        .server(server.clone())
        .provider(provider.clone())
        .client(
            server.id.as_str(),
            sandbox.registration(redirect).for_base_urls(instances),
        )
        .http_client(sandbox.clone())
        .clock(clock.clone())
        .build()?;
    let ada = ActingUser::authenticated("acme", "ada")?;
    let options = given
        .iter()
        .fold(ConsentOptions::default(), |options, (name, value)| {
            options.parameter(name, value)
        });
    let consent = connections.start(&ada, provider.id.as_str(), options)?;
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    let connection =
        connections.complete(&ada, AuthorizationResponse::parse(&callback)?, consent.binding())?;
    println!(
        "  walk: connected as {}",
        connection
            .account
            .as_ref()
            .map_or("nobody known", |account| &account.id)
    );
    let resolver = Resolver::new(connections.clone());
    resolver.resolve(&ada, provider.id.as_str())?;
    if provider.api_base.is_some() {
        call(&resolver, &ada, provider, &sandbox)?;
    }
    if connection.refreshable {
        clock.advance(Duration::from_secs(3601));
        resolver.resolve(&ada, provider.id.as_str())?;
        println!("  walk: refreshed");
    }
    let revoked = connections.revoke(&ada, connection.id)?;
    println!("  walk: revoked here, at the provider: {:?}", revoked.at_provider);
    Ok(())
}
