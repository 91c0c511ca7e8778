//! Services that follow the standards and their common variations.

use super::walk::{CALL, Class, EXCHANGE, GO, REFRESH, STANDARD};

pub(crate) const CLASSES: &[Class] = &[
    Class {
        name: "the standard",
        services: 46,
        provider: r#""api_base":"https://api.test/v1","default_scopes":["a:read","b"]"#,
        sends: &[
            "GO https://as.test/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code scope=a:read b state=* (scope=a%3Aread+b)",
            EXCHANGE,
            CALL,
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "Basic at the token endpoint",
        services: 30,
        server: r#""client_authentication":"basic""#,
        sends: &[
            GO,
            "POST https://as.test/token [authorization: Basic dGhlLWNsaWVudDp0aGUtc2VjcmV0] code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            CALL,
            "POST https://as.test/token [authorization: Basic dGhlLWNsaWVudDp0aGUtc2VjcmV0] grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "a public client",
        services: 2,
        server: r#""client_authentication":"none""#,
        sends: &[
            GO,
            "POST https://as.test/token client_id=the-client code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            CALL,
            "POST https://as.test/token client_id=the-client grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "no PKCE",
        services: 26,
        server: r#""pkce":"refused""#,
        sends: &[
            "GO https://as.test/authorize client_id=the-client redirect_uri=https://app.test/callback response_type=code state=*",
            "POST https://as.test/token client_id=the-client client_secret=the-secret code=c grant_type=authorization_code redirect_uri=https://app.test/callback",
            CALL,
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "scopes with commas",
        services: 8,
        server: r#""scope_separator":",""#,
        provider: r#""api_base":"https://api.test","default_scopes":["a","b"]"#,
        sends: &[
            "GO https://as.test/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code scope=a,b state=* (scope=a%2Cb)",
            EXCHANGE,
            "GET https://api.test/things [authorization: Bearer at-1]",
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "scopes with plus signs, or in the clear",
        services: 4,
        server: r#""scope_separator":"+","raw_scope":true"#,
        provider: r#""api_base":"https://api.test","default_scopes":["a:b","c/d"]"#,
        sends: &[
            "GO https://as.test/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code scope=a:b c/d state=* (scope=a:b+c/d)",
            EXCHANGE,
            "GET https://api.test/things [authorization: Bearer at-1]",
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "JSON bodies",
        services: 7,
        server: r#""body_format":"json""#,
        sends: &[
            GO,
            "POST https://as.test/token [content-type: application/json] client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            CALL,
            "POST https://as.test/token [content-type: application/json] client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "another endpoint for refreshes",
        services: 5,
        server: r#""refresh_endpoint":"https://as.test/token?refresh""#,
        sends: &[
            GO,
            EXCHANGE,
            CALL,
            "POST https://as.test/token?refresh client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "no refresh tokens, no lifetime",
        services: 4,
        answer: r#"{"access_token":"at-1"}"#,
        renewed: "",
        sends: &[GO, EXCHANGE, CALL],
        ..STANDARD
    },
    Class {
        name: "a lifetime only the descriptor knows, the secret as user name",
        services: 4,
        server: r#""client_authentication":"secret_as_user","default_expires_in":3600"#,
        answer: r#"{"access_token":"at-1","refresh_token":"rt-1"}"#,
        sends: &[
            GO,
            "POST https://as.test/token [authorization: Basic dGhlLXNlY3JldDo=] code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback",
            CALL,
            "POST https://as.test/token [authorization: Basic dGhlLXNlY3JldDo=] grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
];
