//! What is delivered: manifests, charts, bundles and pages, as files. What the API server says of them is in
//! tests/delivery.

// A test that cannot go on has failed, and says on stderr why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod console;
mod files;
mod gitops;
mod helm;
mod image;
mod kustomize;
mod monitoring;
mod olm;
mod pages;
mod supply;
