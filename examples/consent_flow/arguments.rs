//! The command-line arguments.

pub const HELP: &str = "\
consent_flow                      two people walk a consent at a sandbox on loopback; nobody is asked
consent_flow --browser            you walk it, in your browser; the server is the sandbox
consent_flow --provider ID        the same at a real service, such as gmail
consent_flow --server URL         the same at any authorization server

With --provider and --server, VALETKEY_CLIENT_ID and VALETKEY_CLIENT_SECRET hold your client registration;
without a secret the client is public. The redirect URI to register is printed.

  --no-open            print the link, do not open it
  --port N             the loopback port of the callback (8765)
  --scope \"A B\"        ask for these scopes
  --label NAME         name the connection
  --also ID            serve this service with the same consent, such as google-calendar beside gmail
  --parameter N=V      fill the placeholder N of the provider's URLs

With --server, endpoints are URLs or paths under the server's URL:
  --authorize PATH     authorization endpoint (/authorize)
  --token PATH         token endpoint (/token)
  --revoke PATH        revocation endpoint (none)
  --userinfo PATH      account endpoint (none)
  --issuer URL         the issuer that `iss` must equal
  --auth METHOD        post (default), basic, basic-unencoded or none
  --no-pkce            the server refuses PKCE
  --api URL            a protected resource to read with the token";

pub struct Arguments {
    pub mode: Mode,
    pub open: bool,
    pub port: u16,
    pub scope: Option<String>,
    pub label: Option<String>,
    pub also: Vec<String>,
    pub parameters: Vec<(String, String)>,
}

pub enum Mode {
    Unattended,
    Sandbox,
    Catalogue(String),
    Server(Server),
}

/// An authorization server by its endpoints.
pub struct Server {
    pub base: String,
    pub authorize: String,
    pub token: String,
    pub revoke: Option<String>,
    pub userinfo: Option<String>,
    pub issuer: Option<String>,
    pub auth: String,
    pub pkce: bool,
    pub api: Option<String>,
}

impl Server {
    fn new(base: String) -> Self {
        Self {
            base,
            authorize: "/authorize".into(),
            token: "/token".into(),
            revoke: None,
            userinfo: None,
            issuer: None,
            auth: "post".into(),
            pkce: true,
            api: None,
        }
    }

    /// Parses an endpoint as a URL.
    pub fn url(&self, endpoint: &str) -> String {
        if endpoint.contains("://") {
            endpoint.to_owned()
        } else {
            format!(
                "{}/{}",
                self.base.trim_end_matches('/'),
                endpoint.trim_start_matches('/')
            )
        }
    }
}

impl Arguments {
    /// Parses the arguments. Returns `None` if only help is requested.
    pub fn parse(given: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut arguments = Self {
            mode: Mode::Unattended,
            open: true,
            port: 8765,
            scope: None,
            label: None,
            also: Vec::new(),
            parameters: Vec::new(),
        };
        let mut given = given.peekable();
        while let Some(name) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{name} wants a value"));
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--browser" => arguments.mode = Mode::Sandbox,
                "--provider" => arguments.mode = Mode::Catalogue(value()?),
                "--server" => arguments.mode = Mode::Server(Server::new(value()?)),
                "--no-open" => arguments.open = false,
                "--port" => {
                    arguments.port = value()?
                        .parse()
                        .map_err(|_| "--port wants a number up to 65535")?;
                }
                "--scope" => arguments.scope = Some(value()?),
                "--label" => arguments.label = Some(value()?),
                "--also" => arguments.also.push(value()?),
                "--parameter" => {
                    let pair = value()?;
                    let (name, value) = pair.split_once('=').ok_or("--parameter wants NAME=VALUE")?;
                    arguments.parameters.push((name.to_owned(), value.to_owned()));
                }
                _ => {
                    let Mode::Server(server) = &mut arguments.mode else {
                        return Err(format!(
                            "{name} is not known here (options of a server come after --server)"
                        ));
                    };
                    match name.as_str() {
                        "--authorize" => server.authorize = value()?,
                        "--token" => server.token = value()?,
                        "--revoke" => server.revoke = Some(value()?),
                        "--userinfo" => server.userinfo = Some(value()?),
                        "--issuer" => server.issuer = Some(value()?),
                        "--auth" => server.auth = value()?,
                        "--no-pkce" => server.pkce = false,
                        "--api" => server.api = Some(value()?),
                        _ => return Err(format!("{name} is not known")),
                    }
                }
            }
        }
        Ok(Some(arguments))
    }
}
