//! The rules of the crate itself: layers, public face, dependencies, and code that must not compile.

mod compile_fail;
mod dependencies;
mod layers;
mod source;
