//! Runs the suite of the same name in the test package again, over the codec that the features of this package select.

#[path = "../../tests/tests/security_deflate.rs"]
mod suite;
