//! The README's examples are those of `examples/readme.rs`, and that runs.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

#[path = "../examples/readme.rs"]
#[allow(unreachable_pub, reason = "an example is a program of its own")]
mod example;

use bulla_local::Store;

#[tokio::test]
async fn examples_run() {
    let dir = tempfile::tempdir().unwrap();
    example::run(Store::at(dir.path().join("store"))).await.unwrap();
}

#[test]
fn examples_are_the_readmes() {
    let source = include_str!("../examples/readme.rs");
    let readme = include_str!("../README.md");
    let blocks: Vec<_> =
        readme.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        assert!(source.contains(block), "not in examples/readme.rs:\n{block}");
        let lines = block.lines().count();
        assert!(lines <= 11, "{lines} lines");
    }
}
