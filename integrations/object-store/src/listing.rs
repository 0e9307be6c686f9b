//! Sizes of plaintexts in listings, with no request for them.

use bulla::{format::Suite, stream::Layout};
use object_store::ObjectMeta;

use crate::store::Shared;

/// Tells the size of a plaintext by that of the object. Nothing of it is authenticated: a listing is the
/// store's word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    suite: Suite,
    header_len: u16,
    reads_plaintext: bool,
}

impl<S> Shared<S> {
    pub(crate) fn sizes(&self) -> Sizes {
        let (suite, header_len) = (self.sealer.suite(), self.sealer.header_len());
        Sizes { suite, header_len, reads_plaintext: self.reads_plaintext }
    }
}

impl Sizes {
    pub(crate) fn of(&self, meta: ObjectMeta) -> ObjectMeta {
        let Some(layout) = Layout::new(self.suite, self.header_len, meta.size) else {
            if !self.reads_plaintext {
                let (location, size) = (&meta.location, meta.size);
                tracing::warn!(%location, size, "no sealed object has this length");
            }
            return meta;
        };
        ObjectMeta { size: layout.plaintext_len(), ..meta }
    }
}
