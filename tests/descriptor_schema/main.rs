//! `docs/descriptor.schema.json` and the tables of `docs/descriptors.md` say what the types say.
//! `VALETKEY_WRITE_DOCS=1 cargo test --test descriptor_schema` writes them anew.

mod check;
mod schema;
mod source;
mod tables;

use std::path::{Path, PathBuf};

use check::mismatch;
use serde_json::{Value, json};
use valetkey::catalog;
use valetkey::provider::{DescriptorFile, Transport};

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// The file is this text, or becomes it.
fn keep(name: &str, text: &str) {
    let path = docs(name);
    if std::env::var_os("VALETKEY_WRITE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let stale = std::fs::read_to_string(&path).unwrap() != text;
    assert!(
        !stale,
        "docs/{name} is stale: VALETKEY_WRITE_DOCS=1 cargo test --test descriptor_schema"
    );
}

fn document() -> Value {
    schema::document(&source::shapes())
}

fn page() -> String {
    std::fs::read_to_string(docs("descriptors.md")).unwrap()
}

#[test]
fn the_schema_is_that_of_the_types() {
    let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    keep("descriptor.schema.json", &text);
}

#[test]
fn the_tables_of_the_page_are_those_of_the_types() {
    let (page, shapes) = (page(), source::shapes());
    keep("descriptors.md", &tables::written(&page, &shapes));
    let tabled = tables::tabled(&page);
    let simple = |shape: &source::Shape| {
        matches!(shape, source::Shape::Enum(variants)
            if variants.iter().all(|it| matches!(it.holds, source::Holds::Nothing)))
    };
    for (name, shape) in &shapes {
        let shown = tabled.contains(&name.as_str()) || simple(shape) || name == "DescriptorFile";
        assert!(shown, "docs/descriptors.md has no table of {name}");
    }
}

/// The examples are read by the library and by the schema: whole files, members of a server or a provider, and values of a
/// `revocation`, one a line.
#[test]
fn the_examples_of_the_page_fit_the_schema() {
    let (document, page) = (document(), page());
    let server = &document["$defs"]["AuthorizationServer"]["properties"];
    let provider = &document["$defs"]["Provider"]["properties"];
    let mut seen = 0;
    for block in page.split("```json\n").skip(1) {
        let block = block.split_once("```").unwrap().0;
        if let Ok(file) = serde_json::from_str::<DescriptorFile>(block) {
            file.validate(Transport::HttpsOnly).unwrap();
            let value = serde_json::from_str(block).unwrap();
            assert_eq!(mismatch(&document, &document, &value), None, "{block}");
        } else if let Ok(Value::Object(members)) = serde_json::from_str(&format!("{{{block}}}")) {
            for (name, value) in &members {
                let known = [&server[name], &provider[name]]
                    .into_iter()
                    .find(|it| !it.is_null());
                let known = known.unwrap_or_else(|| panic!("no field {name}"));
                assert_eq!(mismatch(&document, known, value), None, "{block}");
            }
        } else {
            for line in block.lines() {
                let value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no example: {line}"));
                let revocation = &document["$defs"]["Revocation"];
                assert_eq!(mismatch(&document, revocation, &value), None, "{line}");
            }
        }
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} examples");
}

#[test]
fn the_catalogue_fits_the_schema_and_survives_it() {
    let catalogue = DescriptorFile {
        servers: catalog::servers(),
        providers: catalog::providers(),
    };
    let (document, value) = (document(), serde_json::to_value(&catalogue).unwrap());
    assert_eq!(mismatch(&document, &document, &value), None);
    // What the catalogue says in JSON is what it says in Rust.
    assert_eq!(
        serde_json::from_value::<DescriptorFile>(value).unwrap(),
        catalogue
    );
}

/// What the one refuses, the other refuses: where they parted, an editor would say yes to what the library says no to.
#[test]
fn schema_and_library_refuse_the_same() {
    let document = document();
    let server = |more: Value| {
        let mut server = json!({
            "id": "acme", "authorization_endpoint": "https://a.example/a", "token_endpoint": "https://a.example/t",
        });
        server
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "servers": [server] })
    };
    for (more, taken) in [
        (json!({}), true),
        (json!({ "pkce": "refused", "rotation": { "grace": 60 } }), true),
        (
            json!({ "authorization_parameters": { "a": true, "b": 1, "c": "d" } }),
            true,
        ),
        (
            json!({ "parameters": [{ "name": "x", "kind": { "one_of": ["a", 1] }, "default": 1 }] }),
            true,
        ),
        (json!({ "issuer": null, "refresh_token_idle": 60 }), true),
        (
            json!({ "answer": { "success": { "pointer": "/code", "values": [0] } } }),
            true,
        ),
        (json!({ "pkce": "plain" }), false),
        (json!({ "scope_seperator": "," }), false),
        (
            json!({ "authorization_parameters": { "a": { "b": "c" } } }),
            false,
        ),
        (
            json!({ "parameters": [{ "name": "x", "kind": "number" }] }),
            false,
        ),
        (json!({ "parameters": [{ "kind": "word" }] }), false),
        (json!({ "rotation": { "grace": "60" } }), false),
        (
            json!({ "revocation": { "endpoint": { "url": "https://a.example/r" } } }),
            false,
        ),
        (json!({ "id": "" }), false),
        (json!({ "refresh_token_idle": -1 }), false),
        (json!({ "notes": "one" }), false),
    ] {
        let file = server(more);
        let by_schema = mismatch(&document, &document, &file);
        let by_library = serde_json::from_value::<DescriptorFile>(file.clone());
        assert_eq!(by_schema.is_none(), taken, "{file} {by_schema:?}");
        assert_eq!(by_library.is_ok(), taken, "{file} {by_library:?}");
    }
}
