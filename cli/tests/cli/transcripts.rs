//! Help texts and messages, word for word.

#[test]
fn transcripts() {
    let home = tempfile::tempdir().unwrap();
    let cases = trycmd::TestCases::new();
    cases
        .register_bin("bulla", std::path::Path::new(env!("CARGO_BIN_EXE_bulla")))
        .env("BULLA_HOME", home.path().join("keys").to_str().unwrap())
        .env("XDG_CONFIG_HOME", home.path().join("config").to_str().unwrap())
        .env("BULLA_CONFIG", "")
        .env("COLUMNS", "100")
        .insert_var("[KEYS]", home.path().join("keys").to_str().unwrap().to_owned())
        .unwrap()
        .case("tests/cmd/*.trycmd");
    if cfg!(feature = "store") {
        cases.case("tests/cmd/store/*.trycmd");
    }
}
