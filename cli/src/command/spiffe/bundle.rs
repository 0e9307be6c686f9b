//! `bulla spiffe bundle`.

use std::{path::Path, sync::Arc};

use bulla::jwt::KeySource;
use bulla_spiffe::{BundleSource as _, LocalBundle, LocalBundleBuilder, TrustDomain, trust_domain};
use bulla_tokens::ring::RingKeys;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::Value;

use super::verify;
use crate::{
    Session,
    args::PrintBundle,
    command::token::DEFAULT_RSA,
    config,
    failure::{Failure, Outcome},
    input::Source,
    json,
    providers::{Keys, Names, OpensNothing, ring_at},
    say, shown,
};

/// Certificates in a file, in bytes.
const MAX_PEM_LEN: u64 = 1 << 20;

pub(super) fn run(args: &PrintBundle, session: &Session) -> Outcome<()> {
    let bundle = match &args.url {
        Some(url) => verify::fetched(&args.trust_domain, url, session)?,
        None => {
            let local = local(args, session)?;
            let bundle = session.runtime.block_on(local.bundle());
            let bundle = bundle.map_err(|error| match &args.ring {
                Some(ring) => Failure::from(error).at(&shown::path(ring)),
                None => Failure::from(error),
            })?;
            bulla_spiffe::Bundle::clone(&*bundle)
        }
    };
    match bundle.skipped() {
        0 => {}
        1 => {
            say::note("one key is left out: no JWT-SVID can have its algorithm, or it is not known")
        }
        n => say::note(&format!(
            "{n} keys are left out: no JWT-SVID can have their algorithms, or they are not known"
        )),
    }
    let text = bundle.to_json()?;
    let document: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::other(format!("writing JSON: {error}")))?;
    json::print(&document)
}

fn local(args: &PrintBundle, session: &Session) -> Outcome<LocalBundle> {
    let mut builder = with_keys(trust_domain(&args.trust_domain)?, args, session)?;
    if let Some(path) = &args.x509 {
        builder = builder.x509_authorities(certificates(path)?, 0);
    }
    if let Some(sequence) = args.sequence {
        builder = builder.sequence(sequence);
    }
    if let Some(hint) = args.refresh_hint {
        builder = builder.refresh_hint(hint);
    }
    Ok(builder.build()?)
}

fn with_keys(
    domain: TrustDomain,
    args: &PrintBundle,
    session: &Session,
) -> Outcome<LocalBundleBuilder> {
    if let Some(path) = &args.ring {
        let ring = Arc::new(RingKeys::new(ring_at(path), OpensNothing));
        return Ok(LocalBundle::of_ring(domain, ring));
    }
    let builder = LocalBundle::builder(domain);
    if args.keys.is_empty() {
        return Ok(builder);
    }
    let config = config::load(session.config.as_deref())?;
    let keys = Keys::choose_to_publish(config.as_ref(), &args.keys)?;
    let rsa = args.alg.map_or(DEFAULT_RSA, |alg| alg.algorithm);
    let set = keys.jwk_set(Names { rsa, ed25519: Default::default() }, &session.runtime)?;
    let source: Arc<dyn KeySource> = Arc::new(Arc::new(set));
    Ok(builder.keys(source))
}

/// The certificates of a file, one at least.
pub(super) fn certificates(path: &Path) -> Outcome<Vec<CertificateDer<'static>>> {
    let name = shown::path(path);
    let input = Source::File(path.to_owned()).open()?;
    let pem = input.read_all(MAX_PEM_LEN)?;
    let pem = pem.ok_or_else(|| Failure::usage("is longer than 1 MiB").at(&name))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(Failure::usage("is no PEM with certificates in it").at(&name)),
    }
}
