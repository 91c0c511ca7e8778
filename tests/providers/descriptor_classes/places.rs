//! Services whose addresses differ between connections.

use super::walk::{CALL, Class, EXCHANGE, GO, REFRESH, STANDARD};

pub(crate) const CLASSES: &[Class] = &[
    Class {
        name: "a label of the host",
        services: 23,
        server: r#""parameters":[{"name":"sub","kind":"word","pattern":"^[a-z0-9_-]+$","prefix":"https://","suffix":".acme.test"}],
            "authorization_endpoint":"https://{sub}.acme.test/authorize","token_endpoint":"https://{sub}.acme.test/token""#,
        provider: r#""api_base":"https://{sub}.acme.test/api""#,
        given: &[("sub", "https://my_team.acme.test")],
        sends: &[
            "GO https://my_team.acme.test/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code state=*",
            "POST https://my_team.acme.test/token client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            "GET https://my_team.acme.test/api/things [authorization: Bearer at-1]",
            "POST https://my_team.acme.test/token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "the whole host, with its port and path",
        services: 14,
        server: r#""parameters":[{"name":"host","kind":"host","prefix":"https://","pattern":"^[a-zA-Z0-9.-]+(:\\d+)?(/[a-zA-Z0-9._~-]+)*/?$"}],
            "authorization_endpoint":"https://{host}/oauth/authorize","token_endpoint":"https://{host}/oauth/token""#,
        provider: r#""api_base":"https://{host}/rest/api""#,
        given: &[("host", "https://acme.test:8443/lab/")],
        sends: &[
            "GO https://acme.test:8443/lab/oauth/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code state=*",
            "POST https://acme.test:8443/lab/oauth/token client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            "GET https://acme.test:8443/lab/rest/api/things [authorization: Bearer at-1]",
            "POST https://acme.test:8443/lab/oauth/token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "a choice of hosts",
        services: 6,
        server: r#""parameters":[{"name":"host","kind":{"one_of":["www.acme.test","gov.acme.test/b2b"]}}],
            "authorization_endpoint":"https://{host}/authorize","token_endpoint":"https://{host}/token""#,
        provider: r#""api_base":"https://{host}/api""#,
        given: &[("host", "gov.acme.test/b2b")],
        sends: &[
            "GO https://gov.acme.test/b2b/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code state=*",
            "POST https://gov.acme.test/b2b/token client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            "GET https://gov.acme.test/b2b/api/things [authorization: Bearer at-1]",
            "POST https://gov.acme.test/b2b/token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "a value, or a fixed address without it",
        services: 7,
        server: r#""parameters":[{"name":"region","kind":{"one_of":["eu","au"]},"optional":true}],
            "authorization_endpoint":"https://app.{region}.acme.test/oauth || https://app.acme.test/oauth",
            "token_endpoint":"https://api.{region}.acme.test/token || https://api.acme.test/token""#,
        provider: r#""api_base":"https://api.{region}.acme.test || https://api.acme.test""#,
        sends: &[
            "GO https://app.acme.test/oauth client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code state=*",
            "POST https://api.acme.test/token client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            "GET https://api.acme.test/things [authorization: Bearer at-1]",
            "POST https://api.acme.test/token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "a host that the person may name, by a pattern that forbids some",
        services: 2,
        server: r#""parameters":[{"name":"host","kind":"host","optional":true,"pattern":"^(?!(?:.*\\.)?[Ll]ightning\\.test$)[a-zA-Z0-9]([a-zA-Z0-9\\-]{0,61}[a-zA-Z0-9])?(\\.[a-z]+)*$"},
            {"name":"instance","kind":"base_url","pattern":"^https?://.*$","source":{"token_answer":"/instance_url"}}],
            "authorization_endpoint":"https://{host}/authorize || https://login.acme.test/authorize",
            "token_endpoint":"https://{host}/token || https://login.acme.test/token""#,
        provider: r#""api_base":"{instance}""#,
        given: &[("host", "acme.my.test")],
        answer: r#"{"access_token":"at-1","refresh_token":"rt-1","expires_in":60,"instance_url":"https://na1.acme.test"}"#,
        sends: &[
            "GO https://acme.my.test/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code state=*",
            "POST https://acme.my.test/token client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            "GET https://na1.acme.test/things [authorization: Bearer at-1]",
            "POST https://acme.my.test/token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "parts of a label, below a fixed domain",
        services: 1,
        server: r#""parameters":[{"name":"env","kind":{"one_of":["live","test"]}},{"name":"api","kind":"word"}],
            "authorization_endpoint":"https://ca-{env}.acme.test/connect","token_endpoint":"https://oauth-{env}.acme.test/token""#,
        provider: r#""api_base":"https://{api}-{env}.acme.test""#,
        given: &[("env", "test"), ("api", "sandbox.kyc")],
        sends: &[
            "GO https://ca-test.acme.test/connect client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code state=*",
            "POST https://oauth-test.acme.test/token client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            "GET https://sandbox.kyc-test.acme.test/things [authorization: Bearer at-1]",
            "POST https://oauth-test.acme.test/token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "the end of the domain",
        services: 4,
        server: r#""parameters":[{"name":"tld","kind":{"one_of":["com","co.uk"]}}],
            "authorization_endpoint":"https://start.acme.{tld}/auth","token_endpoint":"https://start.acme.{tld}/token""#,
        provider: r#""api_base":"https://start.acme.{tld}/""#,
        given: &[("tld", "co.uk")],
        sends: &[
            "GO https://start.acme.co.uk/auth client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code state=*",
            "POST https://start.acme.co.uk/token client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            "GET https://start.acme.co.uk/things [authorization: Bearer at-1]",
            "POST https://start.acme.co.uk/token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "a segment of the path",
        services: 6,
        server: r#""parameters":[{"name":"tenant","kind":"segment"}],
            "authorization_endpoint":"https://as.test/{tenant}/authorize","token_endpoint":"https://as.test/{tenant}/token""#,
        provider: r#""api_base":"https://api.test/gateway/{tenant}""#,
        given: &[("tenant", "ACME_PRD")],
        sends: &[
            "GO https://as.test/ACME_PRD/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code state=*",
            "POST https://as.test/ACME_PRD/token client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            "GET https://api.test/gateway/ACME_PRD/things [authorization: Bearer at-1]",
            "POST https://as.test/ACME_PRD/token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "a host from the callback, one of a list, and the API's from the answer",
        services: 11,
        server: r#""parameters":[{"name":"extension","kind":{"one_of":["com","com.au"]},"optional":true},
            {"name":"accounts-server","kind":{"one_of":["https://accounts.acme.test","https://accounts.acme.test.au"]},"source":{"callback":"accounts-server"},"optional":true},
            {"name":"api_domain","kind":"base_url","source":{"token_answer":"/api_domain"}}],
            "authorization_endpoint":"https://accounts.acme.{extension}/auth || https://accounts.acme.com/auth",
            "token_endpoint":"https://accounts.acme.{extension}/token || {accounts-server}/token || https://accounts.acme.com/token""#,
        provider: r#""api_base":"https://www.acmeapis.{extension} || {api_domain}""#,
        callback: "code=c&accounts-server=https%3A%2F%2Faccounts.acme.test.au",
        answer: r#"{"access_token":"at-1","refresh_token":"rt-1","expires_in":60,"api_domain":"https://www.acmeapis.test"}"#,
        sends: &[
            "GO https://accounts.acme.com/auth client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code state=*",
            "POST https://accounts.acme.test.au/token client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            "GET https://www.acmeapis.test/things [authorization: Bearer at-1]",
            "POST https://accounts.acme.test.au/token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "a value from the callback",
        services: 5,
        server: r#""parameters":[{"name":"realm","kind":"segment","pattern":"^\\d{10,19}$","source":{"callback":"realmId"}}]"#,
        provider: r#""api_base":"https://api.test/company/{realm}""#,
        callback: "code=c&realmId=9341453474484455",
        sends: &[
            GO,
            EXCHANGE,
            "GET https://api.test/company/9341453474484455/things [authorization: Bearer at-1]",
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "a code under another name, an application in the authorization request",
        services: 2,
        server: r#""code_parameter":"spapi_oauth_code","pkce":"refused","parameters":[{"name":"app","kind":"text","pattern":"^[a-zA-Z0-9.-]+$"},
            {"name":"seller","kind":"text","source":{"callback":"selling_partner_id"},"optional":true}],"authorization_parameters":{"application_id":"{app}","version":"beta"}"#,
        given: &[("app", "acme1.app.0bf2")],
        callback: "spapi_oauth_code=c&selling_partner_id=A1",
        sends: &[
            "GO https://as.test/authorize application_id=acme1.app.0bf2 client_id=the-client redirect_uri=https://app.test/callback response_type=code state=* version=beta",
            "POST https://as.test/token client_id=the-client client_secret=the-secret code=c grant_type=authorization_code redirect_uri=https://app.test/callback",
            CALL,
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "a consent screen in the fragment",
        services: 1,
        server: r#""authorization_fragment":"oauth/authorize","authorization_endpoint":"https://app.acme.test""#,
        sends: &[
            "GO https://app.acme.test/#/oauth/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code state=*",
            EXCHANGE,
            CALL,
            REFRESH,
        ],
        ..STANDARD
    },
];
