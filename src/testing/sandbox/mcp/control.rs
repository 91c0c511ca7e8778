//! Control of the MCP servers by tests.

use crate::clock::Clock;
use crate::testing::sandbox::Sandbox;
use crate::testing::sandbox::account::TestAccount;
use crate::testing::sandbox::token::{id_token_payload, jwt};

/// An MCP server.
impl Sandbox {
    /// The MCP server of [`playing_mcp`](Self::playing_mcp).
    pub const MCP_SERVER: &'static str = "https://mcp.sandbox.test/mcp";

    /// The authorization server of [`MCP_SERVER`](Self::MCP_SERVER).
    pub const MCP_ISSUER: &'static str = "https://auth.sandbox.test";

    /// Creates a sandbox that is also an MCP server at [`MCP_SERVER`](Self::MCP_SERVER), with its
    /// authorization server at [`MCP_ISSUER`](Self::MCP_ISSUER).
    ///
    /// The MCP server has two tools: `whoami` returns the id of the account, and `add_note` needs
    /// the scope `mcp.write`. A request without a valid token gets a challenge that names the
    /// metadata ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)), which is served with the path
    /// of the server and at the root. The metadata of the authorization server ([RFC
    /// 8414](https://www.rfc-editor.org/rfc/rfc8414)) and of OpenID Connect name the endpoints
    /// `/authorize`, `/token`, `/revoke`, `/register` and `/userinfo` below the issuer.
    ///
    /// ```
    /// use http::Method;
    /// use valetkey::http::{HttpClient, HttpRequest};
    /// use valetkey::testing::{ManualClock, Sandbox};
    ///
    /// let sandbox = Sandbox::playing_mcp(ManualClock::default());
    /// let request = HttpRequest::new(Method::POST, Sandbox::MCP_SERVER.parse()?);
    /// let answer = sandbox.send(request)?;
    /// assert_eq!(answer.status, 401);
    /// assert!(answer.headers["www-authenticate"].to_str()?.contains("resource_metadata="));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn playing_mcp(clock: impl Clock) -> Self {
        let sandbox = Self::new(clock);
        sandbox.serve_mcp(Self::MCP_SERVER, &[Self::MCP_ISSUER]);
        sandbox
    }

    /// Serves an MCP server at this URL, whose metadata names these authorization servers. An
    /// issuer may have a path.
    ///
    /// For a URL that is served already, this changes the authorization servers: tokens of a former
    /// one are no longer accepted, but it keeps answering. Each issuer has its own clients and
    /// grants.
    pub fn serve_mcp(&self, url: &str, issuers: &[&str]) {
        self.world().mcp.serve(url, issuers);
    }

    /// Returns an ID token of this account, as the sign-in of an organization returns it to the
    /// host. The sandbox exchanges it for an assertion for the authorization server of an MCP
    /// server ([RFC 8693](https://www.rfc-editor.org/rfc/rfc8693)).
    ///
    /// # Panics
    ///
    /// If there is no such account.
    #[must_use]
    pub fn id_token(&self, account: &str) -> String {
        let account = TestAccount::find(account).expect("the account exists");
        let world = &mut *self.world();
        let payload = id_token_payload(&world.issuer(), &account, &world.client_id);
        let id_token = jwt(&payload);
        world.other_secrets.push(id_token.clone());
        world.identities.insert(id_token.clone(), account);
        id_token
    }

    /// Forgets a client that registered itself: from now on its requests are refused with
    /// `invalid_client`. Returns whether it was known.
    pub fn forget_client(&self, client_id: &str) -> bool {
        self.world().registered.forget(client_id)
    }

    /// Returns the clients that registered themselves or published a document: the issuer that
    /// knows each, and its client id.
    #[must_use]
    pub fn registered_clients(&self) -> Vec<(String, String)> {
        self.world().registered.ids()
    }
}
