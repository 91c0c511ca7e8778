//! Messages that depend on the fields of an error.

use std::time::Duration;

use crate::error::NamedProvider;
use crate::model::{FailureCode, Label};

/// The maximum number of labels in a message.
const MOST_LABELS: usize = 5;

pub(super) fn ambiguous(provider: &NamedProvider, labels: &[Label], accounts: usize) -> String {
    let shown = labels
        .iter()
        .take(MOST_LABELS)
        .map(|label| format!("\"{label}\""));
    let mut shown: Vec<String> = shown.collect();
    if labels.len() > MOST_LABELS {
        shown.push("…".into());
    }
    let labels = if shown.is_empty() {
        String::new()
    } else {
        format!(" ({})", shown.join(", "))
    };
    format!("{provider}: {accounts} accounts are connected{labels}; pass a label or set a default")
}

pub(super) fn denied(provider: &NamedProvider, tool: Option<&str>) -> String {
    match tool {
        Some(tool) => format!("{provider}: the tool \"{tool}\" is denied by policy"),
        None => format!("{provider}: denied by policy"),
    }
}

pub(super) fn unavailable(
    provider: Option<&NamedProvider>,
    failure: FailureCode,
    retry_after: Option<Duration>,
) -> String {
    let provider = provider.map_or_else(String::new, |provider| format!("{provider}: "));
    match retry_after {
        Some(wait) => format!("{provider}{failure}; retry in {} s", wait.as_secs_f64().ceil()),
        None => format!("{provider}{failure}"),
    }
}

pub(super) fn exchange_failed(failure: FailureCode) -> String {
    if failure == FailureCode::UnknownTokenType {
        return "the code could not be exchanged: the provider's token_type is not bearer; if its API accepts the \
                token, set answer.any_token_type in the descriptor"
            .into();
    }
    format!("the code could not be exchanged: {failure}; start again")
}

pub(super) fn answer_too_large(limit: Option<usize>) -> String {
    match limit {
        Some(limit) => format!(
            "the API processed the request, but its answer exceeds {limit} bytes; raise Settings::send_max_bytes \
             or call Turn::send_stream"
        ),
        None => {
            "the API processed the request, but its answer has more headers than the HTTP client reads".into()
        }
    }
}
