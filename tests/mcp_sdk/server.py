"""An MCP server of the official Python SDK.

    server.py              with the SDK's own authorization server
    server.py ISSUER       with the authorization server of this issuer, whose tokens are JWTs

The user signs in at /login?request=...&user=...; there is no password, because this is a test. Prints its
URL when it is ready to be connected.
"""

import asyncio
import json
import secrets
import socket
import sys
import time
import urllib.request

import jwt
import uvicorn
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    TokenVerifier,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

USERS = {"ada", "grace"}


class Provider(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    def __init__(self, base: str):
        self.base = base
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.requests: dict[str, tuple[str, AuthorizationParams]] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self.access: dict[str, AccessToken] = {}

    async def get_client(self, client_id):
        return self.clients.get(client_id)

    async def register_client(self, client_info):
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client, params):
        request = secrets.token_hex(16)
        self.requests[request] = (client.client_id, params)
        return f"{self.base}/login?request={request}"

    def sign_in(self, request: str, user: str) -> str:
        client_id, params = self.requests.pop(request)
        code = AuthorizationCode(
            code="sdk-code-" + secrets.token_hex(20),
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            client_id=client_id,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
            subject=user,
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(self, client, authorization_code):
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client, authorization_code):
        del self.codes[authorization_code.code]
        return self.issue(client.client_id, authorization_code.scopes, authorization_code)

    async def load_refresh_token(self, client, refresh_token):
        found = self.refresh.get(refresh_token)
        return found if found and found.client_id == client.client_id else None

    async def exchange_refresh_token(self, client, refresh_token, scopes):
        del self.refresh[refresh_token.token]
        return self.issue(client.client_id, scopes, refresh_token)

    def issue(self, client_id, scopes, origin) -> OAuthToken:
        common = {"client_id": client_id, "scopes": scopes, "resource": origin.resource, "subject": origin.subject}
        access = AccessToken(token="sdk-at-" + secrets.token_hex(20), expires_at=int(time.time()) + 3600, **common)
        refresh = RefreshToken(token="sdk-rt-" + secrets.token_hex(20), **common)
        self.access[access.token] = access
        self.refresh[refresh.token] = refresh
        return OAuthToken(
            access_token=access.token,
            token_type="Bearer",
            expires_in=3600,
            scope=" ".join(scopes),
            refresh_token=refresh.token,
        )

    async def load_access_token(self, token):
        return self.access.get(token)

    async def revoke_token(self, token):
        of_user = lambda held: (held.client_id, held.subject) == (token.client_id, token.subject)
        self.access = {name: held for name, held in self.access.items() if not of_user(held)}
        self.refresh = {name: held for name, held in self.refresh.items() if not of_user(held)}


class Verifier(TokenVerifier):
    """Accepts the JWTs of an issuer."""

    def __init__(self, issuer: str):
        self.issuer = issuer
        with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration") as answer:
            self.keys = jwt.PyJWKClient(json.load(answer)["jwks_uri"])

    async def verify_token(self, token):
        try:
            key = self.keys.get_signing_key_from_jwt(token)
            options = {"verify_aud": False}
            claims = jwt.decode(token, key.key, algorithms=["RS256"], issuer=self.issuer, options=options)
        except jwt.PyJWTError:
            return None
        return AccessToken(
            token=token,
            client_id=claims["client_id"],
            scopes=claims.get("scope", "").split(),
            expires_at=claims["exp"],
            resource=claims["aud"],
            subject=claims["sub"],
        )


def whoami() -> str:
    """Says on whose behalf it is called."""
    return get_access_token().subject


def resource_server(base: str, issuer: str) -> MCPServer:
    mcp = MCPServer(
        "sdk",
        token_verifier=Verifier(issuer),
        log_level="WARNING",
        auth=AuthSettings(
            issuer_url=issuer,
            resource_server_url=f"{base}/mcp",
            required_scopes=["notes"],
            validate_token_resource=True,
        ),
    )
    mcp.add_tool(whoami)
    return mcp


def server(base: str) -> MCPServer:
    provider = Provider(base)
    mcp = MCPServer(
        "sdk",
        auth_server_provider=provider,
        log_level="WARNING",
        auth=AuthSettings(
            issuer_url=base,
            resource_server_url=f"{base}/mcp",
            required_scopes=["notes"],
            validate_token_resource=True,
            client_registration_options=ClientRegistrationOptions(
                enabled=True, valid_scopes=["notes"], default_scopes=["notes"]
            ),
            revocation_options=RevocationOptions(enabled=True),
        ),
    )

    mcp.add_tool(whoami)

    @mcp.custom_route("/login", methods=["GET"])
    async def login(request: Request) -> Response:
        user = request.query_params.get("user")
        if user not in USERS:
            return Response("Who are you?", status_code=400)
        return RedirectResponse(provider.sign_in(request.query_params["request"], user), status_code=302)

    # What the test asks for: every access token is refused from now on, but not its grant.
    @mcp.custom_route("/expire", methods=["POST"])
    async def expire(_: Request) -> Response:
        provider.access.clear()
        return Response(status_code=204)

    @mcp.custom_route("/forget-clients", methods=["POST"])
    async def forget(_: Request) -> Response:
        provider.clients.clear()
        return Response(status_code=204)

    return mcp


def main() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    issuer = sys.argv[1] if len(sys.argv) > 1 else None
    mcp = resource_server(base, issuer) if issuer else server(base)
    config = uvicorn.Config(mcp.streamable_http_app(), log_level="warning")
    print(f"{base}/mcp", flush=True)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
