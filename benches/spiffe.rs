//! JWT-SVIDs beside plain tokens of the same claims, same keys, in turns: issued and verified.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::{
    SigningAlgorithm,
    jwt::{Claims, JwkSet, ProviderKeys, Signer, Verified, Verifier},
};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_spiffe::{
    Bundle, BundleSet, JwtSvidIssuer, JwtSvidRequest, JwtSvidVerifier, spiffe_id, trust_domain,
};
use tokio::runtime::Runtime;

/// How many turns each has, and how long one takes at least.
const TURNS: usize = 200;
const TURN: Duration = Duration::from_millis(1);

const ID: &str = "spiffe://example.org/billing";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    println!("A plain token, and its share in the time of a JWT-SVID (median of turns)");
    for (name, kind) in [("ES256", KeyType::P256), ("RS256", KeyType::Rsa2048)] {
        compare(&runtime, name, kind);
    }
}

fn compare(runtime: &Runtime, name: &str, kind: KeyType) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    store.create_key("id", kind, &Protection::None).unwrap();
    let local = Local::builder(store).signing_key("id").build().unwrap();
    let algorithm = SigningAlgorithm::from_name(name).unwrap();
    let keys = ProviderKeys::builder(Arc::new(local)).algorithm(algorithm).build();
    let keys = Arc::new(keys);
    let domain = trust_domain("example.org").unwrap();
    let issuer = JwtSvidIssuer::builder(domain.clone(), Arc::clone(&keys));
    let issuer = runtime.block_on(issuer.build()).unwrap();
    let request = JwtSvidRequest::new(spiffe_id(ID).unwrap(), "reports");
    let signer = Signer::new(Arc::clone(&keys));
    let claims = || {
        let claims = Claims::new().unwrap().with_subject(ID).with_audiences(["reports"]);
        claims.with_ttl(Duration::from_secs(300))
    };

    let took = turns(&mut [
        Box::new(|| drop(black_box(runtime.block_on(signer.sign(&claims())).unwrap()))),
        Box::new(|| drop(black_box(runtime.block_on(issuer.issue(&request)).unwrap()))),
    ]);
    report(&format!("issue {name}"), &took);

    let set: Arc<JwkSet> = runtime.block_on(keys.jwk_set()).unwrap();
    let bundles = BundleSet::new();
    bundles.insert(Bundle::new(domain).with_jwt_authorities(&set).unwrap());
    // Beside others, as where there is federation.
    for n in 0..9 {
        bundles.insert(Bundle::new(trust_domain(&format!("other-{n}.example")).unwrap()));
    }
    let token = runtime.block_on(issuer.issue(&request)).unwrap().into_token();
    let plain = Verifier::builder().any_issuer().audience("reports").any_typ().build().unwrap();
    let svids = JwtSvidVerifier::builder(bundles).audience("reports").build().unwrap();
    let took = turns(&mut [
        Box::new(|| {
            let verified: Verified<Claims> = runtime.block_on(plain.verify(&token, &set)).unwrap();
            black_box(verified);
        }),
        Box::new(|| drop(black_box(runtime.block_on(svids.verify(&token)).unwrap()))),
    ]);
    report(&format!("verify {name}"), &took);
}

fn report(name: &str, took: &[Vec<f64>; 2]) {
    let [plain, svid] = took;
    let mut shares: Vec<_> = plain.iter().zip(svid).map(|(plain, svid)| plain / svid).collect();
    shares.sort_unstable_by(f64::total_cmp);
    let fastest = |took: &[f64]| took.iter().copied().fold(f64::INFINITY, f64::min);
    let (plain, svid) = (fastest(plain), fastest(svid));
    let share = shares.get(shares.len() / 2).unwrap();
    println!("{name:12} {plain:8.2} us, SVID {svid:8.2} us, {share:6.3}");
}

/// Microseconds that each took, turn by turn.
fn turns(both: &mut [Box<dyn FnMut() + '_>; 2]) -> [Vec<f64>; 2] {
    let mut took = [Vec::new(), Vec::new()];
    for turn in 0..TURNS {
        for i in 0..2 {
            let at = (turn + i) % 2;
            let (start, mut times) = (Instant::now(), 0_u32);
            while start.elapsed() < TURN {
                both.get_mut(at).unwrap()();
                times += 1;
            }
            let each = start.elapsed().as_secs_f64() * 1e6 / f64::from(times);
            took.get_mut(at).unwrap().push(each);
        }
    }
    took
}
