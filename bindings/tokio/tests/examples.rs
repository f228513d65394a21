//! The documentation shows the examples as they are.

const README: &str = include_str!("../../../README.md");

#[test]
fn the_readme_shows_the_examples_as_they_are() {
    for example in [include_str!("../examples/client.rs"), include_str!("../examples/server.rs")] {
        let (_, code) = example.split_once("\n\n").expect("a heading");
        assert!(README.contains(code), "{code}");
    }
}

#[test]
fn the_pages_about_hyper_and_axum_show_their_examples_as_they_are() {
    let examples = [include_str!("../examples/behind_axum.rs"), include_str!("../examples/behind_hyper.rs")];
    let examples = examples.map(without_indentation).concat();
    let pages = [include_str!("../../../docs/bindings.md"), include_str!("../../driver/src/server/upgrade.rs")];
    for page in pages.map(without_indentation) {
        let blocks = page.split("ignore\n").skip(1);
        let shown: Vec<_> = blocks.filter_map(|block| block.split("```").next()).collect();
        assert_eq!(shown.len(), 2);
        for code in shown {
            assert!(code.contains("ticket.serve") && examples.contains(code), "{code}");
        }
    }
}

/// Also without the marks of documentation comments.
fn without_indentation(text: &str) -> String {
    text.lines().map(|line| line.trim_start().trim_start_matches("///").trim_start().to_owned() + "\n").collect()
}
