//! The rules of the crate itself: layers, public API, dependencies, and code that must not compile.

mod assurance;
mod compile_fail;
mod dependencies;
mod documents;
mod error_table;
mod layers;
mod public_face;
mod short_programs;
mod source;
