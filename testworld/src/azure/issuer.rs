//! Entra ID, and the identity of an app: tokens for one audience.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::{Answer, Azure, Request, State};

const LIFETIME: Duration = Duration::from_secs(86_399);

/// A token that was issued.
pub(super) struct Issued {
    pub(super) audience: String,
    pub(super) until: Instant,
}

pub(super) fn answer(state: &mut State, request: &Request, now: Instant) -> Answer {
    match &*request.host {
        "identity" => of_app(state, request, now),
        _ => of_entra(state, request, now),
    }
}

/// `POST /TENANT/oauth2/v2.0/token`, by a secret or by somebody else's token.
fn of_entra(state: &mut State, request: &Request, now: Instant) -> Answer {
    let refusal = |status, error: &str, number| {
        let body = json!({
            "error": error, "error_codes": [number],
            "error_description": format!("AADSTS{number}: words."),
        });
        Answer::Whole(status, vec![], body.to_string())
    };
    let form = |name: &str| field(&request.body, name);
    if request.path != format!("/{}/oauth2/v2.0/token", Azure::TENANT) {
        return refusal(400, "invalid_request", 90_002);
    }
    if form("client_id").as_deref() != Some(Azure::CLIENT) {
        return refusal(400, "unauthorized_client", 700_016);
    }
    let secret = state.secret.as_deref().unwrap_or(Azure::SECRET);
    let by_secret = form("client_secret").is_some_and(|given| given == secret);
    let by_token = form("client_assertion").is_some_and(|given| given == "federated-token");
    if !by_secret && !by_token {
        return refusal(401, "invalid_client", 7_000_215);
    }
    let audience = form("scope").and_then(|s| s.strip_suffix("/.default").map(str::to_owned));
    let Some(audience) = audience else { return refusal(400, "invalid_scope", 70_011) };
    let (token, lifetime) = issue(state, audience, now);
    Answer::ok(&json!({
        "token_type": "Bearer", "expires_in": lifetime.as_secs(),
        "ext_expires_in": lifetime.as_secs(), "access_token": token,
    }))
}

/// `GET /msi/token?resource=…`, for who knows the secret of the machine.
fn of_app(state: &mut State, request: &Request, now: Instant) -> Answer {
    if !request.head.to_ascii_lowercase().contains("x-identity-header: secret-of-the-machine") {
        return Answer::Whole(401, vec![], json!({"error": "unauthorized"}).to_string());
    }
    let Some(audience) = field(&request.query, "resource") else {
        return Answer::Whole(400, vec![], json!({"error": "invalid_request"}).to_string());
    };
    let (token, lifetime) = issue(state, audience.clone(), now);
    let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + lifetime;
    Answer::ok(&json!({
        "access_token": token, "expires_on": until.as_secs().to_string(),
        "resource": audience, "token_type": "Bearer",
    }))
}

fn issue(state: &mut State, audience: String, now: Instant) -> (String, Duration) {
    let lifetime = state.lifetime.unwrap_or(LIFETIME);
    let random: [u8; 16] = rand();
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("canary-token-{token}");
    state.tokens.insert(token.clone(), Issued { audience, until: now + lifetime });
    (token, lifetime)
}

fn rand() -> [u8; 16] {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

/// Of a form or a query.
pub(super) fn field(text: &str, wanted: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}
