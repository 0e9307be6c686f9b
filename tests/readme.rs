//! The README's examples are those of `examples/readme.rs` and `examples/service.rs`, and those run.

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

#[path = "../examples/service.rs"]
#[allow(unreachable_pub, reason = "an example is a program of its own")]
mod service;

use std::collections::BTreeSet;

use bulla::{
    CryptoProvider, SigningAlgorithm,
    provider::{Capabilities, ContextBinding},
};
use bulla_aws_kms::AwsKms;
use bulla_azure_keyvault::AzureKeyVault;
use bulla_config::Config;
use bulla_gcp_kms::GcpKms;
use bulla_local::{KeyType, Local, LocalScheme, Protection, Store};
use bulla_pkcs11::Pkcs11;
use bulla_vault::Vault;

#[tokio::test]
async fn examples_run() {
    let dir = tempfile::tempdir().unwrap();
    example::run(Store::at(dir.path().join("store"))).await.unwrap();
}

/// What changes between here and production is the configuration alone.
#[tokio::test]
async fn the_service_runs_by_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("store"));
    store.create_key("orders", KeyType::Aes256, &Protection::None).unwrap();
    let development = include_str!("../examples/service/development.toml");
    let development = Config::from_text("development.toml", development).unwrap();
    let opened = service::service(&development, LocalScheme::new(store)).await.unwrap();
    assert_eq!(&*opened, b"card number");

    let production = include_str!("../examples/service/production.toml");
    let production = Config::from_text("production.toml", production).unwrap();
    assert_eq!(production.default_name(), development.default_name());
    assert_eq!(production.key("orders").unwrap().uri.scheme(), "awskms");

    let readme = include_str!("../README.md");
    let configuration = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let (configuration, in_production) = configuration.split_once(" # in production: ").unwrap();
    let readmes = Config::from_text("README.md", configuration).unwrap();
    assert_eq!(readmes.key("orders"), development.key("orders"));
    let uri = &production.key("orders").unwrap().uri;
    assert_eq!(in_production.trim_end(), uri.to_string());
}

#[test]
fn examples_are_the_readmes() {
    let source =
        concat!(include_str!("../examples/readme.rs"), include_str!("../examples/service.rs"),);
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

fn binding(binding: ContextBinding) -> &'static str {
    match binding {
        ContextBinding::Bound => "yes, context bound",
        ContextBinding::LocalOnly => "yes, context not bound by the provider",
        ContextBinding::Refused => "no",
    }
}

/// The README's table of providers is what the code says.
#[test]
fn the_table_of_providers_is_the_codes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("store"));
    let mut signs = BTreeSet::new();
    let mut sealing = None;
    for key_type in KeyType::ALL {
        let name = key_type.to_string();
        if store.create_key(&name, key_type, &Protection::None).is_err() {
            return; // without the backend that has this type there is less to tell
        }
        let builder = Local::builder(store.clone());
        if key_type == KeyType::Aes256 {
            sealing = Some(builder.sealing_key(&name).build().unwrap());
        } else {
            let vault = builder.signing_key(&name).build().unwrap();
            signs.extend(vault.capabilities().signing.iter().map(|a| SigningAlgorithm::as_str(*a)));
        }
    }
    let sealing = sealing.unwrap();
    let local = row("local key store", "bulla-local", sealing.capabilities(), signs);
    let capabilities = AwsKms::capabilities_of_all_keys();
    let signs = capabilities.signing.iter().map(|a| SigningAlgorithm::as_str(*a)).collect();
    let aws = row("AWS KMS", "bulla-aws-kms", &capabilities, signs);
    let capabilities = GcpKms::capabilities_of_all_keys();
    let signs = capabilities.signing.iter().map(|a| SigningAlgorithm::as_str(*a)).collect();
    let gcp = row("Google Cloud KMS", "bulla-gcp-kms", &capabilities, signs);
    let capabilities = Pkcs11::capabilities_of_all_keys();
    let signs = capabilities.signing.iter().map(|a| SigningAlgorithm::as_str(*a)).collect();
    let pkcs11 = row("PKCS#11", "bulla-pkcs11", &capabilities, signs);
    let capabilities = Vault::capabilities_of_all_keys();
    let signs = capabilities.signing.iter().map(|a| SigningAlgorithm::as_str(*a)).collect();
    let vault = row("Vault / OpenBao", "bulla-vault", &capabilities, signs);
    let capabilities = AzureKeyVault::capabilities_of_all_keys();
    let signs = capabilities.signing.iter().map(|a| SigningAlgorithm::as_str(*a)).collect();
    let azure = row("Azure Key Vault", "bulla-azure-keyvault", &capabilities, signs);
    let readme = include_str!("../README.md");
    for row in [local, aws, azure, gcp, pkcs11, vault] {
        assert!(readme.contains(&row), "the README's row should be\n{row}");
    }
}

fn row(name: &str, package: &str, can: &Capabilities, signs: BTreeSet<&str>) -> String {
    let direct = match can.direct {
        ContextBinding::Refused => "no".to_owned(),
        bound => format!("{}, up to {} bytes", binding(bound), can.max_direct_len),
    };
    format!(
        "| {name} | `{package}` | {} | {direct} | {} |",
        binding(can.data_keys),
        signs.into_iter().collect::<Vec<_>>().join(", "),
    )
}
