//! Checks a descriptor file, prints the details to register its apps with, and walks a consent with
//! it.
//!
//! ```text
//! cargo run --example descriptor_check -- FILE \
//!     [--walk] [--redirect URI] [--parameter name=value]...
//! ```
//!
//! With `--walk`, an in-process sandbox plays the server of each provider, at the addresses of the
//! descriptor: consent, account, refresh and revocation. This shows that a descriptor is
//! consistent, not that the real server agrees with it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks to its reader"
)]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use valetkey::model::Parameters;
use valetkey::provider::{AuthorizationServer, DescriptorFile, Provider};
use valetkey::testing::sandbox::{Personality, Surface};
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
        let server = servers.find(|server| server.id() == provider.server());
        let server = server.ok_or("a provider names a server that is not there")?;
        let documents = Documents {
            server: serde_json::to_value(server)?,
            provider: serde_json::to_value(provider)?,
        };
        let redirect = redirect
            .clone()
            .unwrap_or_else(|| documents.default_redirect().into());
        documents.describe(provider, server, &redirect);
        if !walks {
            continue;
        }
        if documents.deviates() {
            println!(
                "  not walked: the sandbox does not simulate servers that rename, wrap or return additional values"
            );
        } else if let Err(error) = walk(&documents, provider, server, &redirect, &parameters) {
            println!("  walk failed: {error}");
            failed.push(provider.id().as_str());
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("not walked to the end: {}", failed.join(", ")).into())
    }
}

/// Reads JSON, YAML or TOML, depending on the file's name. An error names the member that cannot be
/// read.
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

/// Formats the location of a mistake, and the mistake.
fn located<E: std::fmt::Display>(error: serde_path_to_error::Error<E>) -> String {
    format!("{}: {}", error.path(), error.inner())
}

/// A server and a provider as written in a file. Every deviation from the standards is a member of
/// one of them.
struct Documents {
    server: Value,
    provider: Value,
}

