//! The layers of the crate import downwards only.

use std::fs;
use std::path::{Path, PathBuf};

/// From the top to the bottom. A module may use what stands below it, and itself.
const LAYERS: [&[&str]; 10] = [
    &["testing"],
    &["gateway"],
    &["resolver"],
    &["manager"],
    &["trace"],
    &["error"],
    &["vault", "protocol"],
    &["provider"],
    &["http"],
    &["model", "secret", "clock", "random"],
];

/// What a file at the bottom may use across: time and errors of randomness are parts of the model's vocabulary.
const ALLOWED: [(&str, &str); 3] = [
    ("model/id.rs", "error"),
    ("protocol/revocation.rs", "vault"),
    ("protocol/revocation.rs", "vault"),
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

fn rust_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The first path segments after each `crate::` of the code, comments and test modules aside.
fn used_modules(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect::<String>()
        })
        .collect()
}

fn upward_imports(files: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let mut found = Vec::new();
    for (file, source) in files {
        let module = file.split(['/', '.']).next().unwrap().to_owned();
        let Some(own) = layer(&module) else { continue };
        for used in used_modules(&source) {
            let upward = layer(&used).is_some_and(|other| other < own);
            if upward && !ALLOWED.contains(&(file.as_str(), used.as_str())) {
                found.push(format!("{file} uses {used}"));
            }
        }
    }
    found
}

#[test]
fn imports_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() > 20, "only {} files found", files.len());
    let sources = files.into_iter().map(|path| {
        let name = path
            .strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/");
        let source = fs::read_to_string(path).unwrap();
        (name, source)
    });
    let upward = upward_imports(sources);
    assert!(upward.is_empty(), "imports that point up:\n{}", upward.join("\n"));
}

#[test]
fn every_module_of_the_crate_has_a_layer() {
    let library = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for line in library.lines() {
        let declaration = line.trim().trim_start_matches("pub ");
        if let Some(module) = declaration
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        {
            assert!(layer(module).is_some(), "the module {module} has no layer");
        }
    }
}

#[test]
fn an_upward_import_is_found() {
    let bad = (
        "vault/mod.rs".to_owned(),
        "use crate::resolver::Resolver;\n// use crate::gateway;".to_owned(),
    );
    assert_eq!(upward_imports([bad]), ["vault/mod.rs uses resolver"]);
}
