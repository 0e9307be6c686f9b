//! Tests that join the crates of the workspace.
