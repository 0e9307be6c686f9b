//! From a URL to a store and a path in it.

use std::{sync::Arc, time::Duration};

use bulla_object_store::maintain::{AnyHead, Exchange, S3Head, State};
use object_store::{
    ClientConfigKey, ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    local::LocalFileSystem,
    path::Path,
};
use url::Url;

use crate::{
    args::StoreOptions,
    failure::{Failure, Outcome},
    shown,
};

/// How often a request is tried again, and for how long: somebody waits for it.
const RETRIES: usize = 5;
const PATIENCE: Duration = Duration::from_secs(45);

/// A store, and what is meant in it.
pub(super) struct Place {
    store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    /// As it was named, fit for a terminal.
    pub(super) name: String,
    kind: Kind,
}

enum Kind {
    Local(Arc<LocalFileSystem>),
    S3 { store: AmazonS3, bucket: String, options: Box<ClientOptions> },
    Azure,
}

impl Place {
    /// The store of a URL, by its settings here and in the environment. Nothing is asked yet.
    pub(super) fn find(url: &str, options: &StoreOptions) -> Outcome<Self> {
        let name = shown::token(url).into_owned();
        let parsed = Url::parse(url).map_err(|_| not_a_url(&name))?;
        let (scheme, path) = match ObjectStoreScheme::parse(&parsed) {
            Ok((
                scheme @ (ObjectStoreScheme::Local
                | ObjectStoreScheme::AmazonS3
                | ObjectStoreScheme::MicrosoftAzure),
                path,
            )) => (scheme, path),
            Ok(_) => return Err(no_store(parsed.scheme())),
            Err(_) if parsed.scheme() == "file" => {
                return Err(Failure::usage(format!("{name}: a directory is file:///directory")));
            }
            Err(_) if ["s3", "az"].contains(&parsed.scheme()) => return Err(not_a_url(&name)),
            Err(_) => return Err(no_store(parsed.scheme())),
        };
        let told = |error| failure(&name, &error);
        let (store, kind): (Arc<dyn ObjectStore>, _) = match scheme {
            ObjectStoreScheme::Local => {
                if let Some(pair) = options.options.first() {
                    return Err(no_option(pair.key()));
                }
                let store = Arc::new(LocalFileSystem::new().with_fsync(true));
                (Arc::clone(&store) as _, Kind::Local(store))
            }
            ObjectStoreScheme::AmazonS3 => {
                let (store, client) = s3(&parsed, options).map_err(|e| e.unwrap_or_else(told))?;
                let bucket = parsed.host_str().unwrap_or_default().to_owned();
                (Arc::new(store.clone()), Kind::S3 { store, bucket, options: Box::new(client) })
            }
            _ => (
                Arc::new(azure(&parsed, options).map_err(|e| e.unwrap_or_else(told))?),
                Kind::Azure,
            ),
        };
        Ok(Self { store, path, name, kind })
    }

    pub(super) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    /// Refuses a directory that is not there: to the store, it would have no objects.
    pub(super) fn expect_directory(&self) -> Outcome<()> {
        let Kind::Local(store) = &self.kind else { return Ok(()) };
        let root = || Ok(std::path::PathBuf::from("/"));
        let path = if self.path.is_root() { root() } else { store.path_to_filesystem(&self.path) };
        let path = path.map_err(|error| failure(&self.name, &error))?;
        let found = std::fs::metadata(path).map_err(|error| Failure::io(&self.name, &error))?;
        match found.is_dir() {
            true => Ok(()),
            false => Err(Failure::usage("is no directory").at(&self.name)),
        }
    }

