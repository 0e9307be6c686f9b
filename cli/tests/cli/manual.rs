//! Completions and manual pages.

use crate::sandbox::Sandbox;

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = String::from_utf8(sandbox.ok(&format!("completions {shell}"))).unwrap();
        for word in
            ["encrypt", "rewrap", "stored-context", "passphrase-file", "jwks", "any-audience"]
        {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    sandbox.run("completions tcsh").expect(2, "possible values: bash");
}

#[test]
fn every_command_has_a_page_with_examples() {
    let sandbox = Sandbox::new();
    let all = String::from_utf8(sandbox.ok("man")).unwrap();
    assert!(all.contains("bulla\\-keys\\-rotate"), "{all}");
    sandbox.ok("man --dir pages");
    let pages = std::fs::read_dir(sandbox.path("pages")).unwrap();
    let pages: Vec<_> = pages.map(|page| page.unwrap()).collect();
    assert_eq!(pages.len(), 49);
    for page in pages {
        let name = page.file_name().into_string().unwrap();
        let text = std::fs::read_to_string(page.path()).unwrap();
        assert!(text.contains("Examples:"), "{name}");
        assert!(all.contains(&text), "{name}");
    }
}
