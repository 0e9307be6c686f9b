//! `object_store`'s own suite on encrypted stores.

use std::sync::Arc;

use bulla_object_store::{Binding, EncryptedStore};
use object_store::{ObjectStore, memory::InMemory};

use crate::world::{Local, builder, encrypted, suite};

suite! {
    object_store:
    memory: encrypted(InMemory::new()), true, true;
    files: encrypted(Local::new()), false, true;
    memory_by_path: by_path(InMemory::new()), true, true;
    files_by_path: by_path(Local::new()), false, true;
    shared: encrypted(Arc::new(InMemory::new()) as Arc<dyn ObjectStore>), true, true;
}

fn by_path<S: ObjectStore>(inner: S) -> EncryptedStore<S> {
    builder(inner).binding(Binding::Path).build().unwrap()
}
