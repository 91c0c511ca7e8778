//! The documentation of `Error` states for each variant what a host does next.

use std::fs;
use std::path::Path;

use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Item, ItemEnum, Lit, Meta, Token};

/// Returns the text of a line of documentation.
fn line(meta: &Meta) -> Option<String> {
    let Meta::NameValue(meta) = meta else { return None };
    match &meta.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text), ..
        }) if meta.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}

/// Returns the documentation, lines behind a condition included.
fn documentation(item: &ItemEnum) -> String {
    let mut lines = Vec::new();
    for attribute in &item.attrs {
        match &attribute.meta {
            Meta::List(list) if list.path.is_ident("cfg_attr") => {
                let nested = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
                lines.extend(nested.unwrap().iter().filter_map(line));
            }
            meta => lines.extend(line(meta)),
        }
    }
    lines.join("\n")
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
