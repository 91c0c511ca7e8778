//! Services with unusual answers, or with additional requests.

use super::walk::{CALL, Class, EXCHANGE, GO, REFRESH, STANDARD};

pub(crate) const CLASSES: &[Class] = &[
    Class {
        name: "the API's address in the answer",
        services: 6,
        server: r#""parameters":[{"name":"api_domain","kind":"base_url","source":{"token_answer":"/api_domain"}}]"#,
        provider: r#""api_base":"{api_domain}/api""#,
        answer: r#"{"access_token":"at-1","refresh_token":"rt-1","expires_in":60,"api_domain":"https://na1.acme.test/"}"#,
        sends: &[
            GO,
            EXCHANGE,
            "GET https://na1.acme.test/api/things [authorization: Bearer at-1]",
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "a host in the answer, deep in it",
        services: 3,
        server: r#""parameters":[{"name":"installation.host","kind":"host","source":{"token_answer":"/installation/host"}},
            {"name":"team.id","kind":"text","source":{"token_answer":"/team/id"},"optional":true}]"#,
        provider: r#""api_base":"https://{installation.host}/api/v4","api_headers":{"x-team":"{team.id}"}"#,
        answer: r#"{"access_token":"at-1","refresh_token":"rt-1","expires_in":60,"team":{"id":7},"installation":{"host":"eu.acme.test"}}"#,
        sends: &[
            GO,
            EXCHANGE,
            "GET https://eu.acme.test/api/v4/things [authorization: Bearer at-1] [x-team: 7]",
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "an envelope and a flag",
        services: 2,
        server: r#""answer":{"envelope":"/data","success":{"pointer":"/code","values":[0]},"expiry":"milliseconds"}"#,
        answer: r#"{"code":0,"data":{"access_token":"at-1","expires_in":7200000,"refresh_token":"rt-1"}}"#,
        renewed: r#"{"code":0,"data":{"access_token":"at-2","expires_in":7200000}}"#,
        sends: &[GO, EXCHANGE, CALL, REFRESH],
        ..STANDARD
    },
    Class {
        name: "an end in the place of a lifetime, and no grant type",
        services: 1,
        server: r#""body_format":"json","token_renames":{"grant_type":""},"answer":{"expires":"/access_token_expiration","expiry":"unix_seconds"}"#,
        answer: r#"{"access_token":"at-1","access_token_expiration":1795366800,"refresh_token":"rt-1"}"#,
        renewed: r#"{"access_token":"at-2","access_token_expiration":1795366800,"refresh_token":"rt-2"}"#,
        sends: &[
            GO,
            "POST https://as.test/token [content-type: application/json] client_id=the-client client_secret=the-secret code=c code_verifier=* redirect_uri=https://app.test/callback",
            CALL,
            "POST https://as.test/token [content-type: application/json] client_id=the-client client_secret=the-secret refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "one of two tokens of an answer",
        services: 1,
        server: r#""scope_separator":",","pkce":"refused","answer":{"access_token":"/authed_user/access_token","refresh_token":"/authed_user/refresh_token","expires":"/authed_user/expires_in"}"#,
        answer: r#"{"ok":true,"access_token":"bot","authed_user":{"access_token":"at-1","token_type":"user","refresh_token":"rt-1","expires_in":60}}"#,
        renewed: r#"{"ok":true,"authed_user":{"access_token":"at-2","refresh_token":"rt-2","expires_in":60}}"#,
        sends: &[
            "GO https://as.test/authorize client_id=the-client redirect_uri=https://app.test/callback response_type=code state=*",
            "POST https://as.test/token client_id=the-client client_secret=the-secret code=c grant_type=authorization_code redirect_uri=https://app.test/callback",
            CALL,
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "the id token is what the API takes",
        services: 1,
        server: r#""answer":{"access_token":"/id_token"},"parameters":[{"name":"sub","kind":"word"}]"#,
        provider: r#""api_base":"https://{sub}.acme.test/api","token_header":{"name":"id-token","prefix":""}"#,
        given: &[("sub", "team")],
        answer: r#"{"access_token":"other","id_token":"at-1","refresh_token":"rt-1","expires_in":60}"#,
        renewed: r#"{"access_token":"other","id_token":"at-2","expires_in":60}"#,
        sends: &[
            GO,
            EXCHANGE,
            "GET https://team.acme.test/api/things [id-token: at-1]",
            REFRESH,
        ],
        ..STANDARD
    },
    Class {
        name: "an access token that renews itself",
        services: 3,
        server: r#""refresh_with":"access_token","refresh_grant_type":"fb_exchange_token","token_renames":{"refresh_token":"fb_exchange_token"}"#,
        answer: r#"{"access_token":"at-1","expires_in":5184000}"#,
        renewed: r#"{"access_token":"at-2","expires_in":5184000}"#,
        sends: &[
            GO,
            EXCHANGE,
            CALL,
            "POST https://as.test/token client_id=the-client client_secret=the-secret fb_exchange_token=at-1 grant_type=fb_exchange_token",
        ],
        ..STANDARD
    },
    Class {
        name: "a refresh that lengthens the life of the token there is",
        services: 2,
        server: r#""refresh_endpoint":"https://as.test/refresh-token","default_expires_in":2592000,
            "answer":{"refresh_without_token":true,"success":{"pointer":"/result","values":["0000"]}},"parameters":[{"name":"openId","kind":"text","source":{"token_answer":"/openId"},"optional":true}]"#,
        answer: r#"{"result":"0000","access_token":"at-1","refresh_token":"rt-1","expires_in":2592000,"openId":"o1"}"#,
        renewed: r#"{"result":"0000","message":"OK"}"#,
        sends: &[
            GO,
            EXCHANGE,
            CALL,
            "POST https://as.test/refresh-token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1",
        ],
        ..STANDARD
    },
    Class {
        name: "a question after the consent: which account, which site",
        services: 12,
        server: r#""parameters":[{"name":"site","kind":"segment","source":"discovery"}]"#,
        provider: r#""api_base":"https://api.test/{site}","discovery":{"url":"https://api.test/sites","entries":"/sites","values":{"site":"/id"}},
            "account":{"url":"https://api.test/{site}/me","id":["/account"]}"#,
        api: r#"{"sites":[{"id":"s-1"}],"account":"a-1"}"#,
        sends: &[
            GO,
            EXCHANGE,
            "GET https://api.test/sites [authorization: Bearer at-1]",
            "GET https://api.test/s-1/me [authorization: Bearer at-1]",
            "GET https://api.test/s-1/things [authorization: Bearer at-1]",
            REFRESH,
        ],
        ..STANDARD
    },
];
