//! The decisions of a vault: pure functions, the same for every database.
//!
//! Each takes what is stored and a request, and returns what to store. They read no clock and open no secret.

pub mod lifecycle;
