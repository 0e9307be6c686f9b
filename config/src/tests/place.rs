use std::{collections::BTreeMap, fs};

use bulla::ErrorKind;

use crate::{Config, ConfigError, MAX_LEN};

fn from_env(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    Config::from_variables(|name| variables.get(name).map(Into::into))
}

#[track_caller]
fn refused(result: Result<Config, ConfigError>, kind: ErrorKind, said: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(said), "{said:?} is not in {error}");
    assert!(error.to_string().starts_with(&format!("{}:", error.origin())), "{error}");
}

#[test]
fn a_variable_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bulla.toml");
    let name = path.to_str().unwrap();
    refused(from_env(&[("BULLA_CONFIG", name)]), ErrorKind::NotFound, "bulla.toml: ");
    fs::write(&path, "[keys.app]\nuri = \"local:app\"\n").unwrap();
    let config = from_env(&[("BULLA_CONFIG", name), ("BULLA_KEY", "")]).unwrap();
    assert_eq!(config.origin(), name);
    assert!(config.key("app").is_some() && config.default_name().is_none());
}

#[test]
fn a_variable_holds_the_one_key() {
    let config = from_env(&[("BULLA_KEY", "awskms:///alias/app?region=eu-west-1")]).unwrap();
    assert_eq!(config.default_name(), Some("default"));
    assert_eq!(config.keys().len(), 1);
    assert_eq!(config.key("default").unwrap().uri.scheme(), "awskms");
    refused(
        from_env(&[("BULLA_KEY", "app")]),
        ErrorKind::InvalidInput,
        "BULLA_KEY: is no key URI: ",
    );
}

#[test]
fn the_environment_is_not_guessed_at() {
    let both = [("BULLA_CONFIG", "a.toml"), ("BULLA_KEY", "local:app")];
    refused(from_env(&both), ErrorKind::InvalidInput, "BULLA_KEY is set too");
    for none in [&[][..], &[("BULLA_CONFIG", ""), ("BULLA_KEY", "")]] {
        refused(from_env(none), ErrorKind::InvalidInput, "BULLA_CONFIG: is not set");
    }
}

#[test]
fn what_is_no_configuration_is_not_read_as_one() {
    let dir = tempfile::tempdir().unwrap();
    refused(Config::from_path(dir.path()), ErrorKind::InvalidInput, "is a directory");
    let path = dir.path().join("c\x1b.toml");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Config::from_path(&path)
    };
    refused(read(b"# caf\xe9\n"), ErrorKind::InvalidInput, "c\\u{1b}.toml:1:6: this is not UTF-8");
    refused(read(b"#\n\xff"), ErrorKind::InvalidInput, "toml:2:1: this is not UTF-8");
    assert!(read(&vec![b' '; MAX_LEN]).is_ok());
    refused(read(&vec![b' '; MAX_LEN + 1]), ErrorKind::InvalidInput, "over 64 KiB");
    let long = Config::from_text("t", &" ".repeat(MAX_LEN + 1));
    refused(long, ErrorKind::InvalidInput, "t: is too long for a configuration");
}