    /// How heads are exchanged here.
    pub(super) fn exchange(&self, unconditional: bool) -> Outcome<Arc<dyn Exchange>> {
        let any = AnyHead::new(Arc::clone(&self.store));
        if unconditional {
            return Ok(Arc::new(any.unconditional()));
        }
        Ok(match &self.kind {
            #[cfg(target_os = "linux")]
            Kind::Local(store) => {
                Arc::new(bulla_object_store::maintain::LocalHead::new(Arc::clone(store)))
            }
            Kind::S3 { store, bucket, options } => {
                let exchange = S3Head::new(store.clone(), bucket, options);
                Arc::new(exchange.map_err(|error| failure(&self.name, &error))?)
            }
            _ => Arc::new(any),
        })
    }

    /// An object as it is told: its name in the store, or a file's path.
    pub(super) fn object(&self, location: &Path) -> String {
        match self.kind {
            Kind::Local(_) => format!("/{location}"),
            Kind::S3 { .. } | Kind::Azure => location.to_string(),
        }
    }
}

/// What is wrong with the settings, or what the store says of them.
enum Wrong {
    Setting(Failure),
    Store(object_store::Error),
}

impl Wrong {
    fn unwrap_or_else(self, told: impl FnOnce(object_store::Error) -> Failure) -> Failure {
        match self {
            Self::Setting(failure) => failure,
            Self::Store(error) => told(error),
        }
    }
}

impl From<object_store::Error> for Wrong {
    fn from(error: object_store::Error) -> Self {
        Self::Store(error)
    }
}

fn s3(url: &Url, options: &StoreOptions) -> Result<(AmazonS3, ClientOptions), Wrong> {
    // Requests that object_store does not have are made with the same settings.
    let mut client = ClientOptions::new();
    let mut builder = AmazonS3Builder::from_env().with_retry(retry());
    let own = options.options.iter().map(|pair| (pair.key().to_owned(), pair.value().to_owned()));
    for (name, value) in own {
        let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>();
        let key = key.map_err(|_| Wrong::Setting(no_option(&name)))?;
        let is_secret = matches!(
            key,
            AmazonS3ConfigKey::SecretAccessKey
                | AmazonS3ConfigKey::Token
                | AmazonS3ConfigKey::Encryption(_)
        );
        if is_secret {
            return Err(Wrong::Setting(secret(&name)));
        }
        builder = builder.with_config(key, value);
    }
    if options.allow_http {
        builder = builder.with_allow_http(true);
    }
    for name in CLIENT_SETTINGS {
        let Ok(key) = name.parse::<ClientConfigKey>() else { continue };
        if let Some(value) = builder.get_config_value(&AmazonS3ConfigKey::Client(key)) {
            client = client.with_config(key, value);
        }
    }
    let allow_http = client.get_config_value(&ClientConfigKey::AllowHttp);
    for endpoint in [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint] {
        check_endpoint(builder.get_config_value(&endpoint), allow_http.as_deref())?;
    }
    let has = |key| builder.get_config_value(&key).is_some();
    let credentials = [
        AmazonS3ConfigKey::AccessKeyId,
        AmazonS3ConfigKey::SecretAccessKey,
        AmazonS3ConfigKey::WebIdentityTokenFile,
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
    ];
    let unsigned = builder.get_config_value(&AmazonS3ConfigKey::SkipSignature);
    let unsigned = unsigned.is_some_and(|value| value == "true");
    let metadata_disabled = std::env::var("AWS_EC2_METADATA_DISABLED");
    // object_store would ask the instance's metadata all the same, and wait.
    if metadata_disabled.is_ok_and(|value| value.eq_ignore_ascii_case("true"))
        && !(unsigned || credentials.into_iter().any(has))
    {
        return Err(Wrong::Setting(
            Failure::other(
                "no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            )
            .hint("profiles of the AWS CLI are not read for stores"),
        ));
    }
    Ok((builder.with_url(url.as_str()).build()?, client))
}

fn azure(url: &Url, options: &StoreOptions) -> Result<impl ObjectStore, Wrong> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_retry(retry());
    for pair in &options.options {
        let key = pair.key().to_ascii_lowercase().parse::<AzureConfigKey>();
        let key = key.map_err(|_| Wrong::Setting(no_option(pair.key())))?;
        let is_secret = matches!(
            key,
            AzureConfigKey::AccessKey
                | AzureConfigKey::ClientSecret
                | AzureConfigKey::SasKey
                | AzureConfigKey::Token
        );
        if is_secret {
            return Err(Wrong::Setting(secret(pair.key())));
        }
        builder = builder.with_config(key, pair.value());
    }
    if options.allow_http {
        builder = builder.with_allow_http(true);
    }
    let allow_http = AzureConfigKey::Client(ClientConfigKey::AllowHttp);
    let allow_http = builder.get_config_value(&allow_http);
    check_endpoint(builder.get_config_value(&AzureConfigKey::Endpoint), allow_http.as_deref())?;
    Ok(builder.with_url(url.as_str()).build()?)
}

