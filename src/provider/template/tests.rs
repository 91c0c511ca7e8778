use super::*;
use crate::provider::syntax::meant_host;

fn values(value: &str) -> Parameters {
    Parameters::from([("x".into(), value.into())])
}

#[test]
fn a_word_stays_where_it_is_put() {
    for (template, value, expected) in [
        (
            "https://as.test/{x}/token",
            "common",
            Some("https://as.test/common/token"),
        ),
        (
            "https://{x}.as.test/token",
            "Acme",
            Some("https://acme.as.test/token"),
        ),
        (
            "https://as.test/t?realm={x}",
            "eu-1",
            Some("https://as.test/t?realm=eu-1"),
        ),
        ("https://as.test/{x}/token", "..", None),
        ("https://as.test/{x}/token", ".", None),
        ("https://as.test/{x}/token", "a..b", None),
        ("https://as.test/{x}/token", "", None),
        ("https://as.test/{x}/token", "a/../b", None),
        ("https://as.test/{x}/token", "%2e%2e", None),
        ("https://as.test/{x}/token", "a?b", None),
        ("https://as.test/{x}/token", "a#b", None),
        ("https://{x}.as.test/token", "evil.test/", None),
        ("https://{x}.as.test/token", "user@evil", None),
        ("https://{x}.as.test/token", "evil:80", None),
        ("https://{x}/token", "evil.test.", None),
        ("https://{x}.as.test/token", "evil\\", None),
        ("https://{x}.as.test/token", "e\tvil", None),
    ] {
        let url = Template::parse(template).unwrap().expand(&values(value));
        assert_eq!(
            url.ok().as_ref().map(Url::as_str),
            expected,
            "{template} with {value:?}"
        );
    }
}

#[test]
fn a_base_url_brings_scheme_host_port_and_path_alone() {
    for (value, expected) in [
        ("https://git.test", Some("https://git.test/oauth")),
        ("https://git.test/", Some("https://git.test/oauth")),
        (
            "https://git.test:8443/lab",
            Some("https://git.test:8443/lab/oauth"),
        ),
        ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/oauth")),
        ("http://[::1]:8080", Some("http://[::1]:8080/oauth")),
        ("http://localhost:8080", Some("http://localhost:8080/oauth")),
        ("http://git.test", None),
        ("https://u@git.test", None),
        ("https://u:p@git.test", None),
        ("https://git.test?x", None),
        ("https://git.test#x", None),
        ("https://git.test/a/../b", None),
        ("https://git.test/%2e%2e", None),
        ("https://git.test.", None),
        ("https://GIT.test", None),
        ("https://2130706433", None),
        ("https:\\\\git.test", None),
        ("javascript:alert(1)", None),
        ("git.test", None),
        ("", None),
    ] {
        let url = Template::parse("{x}/oauth").unwrap().expand(&values(value));
        assert_eq!(url.ok().as_ref().map(Url::as_str), expected, "{value:?}");
    }
}

#[test]
fn a_whole_host_may_bring_its_port_and_path() {
    for (value, expected) in [
        ("acme.test", Some("https://acme.test/token")),
        ("acme.test:8443", Some("https://acme.test:8443/token")),
        ("acme.test/lab", Some("https://acme.test/lab/token")),
        ("acme.test/", None),
        ("https://acme.test", None),
        ("acme.test:443", None),
        ("u@acme.test", None),
        ("acme.test/../x", None),
        ("acme.test?x", None),
        ("acme.test#x", None),
    ] {
        let url = Template::parse("https://{x}/token")
            .unwrap()
            .expand(&values(value));
        assert_eq!(url.ok().as_ref().map(Url::as_str), expected, "{value:?}");
    }
    // A port or a path cannot be a part of a longer host.
    for template in ["https://{x}.as.test/", "https://as.test/{x}", "https://{x}:8443/"] {
        for value in ["acme.test:8443", "acme/lab"] {
            let segment = template.ends_with("{x}") && !value.contains('/');
            assert_eq!(
                Template::parse(template).unwrap().expand(&values(value)).is_ok(),
                segment,
                "{template} {value}"
            );
        }
    }
    for (typed, meant) in [
        ("https://Acme.test/Lab/", Some("acme.test/Lab")),
        ("acme.test", Some("acme.test")),
        ("http://acme.test", None),
        ("a b", None),
    ] {
        assert_eq!(meant_host(typed).as_deref(), meant, "{typed}");
    }
}

#[test]
fn templates_that_could_leave_their_host_are_refused() {
    for (template, ok) in [
        ("https://as.test/token", true),
        ("https://{x}.test:8443/token", true),
        ("https://{a}.{b}/token", true),
        ("{x}", true),
        ("https://api{x}.test/", false),
        ("https://as.test{x}/", false),
        ("https://{x}as.test/", false),
        ("https://{a}-{b}.as.test/", true),
        ("https://x-{a}{b}.as.test:8443/", true),
        ("https://{a}-{b}.test/", false),
        ("https://{a}-{b}", false),
        ("https://as.test/{a.b}", true),
        ("https://{a}{b}/", false),
        ("https://as.test:{x}/", false),
        ("{x}.test/token", false),
        ("{x}{y}", false),
        ("https://as.test/{", false),
        ("https://as.test/}", false),
        ("https://as.test/{}", false),
        ("https://as.test/{a b}", false),
        ("no-scheme/{x}", false),
        ("https://as.te\tst/", false),
        ("https://as.test/\n", false),
        ("https://as.test\\@evil.test/", false),
        (" https://as.test/", false),
    ] {
        assert_eq!(Template::parse(template).is_ok(), ok, "{template}");
    }
}

#[test]
fn errors_name_the_placeholder_and_not_the_value() {
    let template = Template::parse("https://as.test/{x}").unwrap();
    let error = template.expand(&values("s3cret/")).unwrap_err();
    assert_eq!(error, Unfilled::Value("x".into()));
    let error = template.expand(&Parameters::new()).unwrap_err();
    assert_eq!(error, Unfilled::Missing("x".into()));
    let template = Template::parse("https://{x}/").unwrap();
    let error = template.expand(&values("1.2.3.999")).unwrap_err();
    let problem = InvalidTemplate::Url;
    let first = Some("x".into());
    assert_eq!(error, Unfilled::Address { problem, first });
}

proptest::proptest! {
    #[test]
    fn no_value_changes_the_shape_of_the_url(value in "[a-z0-9./:@?#%&\\\\\\[\\]_~-]{0,20}|.{0,12}") {
        let word = Template::parse("https://{x}.as.test/p/{x}?q={x}").unwrap();
        if let Ok(url) = word.expand(&values(&value)) {
            assert!(url.host_str().unwrap().ends_with(".as.test"), "{url}");
            assert_eq!((url.port(), url.username(), url.fragment()), (None, "", None), "{url}");
            assert_eq!(url.path(), format!("/p/{value}"));
            assert_eq!(url.query_pairs().count(), 1, "{url}");
        }
        let base = Template::parse("{x}/token").unwrap();
        let value = format!("https://{value}");
        if let Ok(url) = base.expand(&values(&value)) {
            assert_eq!(url.as_str(), format!("{}/token", value.trim_end_matches('/')));
            assert_eq!((url.username(), url.query(), url.fragment()), ("", None, None), "{url}");
        }
    }
}
