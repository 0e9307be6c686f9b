//! Vaults and Managed HSMs: the operations on keys of <https://learn.microsoft.com/rest/api/keyvault/keys/>.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Answer, Azure, Key, Kind, Request, State, issuer::field, keys::Version, place};

/// How many versions are on a page. The service has 25.
const PAGE: usize = 2;

pub(super) fn answer(state: &State, request: &Request, now: Instant) -> Answer {
    act(state, request, now).unwrap_or_else(|refused| *refused)
}

fn act(state: &State, request: &Request, now: Instant) -> Result<Answer, Box<Answer>> {
    let host = &request.host;
    authorise(state, request, now)?;
    if field(&request.query, "api-version").is_none() {
        return refuse(400, "BadParameter", None);
    }
    let parts: Vec<_> = request.path.trim_matches('/').split('/').collect();
    match (&*request.method, &*parts) {
        ("GET", ["deletedkeys", name]) => {
            allow(state, "get")?;
            let key = state.vaults.get(&place(host, name)).filter(|key| key.deleted);
            let key = key.ok_or_else(not_found)?;
            let version = key.versions.last().unwrap();
            let mut said = bundle(host, name, version);
            said["recoveryId"] = format!("https://{host}/deletedkeys/{name}").into();
            said["deletedDate"] = 1_500_000_000.into();
            said["scheduledPurgeDate"] = 1_600_000_000.into();
            Ok(Answer::ok(&said))
        }
        ("GET", ["keys", name, "versions"]) => {
            allow(state, "list")?;
            Ok(page(host, name, find(state, host, name)?, &request.query))
        }
        ("GET", ["keys", name, rest @ ..]) => {
            allow(state, "get")?;
            let version = version(find(state, host, name)?, rest.first())?;
            Ok(Answer::ok(&bundle(host, name, version)))
        }
        ("POST", ["keys", name, id, operation]) => operate(state, request, (name, id), operation),
        _ => refuse(404, "ResourceNotFound", None),
    }
}

/// A challenge for who has no token, or none that is good here.
fn authorise(state: &State, request: &Request, now: Instant) -> Result<(), Box<Answer>> {
    let suffix = request.host.split_once('.').map_or("", |(_, suffix)| suffix);
    let resource = format!("https://{suffix}");
    let token = request.token.as_ref().and_then(|token| state.tokens.get(token));
    let good = token.is_some_and(|token| token.audience == resource && token.until > now);
    if good {
        return Ok(());
    }
    let login = format!("https://login.microsoftonline.com/{}", Azure::TENANT);
    let challenge =
        format!("WWW-Authenticate: Bearer authorization=\"{login}\", resource=\"{resource}\"");
    Err(Box::new(Answer::refusal(401, "Unauthorized", None).with(&challenge)))
}

fn allow(state: &State, operation: &str) -> Result<(), Box<Answer>> {
    match state.denied.iter().any(|denied| denied == operation) {
        true => refuse(403, "Forbidden", Some("ForbiddenByRbac")),
        false => Ok(()),
    }
}

fn find<'a>(state: &'a State, host: &str, name: &str) -> Result<&'a Key, Box<Answer>> {
    let key = state.vaults.get(&place(host, name)).filter(|key| !key.deleted);
    key.ok_or_else(not_found)
}

/// An empty one is the latest.
fn version<'a>(key: &'a Key, id: Option<&&str>) -> Result<&'a Version, Box<Answer>> {
    let found = match id.filter(|id| !id.is_empty()) {
        None => key.versions.last(),
        Some(id) => key.versions.iter().find(|version| version.id == **id),
    };
    found.ok_or_else(not_found)
}

fn operate(
    state: &State,
    request: &Request,
    (name, id): (&str, &str),
    operation: &str,
) -> Result<Answer, Box<Answer>> {
    let operation = match operation.to_ascii_lowercase().as_str() {
        "wrapkey" => "wrapKey",
        "unwrapkey" => "unwrapKey",
        "sign" => "sign",
        _ => return refuse(404, "ResourceNotFound", None),
    };
    allow(state, operation)?;
    let version = version(find(state, &request.host, name)?, Some(&id))?;
    usable(version, operation)?;
    let said = request.json();
    let text = |member: &str| said[member].as_str().map(str::to_owned);
    let value = text("value").and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
    let (Some(alg), Some(value)) = (text("alg"), value) else {
        return refuse(400, "BadParameter", None);
    };
    let made = match operation {
        "wrapKey" => version.wrap(&alg, &value),
        "unwrapKey" => version.unwrap(&alg, &value),
        _ => version.sign(&alg, &value),
    };
    match made {
        None => refuse(400, "BadParameter", None),
        Some(made) => Ok(Answer::ok(&json!({
            "kid": kid(&request.host, name, version), "value": URL_SAFE_NO_PAD.encode(made),
        }))),
    }
}

/// "Date-time controlled operations": outside of its dates, a key does what opening and verifying take. One
/// that is disabled does what its public half can do, which the service has been seen to do
/// (<https://github.com/Azure/azure-sdk-for-python/issues/45342>).
fn usable(version: &Version, operation: &str) -> Result<(), Box<Answer>> {
    let attributes = &version.attributes;
    let is_public = operation == "wrapKey" && version.kind != Kind::Oct;
    if !attributes.enabled && !is_public {
        return refuse(403, "Forbidden", Some("KeyDisabled"));
    }
    if !attributes.operations.iter().any(|own| own == operation) {
        return refuse(403, "Forbidden", Some("KeyOperationForbidden"));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let early = attributes.not_before.is_some_and(|from| from > now);
    let late = attributes.expires.is_some_and(|until| until <= now);
    match (early || late) && operation != "unwrapKey" {
        true => refuse(403, "Forbidden", Some("KeyNotYetValidOrExpired")),
        false => Ok(()),
    }
}

fn page(host: &str, name: &str, key: &Key, query: &str) -> Answer {
    let skip = field(query, "$skiptoken").and_then(|skip| skip.parse().ok()).unwrap_or(0);
    let items: Vec<_> = key.versions.iter().skip(skip).take(PAGE).collect();
    let value: Vec<_> = items
        .iter()
        .map(|version| json!({"kid": kid(host, name, version), "attributes": attributes(version)}))
        .collect();
    let more = skip + items.len() < key.versions.len();
    let next = more.then(|| {
        let next = skip + items.len();
        format!("https://{host}:443/keys/{name}/versions?api-version=7.2&$skiptoken={next}")
    });
    Answer::ok(&json!({"value": value, "nextLink": next}))
}

fn bundle(host: &str, name: &str, version: &Version) -> Value {
    let mut key = version.jwk();
    key["kid"] = kid(host, name, version).into();
    key["key_ops"] = version.attributes.operations.clone().into();
    json!({"key": key, "attributes": attributes(version), "tags": {}})
}

fn attributes(version: &Version) -> Value {
    let own = &version.attributes;
    let mut said = json!({
        "enabled": own.enabled, "created": 1_493_942_451, "updated": 1_493_942_451,
        "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90,
    });
    if let Some(from) = own.not_before {
        said["nbf"] = from.into();
    }
    if let Some(until) = own.expires {
        said["exp"] = until.into();
    }
    said
}

fn kid(host: &str, name: &str, version: &Version) -> String {
    format!("https://{host}/keys/{name}/{}", version.id)
}

fn not_found() -> Box<Answer> {
    Box::new(Answer::refusal(404, "KeyNotFound", None))
}

fn refuse<T>(status: u16, code: &str, inner: Option<&str>) -> Result<T, Box<Answer>> {
    Err(Box::new(Answer::refusal(status, code, inner)))
}
