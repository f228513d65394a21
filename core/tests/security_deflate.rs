//! The suite of the same name in the test package once more, over the codec of the features that this package is built with.

#[path = "../../tests/tests/security_deflate.rs"]
mod suite;
