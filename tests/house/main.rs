//! The rules of the crate itself: layers, dependencies, and code that must not compile.

mod assurance;
mod compile_fail;
mod dependencies;
mod layers;
