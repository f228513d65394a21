//! The JavaScript client of the source document, section 8.5, is the documented one. `other_programs` runs it.

#![cfg(test)]

use multiwa_ws_testkit::process::workspace_root;
use sha1_smol::Sha1;

/// SHA-1 of the code in section 8.5 of the source document, as its author published it, with a final line break.
const DOCUMENTED_CLIENT: &str = "591f0f4a7ef72ffaa7bb7607d6c35ee50efa7319";

#[test]
fn the_committed_client_is_the_documented_one_byte_for_byte() {
    let committed = std::fs::read(workspace_root().join("tests/js/client.js")).unwrap();
    assert_eq!(Sha1::from(committed).digest().to_string(), DOCUMENTED_CLIENT);
}
