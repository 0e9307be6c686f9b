//! `bulla spiffe fetch`.

use bulla_spiffe::{spiffe_id, workload::WorkloadApi};

use crate::{Session, args::FetchSvid, failure::Outcome, stdio};

pub(super) fn run(args: FetchSvid, session: &Session) -> Outcome<()> {
    let id = args.id.as_deref().map(spiffe_id).transpose()?;
    let tokens = WorkloadApi::from_env()?.jwt_svids_builder().timeout(args.timeout).build();
    let fetched = session.runtime.block_on(async {
        match &id {
            Some(id) => tokens.svid_of(id, args.aud).await,
            None => tokens.svid(args.aud).await,
        }
    });
    stdio::print(&format!("{}\n", fetched?.token()))
}
