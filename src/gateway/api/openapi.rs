//! The OpenAPI description of the API.

use serde_json::{Value, json};

use crate::gateway::Mount;

const DOCUMENT: &str = include_str!("openapi.json");

/// Returns the document with the gateway's own address.
pub(in crate::gateway) fn document(mount: &Mount) -> Vec<u8> {
    // A test checks that the document is valid JSON.
    let Ok(mut document) = serde_json::from_str::<Value>(DOCUMENT) else {
        return DOCUMENT.into();
    };
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["servers"] = json!([{ "url": format!("{}{}", mount.origin(), mount.base_path()) }]);
    document.to_string().into_bytes()
}
