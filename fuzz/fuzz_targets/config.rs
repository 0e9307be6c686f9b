//! A configuration. What is accepted has no name that leads nowhere; what is refused is told with places
//! that there are.
#![no_main]

use bulla::Registry;
use bulla_config::{Config, ConfigError, MAX_LEN};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match Config::from_text("bulla.toml", text) {
    Ok(config) => accepted(&config),
    Err(error) => refused(&error, text),
});

fn accepted(config: &Config) {
    assert!(config.default_name().is_none_or(|name| config.names().any(|known| known == name)));
    for name in config.names() {
        let recipients = config.recipients(name).expect("a name that there is");
        assert!((1..=8).contains(&recipients.keys.len()));
        // No key is connected to, and none is taken for another.
        assert!(config.sealer(&Registry::builder().build(), name).is_err());
    }
    for group in config.groups() {
        let recipients = config.recipients(&group.name).expect("a group that there is");
        let names: Vec<_> = recipients.keys.iter().map(|key| key.name.clone()).collect();
        assert_eq!(names, group.recipients);
    }
    for key in config.keys() {
        assert_eq!(key.uri.to_string().parse().ok().as_ref(), Some(&key.uri));
    }
}

fn refused(error: &ConfigError, text: &str) {
    assert!(!error.mistakes().is_empty() || text.len() > MAX_LEN, "a refusal says why");
    for mistake in error.mistakes() {
        assert!(!mistake.text.is_empty() && !mistake.text.contains(char::is_control));
        let line = text.split('\n').nth(mistake.line - 1).expect("a line that there is");
        assert!((1..=line.chars().count() + 1).contains(&mistake.column));
    }
}
