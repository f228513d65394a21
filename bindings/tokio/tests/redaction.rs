//! Keys never show.

use multiwa_ws_tokio::Client;

#[test]
fn sec_ap_08_debug_output_of_a_builder_hides_every_credential() {
    let builder = Client::builder("ws://gateway/ws?apiKey=s3cret")
        .api_key("s3cret")
        .header("Authorization", "Bearer s3cret")
        .header("Cookie", "session=s3cret");
    assert!(!format!("{builder:?}").contains("s3cret"));
}
