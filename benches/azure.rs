//! What a call through `bulla-azure-keyvault` takes beside the same call of the bare SDK: wrapping and unwrapping
//! a data key, and signing, by 1, 8 and 64 callers at once.
//!
//! Both ask the same service by the book, in this process, through its proxy and over TLS. Rounds of the two
//! take turns, so that whatever else the machine does meets both.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark stops where it can't go on, and prints"
)]

#[path = "turns.rs"]
mod turns;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    credentials::Secret,
    http::{
        AsyncRawResponse, Body, ClientOptions, HttpClient, Method, Request, Transport,
        headers::{HeaderName, HeaderValue, Headers},
    },
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use azure_security_keyvault_keys::{
    KeyClient, KeyClientOptions,
    models::{
        EncryptionAlgorithm, KeyClientSignOptions, KeyOperationParameters, SignParameters,
        SignatureAlgorithm,
    },
};
use bulla::{SigningAlgorithm, SigningInput};
use bulla_azure_keyvault::{AzureKeyVault, Credential};
use bulla_testworld::azure::{Azure, Kind};
use futures_util::StreamExt as _;
use turns::{Bare, Call, MESSAGE, Ours};

const VAULT: &str = "acme.vault.azure.net";

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let azure = Azure::start();
    azure.key(VAULT, "seal", Kind::Rsa(2048), &["wrapKey", "unwrapKey"]);
    azure.key(VAULT, "sign", Kind::P256, &["sign", "verify"]);
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    threads.block_on(measure(&azure));
}

/// The SDK's own client over `reqwest`, which needs a proxy and a certification authority here.
#[derive(Debug)]
struct Http(reqwest::Client);

impl Http {
    fn new(azure: &Azure) -> Self {
        let pem = std::fs::read(azure.ca_file()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        use rustls::pki_types::{CertificateDer, pem::PemObject as _};
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider);
        let tls = tls.with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        let proxy = reqwest::Proxy::all(azure.proxy()).unwrap();
        // As those who use it would: a request that never ends is no good.
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).proxy(proxy);
        Self(client.timeout(Duration::from_secs(5)).build().unwrap())
    }
}

#[async_trait]
impl HttpClient for Http {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let method = match request.method() {
            Method::Post => reqwest::Method::POST,
            _ => reqwest::Method::GET,
        };
        let mut sent = self.0.request(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        if let Body::Bytes(body) = request.body() {
            sent = sent.body(body.clone());
        }
        let answer = sent.send().await.unwrap();
        let status = answer.status().as_u16().into();
        let headers: HashMap<_, _> = answer
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = value.to_str().unwrap().to_owned();
                (HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value))
            })
            .collect();
        let body = futures_util::stream::once(async move { Ok(answer.bytes().await.unwrap()) });
        Ok(AsyncRawResponse::new(status, Headers::from(headers), body.boxed()))
    }
}

struct World {
    bare: KeyClient,
    ours: Arc<Ours>,
    digest: Vec<u8>,
}

fn bare(azure: &Azure) -> KeyClient {
    let transport = Some(Transport::new(Arc::new(Http::new(azure))));
    let client_options = ClientOptions { transport, ..ClientOptions::default() };
    let options = ClientSecretCredentialOptions { client_options: client_options.clone() };
    let (client, secret) = (Azure::CLIENT.to_owned(), Secret::new(Azure::SECRET));
    let credential =
        ClientSecretCredential::new(Azure::TENANT, client, secret, Some(options)).unwrap();
    let options = KeyClientOptions { client_options, ..KeyClientOptions::default() };
    KeyClient::new(&format!("https://{VAULT}"), credential, Some(options)).unwrap()
}

async fn measure(azure: &Azure) {
    let vault = AzureKeyVault::builder().vault(VAULT).proxy(azure.proxy()).ca_file(azure.ca_file());
    let secret = Credential::client_secret(Azure::TENANT, Azure::CLIENT, Azure::SECRET);
    let vault = vault.credential(secret).sealing_key("seal").signing_key("sign");
    let ours = Ours::new(vault.build().await.unwrap()).await;
    let input = SigningInput::new(SigningAlgorithm::Es256, MESSAGE);
    let digest = input.digest().unwrap().to_vec();
    let world = World { bare: bare(azure), ours: Arc::clone(&ours), digest };
    turns::compare(&ours, world).await;
}

impl Bare for World {
    async fn call(&self, call: Call) {
        let wrapping = |value: &[u8]| KeyOperationParameters {
            algorithm: Some(EncryptionAlgorithm::RsaOaep256),
            value: Some(value.to_vec()),
            ..KeyOperationParameters::default()
        };
        match call {
            Call::Wrap => {
                let body = wrapping(self.ours.key.expose()).try_into().unwrap();
                let answer = self.bare.wrap_key("seal", body, None).await.unwrap();
                assert_eq!(answer.into_model().unwrap().result.unwrap().len(), 256);
            }
            Call::Unwrap => {
                let version = self.ours.wrapped.version.as_ref().unwrap().as_str();
                let body = wrapping(&self.ours.wrapped.blob).try_into().unwrap();
                let answer = self.bare.unwrap_key("seal", version, body, None).await.unwrap();
                assert_eq!(answer.into_model().unwrap().result.unwrap().len(), 32);
            }
            Call::Sign => {
                let body = SignParameters {
                    algorithm: Some(SignatureAlgorithm::Es256),
                    value: Some(self.digest.clone()),
                };
                let version = Some(self.ours.public.version.as_str().to_owned());
                let options = KeyClientSignOptions {
                    key_version: version,
                    ..KeyClientSignOptions::default()
                };
                let body = body.try_into().unwrap();
                let answer = self.bare.sign("sign", body, Some(options)).await.unwrap();
                assert_eq!(answer.into_model().unwrap().result.unwrap().len(), 64);
            }
        }
    }
}
