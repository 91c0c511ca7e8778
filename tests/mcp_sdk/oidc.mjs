// An OpenID Connect authorization server (oidc-provider) for the MCP servers of this machine.
//
// The user signs in at /login/...?user=...; there is no password, because this is a test. Prints its issuer when
// it is ready.

import http from 'node:http';
import Provider from 'oidc-provider';

const USERS = new Set(['ada', 'grace']);

const server = http.createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    cookies: { keys: ['only for a test'] },
    scopes: ['openid', 'offline_access'],
    claims: { openid: ['sub'] },
    pkce: { required: () => true },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_, interaction) => `/login/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: 'notes',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 3600,
        }),
      },
    },
  });
  const answer = provider.callback();
  server.on('request', async (request, response) => {
    const url = new URL(request.url, issuer);
    if (!url.pathname.startsWith('/login/')) return answer(request, response);
    const user = url.searchParams.get('user');
    if (!USERS.has(user)) {
      response.writeHead(400).end('Who are you?');
      return undefined;
    }
    const { params } = await provider.interactionDetails(request, response);
    const grant = new provider.Grant({ accountId: user, clientId: params.client_id });
    grant.addOIDCScope('openid offline_access');
    for (const resource of [params.resource].flat()) grant.addResourceScope(resource, 'notes');
    const result = { login: { accountId: user }, consent: { grantId: await grant.save() } };
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  });
  console.log(issuer);
});
