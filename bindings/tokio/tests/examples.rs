//! The examples are those of the project's README.

const README: &str = include_str!("../../../README.md");

#[test]
fn the_readme_shows_the_examples_as_they_are() {
    for example in [include_str!("../examples/client.rs"), include_str!("../examples/server.rs")] {
        let (_, code) = example.split_once("\n\n").expect("a heading");
        assert!(README.contains(code), "{code}");
    }
}
