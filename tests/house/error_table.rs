//! The documentation of `Error` states for each variant what a host does next.

use std::fs;
use std::path::Path;

use syn::{Expr, ExprLit, Item, ItemEnum, Lit, Meta};

fn documentation(item: &ItemEnum) -> String {
    let lines = item.attrs.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_variant_of_the_error_has_a_row_that_says_what_to_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/error.rs");
    let file = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
    let error = file
        .items
        .iter()
        .find_map(|item| match item {
            Item::Enum(item) if item.ident == "Error" => Some(item),
            _ => None,
        })
        .unwrap();
    let table: Vec<String> = documentation(error)
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| line.starts_with("| "))
        .collect();
    for variant in &error.variants {
        let link = format!("(Self::{})", variant.ident);
        assert!(
            table.iter().any(|row| row.contains(&link)),
            "{link} is not in the table"
        );
    }
    let links = table.join("").matches("(Self::").count();
    // `is_retryable` is named once, and `Vault` has two rows.
    assert_eq!(links, error.variants.len() + 2);
}
