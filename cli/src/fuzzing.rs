//! What fuzz targets reach.

use crate::config::Config;

/// Parses a configuration. What is accepted has no name that leads nowhere.
pub fn config(text: &str) {
    let config = match Config::parse("bulla.toml".to_owned(), text) {
        Ok(config) => config,
        Err(failure) => {
            assert!(!failure.message().is_empty(), "a refusal says why");
            return;
        }
    };
    let known = |name: &String| config.keys.contains_key(name) || config.groups.contains_key(name);
    assert!(config.default.as_ref().is_none_or(known));
    for group in config.groups.values() {
        assert!((1..=8).contains(&group.recipients.len()));
        assert!(group.recipients.iter().all(|name| config.keys.contains_key(name)));
    }
    for key in config.keys.values() {
        assert_eq!(key.uri.to_string().parse().ok().as_ref(), Some(&key.uri));
    }
}