/// The settings of an HTTP client, by their names in object_store.
const CLIENT_SETTINGS: &[&str] = &[
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "http1_only",
    "http2_only",
    "no_system_certificates",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_url",
    "proxy_ca_certificate",
    "proxy_excludes",
    "timeout",
    "user_agent",
];

fn check_endpoint(endpoint: Option<String>, allow_http: Option<&str>) -> Result<(), Wrong> {
    let allowed = allow_http == Some("true");
    match endpoint {
        Some(endpoint) if endpoint.starts_with("http://") && !allowed => Err(Wrong::Setting(
            Failure::usage(format!("{}: this endpoint is without TLS", shown::token(&endpoint)))
                .hint("--allow-http allows it, for tests and trusted networks"),
        )),
        _ => Ok(()),
    }
}

fn retry() -> RetryConfig {
    RetryConfig { max_retries: RETRIES, retry_timeout: PATIENCE, ..RetryConfig::default() }
}

fn not_a_url(name: &str) -> Failure {
    Failure::usage(format!("{name}: this is no URL of a store"))
        .hint("such are s3://bucket/path, az://container/path and file:///directory")
}

fn no_store(scheme: &str) -> Failure {
    Failure::usage(format!(
        "`{}` is no kind of store; they are file, s3 and az",
        shown::token(scheme)
    ))
}

fn no_option(name: &str) -> Failure {
    Failure::usage(format!(
        "--store-option: this kind of store has no setting {}",
        shown::token(name)
    ))
}

/// An argument shows in lists of processes, and a shell writes it to its history.
fn secret(name: &str) -> Failure {
    Failure::usage(format!(
        "--store-option: {} is not taken from an argument, which others could see",
        shown::token(name)
    ))
    .hint("set it in the environment, by its name in capitals")
}

/// What a store said, about something.
pub(super) fn failure(name: &str, error: &object_store::Error) -> Failure {
    use object_store::Error as E;
    let message = match error {
        E::NotFound { .. } => "there is no such object, bucket or container".to_owned(),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            format!("the store refuses access: {}", one_line(error))
        }
        other => said(&other.to_string()).unwrap_or_else(|| one_line(other)),
    };
    Failure::other(message).at(name)
}

/// What an XML answer of S3 or Azure says, out of all that is told around it.
fn said(text: &str) -> Option<String> {
    let between = |open: &str, close: &str| Some(text.split_once(open)?.1.split_once(close)?.0);
    let (code, message) = (between("<Code>", "</Code>")?, between("<Message>", "</Message>")?);
    Some(one_line(&format!("the store says {}: {message}", shown::token(code))))
}

/// A store's own words, which may be a whole document.
pub(super) fn one_line(error: &dyn std::fmt::Display) -> String {
    const MOST: usize = 400;
    let text: String =
        error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The exit code that speaks of an object in this state.
pub(super) fn code_of(state: State) -> u8 {
    match state {
        State::Damaged | State::Short => Failure::from(bulla::Error::not_authentic()).code(),
        State::Unread | State::Unknown => Failure::other("").code(),
        _ => 0,
    }
}
