//! Providers of keys on OpenBao.

use bulla_testworld::OpenBao;
use bulla_vault::{Auth, Vault, VaultBuilder};

/// A builder with the token of the root.
pub(crate) fn builder(bao: &OpenBao) -> VaultBuilder {
    Vault::builder().address(bao.url()).auth(Auth::token(bao.root()))
}
