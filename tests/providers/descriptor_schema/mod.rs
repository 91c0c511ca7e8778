//! Compares `docs/descriptor.schema.json` and the tables of `docs/descriptors.md` with the types.
//! `VALETKEY_WRITE_DOCS=1 cargo test --test providers descriptor_schema` regenerates them.

mod probe;
mod schema;
mod source;
mod tables;

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;
use valetkey::catalog;
use valetkey::provider::DescriptorFile;

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// Compares the file with this text, or writes it.
fn keep(name: &str, text: &str) {
    let path = docs(name);
    if std::env::var_os("VALETKEY_WRITE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let stale = std::fs::read_to_string(&path).unwrap() != text;
    assert!(
        !stale,
        "docs/{name} is stale: VALETKEY_WRITE_DOCS=1 cargo test --test providers descriptor_schema"
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

/// Returns the schema, compiled by another implementation of the standard.
fn validator() -> Validator {
    jsonschema::validator_for(&document()).unwrap()
}

#[test]
fn the_schema_is_a_json_schema() {
    let stored = std::fs::read_to_string(docs("descriptor.schema.json")).unwrap();
    let stored: Value = serde_json::from_str(&stored).unwrap();
    jsonschema::meta::validate(&stored).unwrap();
    assert_eq!(stored["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

/// Returns the examples of the page, each as a whole file: files, members of a server or a
/// provider, and values of a `revocation`, one per line.
fn examples() -> Vec<Value> {
    let (document, page) = (document(), page());
    let knows = |kind: &str, name: &str| !document["$defs"][kind]["properties"][name].is_null();
    let mut files = Vec::new();
    for block in page.split("```json\n").skip(1) {
        let block = block.split_once("```").unwrap().0;
        if let Ok(file) = serde_json::from_str::<Value>(block)
            && !file["servers"].is_null()
        {
            files.push(file);
        } else if let Ok(Value::Object(members)) = serde_json::from_str(&format!("{{{block}}}")) {
            let mut file = probe::least();
            for (name, value) in members {
                let place = match (knows("AuthorizationServer", &name), knows("Provider", &name)) {
                    (true, _) => &mut file["servers"][0],
                    (_, true) => &mut file["providers"][0],
                    _ => panic!("no field {name}"),
                };
                place[name] = value;
            }
            files.push(file);
        } else {
            for line in block.lines() {
                let mut file = probe::least();
                file["servers"][0]["revocation"] =
                    serde_json::from_str(line).unwrap_or_else(|_| panic!("no example: {line}"));
                files.push(file);
            }
        }
    }
    files
}

#[test]
fn the_examples_of_the_page_fit_the_schema() {
    let (validator, examples) = (validator(), examples());
    assert!(examples.len() >= 12, "only {} examples", examples.len());
    for file in &examples {
        let fits = validator.validate(file);
        assert!(fits.is_ok(), "{file}: {fits:?}");
    }
    let whole: DescriptorFile = serde_json::from_value(examples[0].clone()).unwrap();
    whole.validate().unwrap();
}

/// A host chooses the format of its file: each example means the same in all three formats.
#[test]
fn the_examples_of_the_page_are_read_from_json_yaml_and_toml() {
    for file in examples() {
        let from_json: DescriptorFile = serde_json::from_str(&file.to_string()).unwrap();
        let yaml = serde_yaml_ng::to_string(&file).unwrap();
        assert!(!yaml.contains(": !"), "a YAML tag: {yaml}");
        let from_yaml: DescriptorFile =
            serde_yaml_ng::from_str(&yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
        assert_eq!(from_yaml, from_json, "{yaml}");
        let toml = toml::to_string(&file).unwrap();
        let from_toml: DescriptorFile =
            toml::from_str(&toml).unwrap_or_else(|error| panic!("{toml}: {error}"));
        assert_eq!(from_toml, from_json, "{toml}");
    }
}

/// Tests each value of each closed choice, so that not every value needs an example.
#[test]
fn every_choice_is_read_from_json_yaml_and_toml() {
    for file in probe::choices() {
        let from_json: DescriptorFile =
            serde_json::from_str(&file.to_string()).unwrap_or_else(|error| panic!("{file}: {error}"));
        let yaml = serde_yaml_ng::to_string(&file).unwrap();
        assert_eq!(
            serde_yaml_ng::from_str::<DescriptorFile>(&yaml).unwrap(),
            from_json,
            "{yaml}"
        );
        let toml = toml::to_string(&file).unwrap();
        assert_eq!(
            toml::from_str::<DescriptorFile>(&toml).unwrap(),
            from_json,
            "{toml}"
        );
        // A file that the library writes can be read again, in each format.
        let yaml = serde_yaml_ng::to_string(&from_json).unwrap();
        assert_eq!(
            serde_yaml_ng::from_str::<DescriptorFile>(&yaml).unwrap(),
            from_json,
            "{yaml}"
        );
        let json = serde_json::to_string(&from_json).unwrap();
        assert_eq!(
            serde_json::from_str::<DescriptorFile>(&json).unwrap(),
            from_json,
            "{json}"
        );
    }
}

#[test]
fn the_catalogue_fits_the_schema_and_survives_it() {
    let catalogue = DescriptorFile {
        servers: catalog::servers(),
        providers: catalog::providers(),
    };
    let value = serde_json::to_value(&catalogue).unwrap();
    assert!(validator().validate(&value).is_ok());
    // The catalog means the same in JSON and in Rust.
    assert_eq!(
        serde_json::from_value::<DescriptorFile>(value).unwrap(),
        catalogue
    );
}

/// The schema and the library reject the same files: otherwise an editor would accept a file that
/// the library rejects. Every member of every type is tested with values of every kind.
#[test]
fn schema_and_library_refuse_the_same() {
    let (document, validator) = (document(), validator());
    let mut tried = 0;
    for (file, what) in probe::files(&document) {
        let by_schema = validator.validate(&file);
        let by_library = serde_json::from_value::<DescriptorFile>(file.clone());
        assert_eq!(
            by_schema.is_ok(),
            by_library.is_ok(),
            "{what}: {by_schema:?} {:?}",
            by_library.err()
        );
        tried += 1;
    }
    assert!(tried > 1000, "only {tried} files");
}

/// Messages address the author of the file, so they contain no names of Rust types.
#[test]
fn no_message_names_a_rust_type() {
    let document = document();
    let types: Vec<&str> = document["$defs"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    for (file, what) in probe::files(&document) {
        let Err(error) = serde_json::from_value::<DescriptorFile>(file) else {
            continue;
        };
        let said = error.to_string();
        for name in types
            .iter()
            .chain(&["struct ", "enum ", "u16", "u64", "Duration"])
        {
            assert!(!said.contains(name), "{what}: {said}");
        }
    }
}
