//! Descriptors of services, and the requests that they produce.

mod catalog;
mod descriptor_classes;
mod descriptor_schema;
mod descriptors;
mod instances;
mod page;
mod registrations;
mod request_bytes;
mod request_oracle;
mod sandbox;
#[path = "../support/mod.rs"]
mod support;
