//! The description of the API, for programs and for those who write them.

use serde_json::{Value, json};

use crate::gateway::Mount;

const DOCUMENT: &str = include_str!("openapi.json");

/// The document, with the gateway's own address in it.
pub(in crate::gateway) fn document(mount: &Mount) -> Vec<u8> {
    // Valid as it stands: a test reads it.
    let Ok(mut document) = serde_json::from_str::<Value>(DOCUMENT) else {
        return DOCUMENT.into();
    };
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["servers"] = json!([{ "url": format!("{}{}", mount.origin(), mount.base_path()) }]);
    document.to_string().into_bytes()
}
