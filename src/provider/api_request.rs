//! What a service wants in every request to its API, beside the token.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::model::Parameters;
use crate::provider::Provider;
use crate::provider::value::{chosen, filled};
use crate::random;

impl Provider {
    /// Adds [`api_headers`](Self::api_headers) and [`api_query`](Self::api_query) to a request to the API of a connection
    /// with these parameters. What the request has already stays; what has no value is left out.
    pub fn add_to_request(
        &self,
        parameters: &Parameters,
        client_id: &str,
        url: &mut Url,
        headers: &mut HeaderMap,
    ) {
        let value = |text: &str| {
            let text = chosen(text, |name| match name {
                "client_id" => Some(client_id.to_owned()),
                _ => parameters.get(name).cloned(),
            });
            let text = filled(&text, |name| match name {
                "random" => random::token_256().ok().map(|random| random.as_str().to_owned()),
                _ => None,
            });
            (!text.is_empty()).then_some(text)
        };
        for (name, text) in &self.api_headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            let text = value(text).map(|text| HeaderValue::from_bytes(text.as_bytes()));
            if let (Ok(name), Some(Ok(text))) = (name, text)
                && !headers.contains_key(&name)
            {
                headers.insert(name, text);
            }
        }
        for (name, text) in &self.api_query {
            let there = url.query_pairs().any(|(other, _)| other == name.as_str());
            if let Some(text) = value(text).filter(|_| !there) {
                url.query_pairs_mut().append_pair(name, &text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::catalog;

    #[test]
    fn what_the_request_has_stays_and_what_has_no_value_is_left_out() {
        let mut provider = catalog::gmail();
        for (name, value) in [
            ("x-version", "{version} || 2026-01-01"),
            ("x-client", "{client_id}"),
            ("x-site", "{site}"),
            ("x-nonce", "{random}"),
            ("accept", "application/json"),
        ] {
            provider.api_headers.insert(name.into(), value.into());
        }
        provider.api_query.insert("shop".into(), "{shop}".into());
        provider.api_query.insert("v".into(), "2".into());
        let parameters = Parameters::from([("shop".into(), "a b".into())]);
        let mut url = Url::parse("https://api.test/x?v=1").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("text/csv"));
        provider.add_to_request(&parameters, "the-client", &mut url, &mut headers);
        assert_eq!(url.as_str(), "https://api.test/x?v=1&shop=a+b");
        assert_eq!(headers["accept"], "text/csv");
        assert_eq!(headers["x-version"], "2026-01-01");
        assert_eq!(headers["x-client"], "the-client");
        assert_eq!(headers["x-nonce"].len(), 43);
        assert!(!headers.contains_key("x-site"));
    }
}