impl Documents {
    fn default_redirect(&self) -> &'static str {
        match self.server["redirects"]["loopback"].as_str() {
            Some("any" | "ip_literal") => "http://127.0.0.1:8080/callback",
            Some("localhost") => "http://localhost:8080/callback",
            _ => "https://your-app.example/callback",
        }
    }

    fn describe(&self, provider: &Provider, server: &AuthorizationServer, redirect: &str) {
        println!("\n{} ({})", provider.name(), provider.id());
        if let Some(page) = server.register_at() {
            println!("  register the app at  {page}");
        }
        println!(
            "  redirect URI         {redirect}   (loopback addresses: {})",
            self.server["redirects"]["loopback"]
        );
        println!(
            "  scopes               {}",
            provider.default_scopes().union(provider.required_scopes())
        );
        if self.server["client_authentication"] == "none" {
            println!("  client               public, no secret");
        }
        let rules = items(&self.server["parameters"]);
        for rule in rules.filter(|rule| rule["source"] == "host") {
            let usual = rule["default"].as_str().unwrap_or(if rule["optional"] == true {
                "(may be named)"
            } else {
                "(to be named)"
            });
            println!("  parameter            {} {usual}", text(&rule["name"]));
        }
        let added: Vec<&str> = self.added().collect();
        if !added.is_empty() {
            println!("  every API request    has {added:?}");
        }
        if provider.api_hosts().next().is_none() && !self.has_api() {
            println!(
                "  warning: neither api_hosts nor api_base, so the library cannot send the token anywhere"
            );
        }
        if self.provider["account"].is_null() && self.provider["account_in_answer"].is_null() {
            println!(
                "  warning: the server does not name the account: two accounts of a user cannot be distinguished"
            );
        }
    }

    fn has_api(&self) -> bool {
        self.provider["api_base"].is_string()
    }

    /// Returns the names of the headers and parameters of every API request.
    fn added(&self) -> impl Iterator<Item = &str> {
        let added = ["api_headers", "api_query"].map(|member| names(&self.provider[member]));
        added.into_iter().flatten()
    }

    /// Returns whether the server deviates from the standards in a way that the sandbox does not
    /// simulate.
    fn deviates(&self) -> bool {
        let server = &self.server;
        let is_set = |member: &&str| match &server[member] {
            Value::Object(members) => !members.is_empty(),
            other => !other.is_null(),
        };
        let renames = [
            "token_renames",
            "authorization_renames",
            "authorization_fragment",
            "code_parameter",
            "token_query",
            "refresh_grant_type",
        ];
        let other = |parameters: &Value, name: &str, usual: &str| {
            parameters.get(name).is_some_and(|value| *value != usual)
        };
        let standard = AuthorizationServer::from_json(
            r#"{"id": "a", "authorization_endpoint": "", "token_endpoint": ""}"#,
        );
        let standard = standard.ok().and_then(|server| serde_json::to_value(server).ok());
        let answer = standard.map_or(Value::Null, |standard| standard["answer"].clone());
        server["answer"] != answer
            || renames.iter().any(is_set)
            || server["refresh_with"] != "refresh_token"
            || other(&server["authorization_parameters"], "response_type", "code")
            || other(
                &self.provider["authorization_parameters"],
                "response_type",
                "code",
            )
            || other(&server["token_parameters"], "grant_type", "authorization_code")
            || other(&server["refresh_parameters"], "grant_type", "refresh_token")
            || items(&server["parameters"]).any(|rule| rule["source"].is_object())
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn names(members: &Value) -> impl Iterator<Item = &str> {
    let members = members.as_object().into_iter().flatten();
    members.map(|(name, _)| name.as_str())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Sends a request to the API, and returns whether it had the headers and parameters of the
/// descriptor.
fn call(
    documents: &Documents,
    resolver: &Resolver,
    ada: &ActingUser,
    sandbox: &Sandbox,
) -> Result<(), Box<dyn Error>> {
    let request = http::Request::get("/anything").body(Vec::new())?;
    resolver.send(ada, text(&documents.provider["id"]), request)?;
    let log = sandbox.log();
    let seen = log.last().ok_or("no request arrived")?;
    let header = |name: &&str| seen.header(name).is_some();
    let (sent, left_out): (Vec<&str>, Vec<&str>) =
        names(&documents.provider["api_headers"]).partition(header);
    println!(
        "  walk: called the API, with {sent:?}, without {left_out:?}, and with the query {:?}",
        seen.query_pairs().collect::<Vec<_>>()
    );
    Ok(())
}

fn walk(
    documents: &Documents,
    provider: &Provider,
    server: &AuthorizationServer,
    redirect: &str,
    given: &Parameters,
) -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::default();
    let surface = Surface::described(server, provider, given)?;
    let mut instances = Vec::new();
    for endpoint in [&surface.authorization, &surface.token] {
        instances.push(url::Url::parse(endpoint)?.origin().ascii_serialization());
    }
    // The sandbox serves these addresses and is as strict as the descriptor.
    let mut personality = Personality::default();
    personality.behave_as(server);
    let sandbox = Sandbox::playing_as(surface, personality, clock.clone());
    // The provider may use a server of the catalogue. Here it is registered as the host's own.
    let is_known = |id: &str| catalog::servers().iter().any(|known| known.id().as_str() == id);
    let server = match is_known(server.id().as_str()) {
        true => server.clone().replaces_builtin(),
        false => server.clone(),
    };
    let connections = Connections::builder(SealedVault::in_memory())
        .server(server.clone())
        .provider(provider.clone())
        .client(
            server.id(),
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
    let consent = connections.start(&ada, provider.id().as_str(), options)?;
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    let connection =
        connections.complete(&ada, AuthorizationResponse::parse(&callback)?, consent.binding())?;
    println!(
        "  walk: connected as {}",
        connection
            .account
            .as_ref()
            .map_or("unknown", |account| &account.id)
    );
    let resolver = Resolver::new(connections.clone());
    resolver.resolve(&ada, provider.id().as_str())?;
    if documents.has_api() {
        call(documents, &resolver, &ada, &sandbox)?;
    }
    if connection.refreshable {
        clock.advance(Duration::from_secs(3601));
        resolver.resolve(&ada, provider.id().as_str())?;
        println!("  walk: refreshed");
    }
    let revoked = connections.revoke(&ada, connection.id)?;
    println!("  walk: revoked here, at the provider: {:?}", revoked.at_provider);
    Ok(())
}
