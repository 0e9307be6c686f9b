//! Microsoft's client for Key Vault as the judge: of the service by the book, and of what the provider makes.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod world;

use bulla::{
    CryptoProvider, DataKeys, ErrorKind, KeyName, KeyVersion, Sign, SigningAlgorithm, SigningInput,
    Wrapped, key::WrapAlgorithm,
};
use bulla_testworld::{
    Python,
    azure::{Azure, Kind},
};
use serde_json::{Value, json};
use world::{HSM, SIGNS, VAULT, WRAPS, builder, context};

const JUDGE: &str = include_str!("judge.py");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

async fn wraps(azure: &Azure, vault: &str, key: &str) -> Vec<Value> {
    let provider = builder(azure, vault).sealing_key(key).build().await.unwrap();
    let (plain, wrapped) = provider.generate_data_key(&context()).await.unwrap();
    let alg = match wrapped.algorithm {
        WrapAlgorithm::AesKw => "A256KW",
        _ => "RSA-OAEP-256",
    };
    vec![json!({
        "key": key, "alg": alg, "version": wrapped.version.unwrap().as_str(),
        "plain": hex(plain.expose()), "blob": hex(&wrapped.blob),
    })]
}

async fn signatures(azure: &Azure, key: &str) -> Vec<Value> {
    let provider = builder(azure, VAULT).signing_key(key).build().await.unwrap();
    let public = provider.public_keys().await.unwrap().remove(0);
    let mut made = Vec::new();
    for algorithm in provider.capabilities().signing.clone() {
        let input = SigningInput::new(algorithm, b"message");
        let signature = provider.sign(&public, &input).await.unwrap();
        provider.verify(&public, &input, &signature).unwrap();
        made.push(json!({
            "key": key, "alg": algorithm.as_str(), "version": public.version.as_str(),
            "digest": hex(input.digest().unwrap()), "signature": hex(signature.as_bytes()),
        }));
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_microsoft_agrees() {
    let Some(python) = Python::for_azure() else { return };
    let azure = Azure::start();
    let versions: Vec<_> =
        (0..5).map(|_| azure.key(VAULT, "orders", Kind::Rsa(2048), &WRAPS)).collect();
    azure.key(VAULT, "long", Kind::Rsa(4096), &WRAPS);
    azure.key(HSM, "aes", Kind::Oct, &WRAPS);
    for (key, kind) in
        [("rsa", Kind::Rsa(3072)), ("p256", Kind::P256), ("p384", Kind::P384), ("p521", Kind::P521)]
    {
        azure.key(VAULT, key, kind, &SIGNS);
    }
    for key in ["deleted", "disabled"] {
        azure.key(VAULT, key, Kind::Rsa(2048), &WRAPS);
    }
    azure.set_deleted(VAULT, "deleted", true);
    azure.change(VAULT, "disabled", |attributes| attributes.enabled = false);

    let mut wrapped = wraps(&azure, VAULT, "orders").await;
    wrapped.extend(wraps(&azure, VAULT, "long").await);
    wrapped.extend(wraps(&azure, HSM, "aes").await);
    let mut signed = Vec::new();
    for key in ["rsa", "p256", "p384", "p521"] {
        signed.extend(signatures(&azure, key).await);
    }
    assert_eq!(signed.len(), 9);
    let made = json!({"versions": versions, "wraps": wrapped, "signatures": signed}).to_string();
    let (proxy, ca) = (azure.proxy(), azure.ca_file());
    let args = [&*proxy, ca.to_str().unwrap(), Azure::TENANT, Azure::CLIENT, Azure::SECRET, &*made];
    let said: Value = serde_json::from_str(&python.run(JUDGE, &args)).unwrap();

    // What the client wrapped, the provider opens.
    let wraps = said["wraps"].as_array().unwrap();
    assert_eq!(wraps.len(), 2);
    for wrap in wraps {
        let text = |member: &str| wrap[member].as_str().unwrap();
        let algorithm = WrapAlgorithm::RsaOaep256;
        let provider = builder(&azure, VAULT).also_open(text("key")).build().await.unwrap();
        let key = KeyName::new("azurekeyvault", format!("{VAULT}/{}", text("key"))).unwrap();
        let version = Some(KeyVersion::parse(text("version")).unwrap());
        let wrapped = Wrapped { key, version, algorithm, blob: unhex(text("blob")) };
        let opened = provider.unwrap_data_key(&wrapped, &context()).await.unwrap();
        assert!(opened.expose().iter().copied().eq(0..32));
    }
    let none = SigningInput::new(SigningAlgorithm::Ed25519, b"message");
    let provider = builder(&azure, VAULT).signing_key("p256").build().await.unwrap();
    let public = provider.public_keys().await.unwrap().remove(0);
    let error = provider.sign(&public, &none).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
