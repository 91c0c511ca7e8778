//! Services that require additional parameters, or other names for them.

use super::walk::{CALL, Class, EXCHANGE, GO, REFRESH, STANDARD};

pub(crate) const CLASSES: &[Class] = &[
    Class {
        name: "constants in the authorization request, some of them no text, some what is sent anyway",
        services: 30,
        server: r#""authorization_parameters":{"response_type":"code","prompt":"consent","access_type":"offline","session":false,"grant_type":"authorization_code"},
            "token_parameters":{"grant_type":"authorization_code"},"refresh_parameters":{"grant_type":"refresh_token"}"#,
        sends: &[
            "GO https://as.test/authorize access_type=offline client_id=the-client code_challenge=* code_challenge_method=S256 grant_type=authorization_code prompt=consent redirect_uri=https://app.test/callback response_type=code session=false state=*",
            EXCHANGE,
            CALL,
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "constants in the token requests",
        services: 5,
        server: r#""authorization_parameters":{"request":"authorize"},"token_parameters":{"request":"token","expiring":1},
            "refresh_parameters":{"request":"token","expires_in":"1800"}"#,
        sends: &[
            "GO https://as.test/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback request=authorize response_type=code state=*",
            "POST https://as.test/token client_id=the-client client_secret=the-secret code=c code_verifier=* expiring=1 grant_type=authorization_code redirect_uri=https://app.test/callback request=token",
            CALL,
            "POST https://as.test/token client_id=the-client client_secret=the-secret expires_in=1800 grant_type=refresh_token refresh_token=rt-1 request=token",
        ],
        ..STANDARD
    },
    Class {
        name: "a resource of the connection's in every request",
        services: 2,
        server: r#""parameters":[{"name":"env","kind":"host"}],"authorization_parameters":{"resource":"https://{env}"},
            "token_parameters":{"resource":"https://{env}"},"refresh_parameters":{"resource":"https://{env}"}"#,
        provider: r#""api_base":"https://{env}""#,
        given: &[("env", "https://Acme.dyn.test/")],
        sends: &[
            "GO https://as.test/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback resource=https://acme.dyn.test response_type=code state=*",
            "POST https://as.test/token client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback resource=https://acme.dyn.test",
            "GET https://acme.dyn.test/things [authorization: Bearer at-1]",
            "POST https://as.test/token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1 resource=https://acme.dyn.test",
        ],
        ..STANDARD
    },
    Class {
        name: "a constant scope in the refresh",
        services: 1,
        server: r#""refresh_parameters":{"scope":"https://ads.test/manage"}"#,
        sends: &[
            GO,
            EXCHANGE,
            CALL,
            "POST https://as.test/token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1 scope=https://ads.test/manage",
        ],
        ..STANDARD
    },
    Class {
        name: "a nonce, and a code among other response types",
        services: 3,
        server: r#""authorization_parameters":{"response_type":"code id_token","response_mode":"query","nonce":"{random}"}"#,
        sends: &[
            "GO https://as.test/authorize client_id=the-client code_challenge=* code_challenge_method=S256 nonce=* redirect_uri=https://app.test/callback response_mode=query response_type=code id_token state=*",
            EXCHANGE,
            CALL,
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "another word for the response type, and the state once more",
        services: 1,
        server: r#""authorization_parameters":{"response_type":"auth_code"},"token_parameters":{"state":"{state}"}"#,
        sends: &[
            "GO https://as.test/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=auth_code state=*",
            "POST https://as.test/token client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback state=*",
            CALL,
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "values of the connection in the authorization and token request",
        services: 7,
        server: r#""parameters":[{"name":"store","kind":"text"},{"name":"launch","kind":"text","default":""}],
            "authorization_parameters":{"context":"stores/{store}","launch":"{launch}"},"token_parameters":{"context":"stores/{store}"}"#,
        given: &[("store", "hpj4")],
        sends: &[
            "GO https://as.test/authorize client_id=the-client code_challenge=* code_challenge_method=S256 context=stores/hpj4 redirect_uri=https://app.test/callback response_type=code state=*",
            "POST https://as.test/token client_id=the-client client_secret=the-secret code=c code_verifier=* context=stores/hpj4 grant_type=authorization_code redirect_uri=https://app.test/callback",
            CALL,
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "other names, and names left out",
        services: 5,
        server: r#""authorization_renames":{"client_id":"client_key","redirect_uri":"redirect_url","response_type":""},
            "token_renames":{"client_id":"app_id","client_secret":"secret","code":"auth_code"}"#,
        sends: &[
            "GO https://as.test/authorize client_key=the-client code_challenge=* code_challenge_method=S256 redirect_url=https://app.test/callback state=*",
            "POST https://as.test/token app_id=the-client auth_code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback secret=the-secret",
            CALL,
            "POST https://as.test/token app_id=the-client grant_type=refresh_token refresh_token=rt-1 secret=the-secret",
        ],
        ..STANDARD
    },
    Class {
        name: "a shortened secret under another name",
        services: 1,
        server: r#""token_renames":{"client_secret":"md5_secret"}"#,
        sends: &[
            GO,
            "POST https://as.test/token client_id=the-client code=c code_verifier=* grant_type=authorization_code md5_secret=the-secret redirect_uri=https://app.test/callback",
            CALL,
            "POST https://as.test/token client_id=the-client grant_type=refresh_token md5_secret=the-secret refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "headers on token requests, at the refresh too",
        services: 2,
        server: r#""parameters":[{"name":"market","kind":"word"}],"token_headers":{"x-correlation-id":"{random}","x-market":"{market}"},
            "refresh_parameters":{"scope":"{scope}"}"#,
        provider: r#""api_base":"https://api.test","default_scopes":["all"]"#,
        given: &[("market", "us")],
        sends: &[
            "GO https://as.test/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code scope=all state=* (scope=all)",
            "POST https://as.test/token [x-correlation-id: *] [x-market: us] client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            "GET https://api.test/things [authorization: Bearer at-1]",
            "POST https://as.test/token [x-correlation-id: *] [x-market: us] client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1 scope=all",
        ],
        ..STANDARD
    },
    Class {
        name: "a query on token requests",
        services: 4,
        server: r#""parameters":[{"name":"key","kind":"segment"}],"token_endpoint":"https://as.test/token?subscription-key={key}",
            "token_query":{"redirect_uri":"{redirect_uri}"}"#,
        given: &[("key", "k_1")],
        sends: &[
            GO,
            "POST https://as.test/token?subscription-key=k_1&redirect_uri=https%3A%2F%2Fapp.test%2Fcallback client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            CALL,
            "POST https://as.test/token?subscription-key=k_1&redirect_uri=https%3A%2F%2Fapp.test%2Fcallback client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "headers on API requests: constants, values, a version with a default, the client id",
        services: 18,
        server: r#""parameters":[{"name":"version","kind":"text","optional":true},{"name":"company","kind":"text","optional":true},{"name":"site","kind":"text"}]"#,
        provider: r#""api_base":"https://api.test","api_headers":{"x-version":"{version} || 2026-01-01","x-company":"{company}","x-site":"{site}",
            "x-key":"{client_id}","accept":"application/vnd.acme+json","user-agent":"acme (a@acme.test)","content-type":"application/json"},
            "account":{"url":"https://api.test/me","id":["/id"]}"#,
        given: &[("site", "s 1")],
        api: r#"{"id":"1"}"#,
        sends: &[
            GO,
            EXCHANGE,
            "GET https://api.test/me [accept: application/vnd.acme+json] [authorization: Bearer at-1] [content-type: application/json] [user-agent: acme (a@acme.test)] [x-key: the-client] [x-site: s 1] [x-version: 2026-01-01]",
            "GET https://api.test/things [accept: application/vnd.acme+json] [authorization: Bearer at-1] [content-type: application/json] [user-agent: acme (a@acme.test)] [x-key: the-client] [x-site: s 1] [x-version: 2026-01-01]",
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "an API header with a secret, which the host sets",
        services: 1,
        provider: r#""api_base":"https://api.test/v1","api_headers":{"x-api-key":""}"#,
        own: &[("x-api-key", "the-client:the-secret")],
        sends: &[
            GO,
            EXCHANGE,
            "GET https://api.test/v1/things [authorization: Bearer at-1] [x-api-key: the-client:the-secret]",
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "a query on API requests",
        services: 1,
        server: r#""body_format":"json","parameters":[{"name":"shop","kind":"text"}]"#,
        provider: r#""api_base":"https://api.test","api_query":{"shop_domain":"{shop}"}"#,
        given: &[("shop", "a.shops.test")],
        sends: &[
            GO,
            "POST https://as.test/token [content-type: application/json] client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            "GET https://api.test/things?shop_domain=a.shops.test [authorization: Bearer at-1]",
            "POST https://as.test/token [content-type: application/json] client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "the token in a header of its own",
        services: 3,
        provider: r#""api_base":"https://api.test","token_header":{"name":"x-acme-access-token","prefix":""}"#,
        sends: &[
            GO,
            EXCHANGE,
            "GET https://api.test/things [x-acme-access-token: at-1]",
            REFRESH,
        ],
        ..STANDARD
    },
];
