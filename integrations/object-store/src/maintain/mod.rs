//! Looking after stored objects without opening them: which keys open them ([`Audit`]), and
//! exchanging those keys ([`Rotation`]).
//!
//! Both work on the store that holds sealed bytes, not on what decrypts it. An object is a header, salt
//! and commitment (the preamble), and a body. An audit reads preambles and nothing else; a rotation
//! writes another header before the same body, which is copied as it is, within the store where that
//! can be done ([`Exchange`]).
//!
//! # Security
//! **To remove a recipient is no revocation.** Whoever could open an object may have kept its data key,
//! and old versions in a versioned bucket, backups and copies still open with the removed key. To revoke,
//! seal anew. And what an audit says of a header is **not authenticated** unless it was told to verify:
//! whoever can write to the store can write any header.
//!
//! ```
//! use std::sync::Arc;
//!
//! use bulla::{CryptoProvider, KeyName, Opener};
//! use bulla_object_store::maintain::{Audit, Outcome, Rotation, Summary};
//! use futures_util::TryStreamExt;
//! use object_store::ObjectStore;
//!
//! # async fn example(
//! #     store: Arc<dyn ObjectStore>,
//! #     old: KeyName,
//! #     new: Arc<dyn CryptoProvider>,
//! #     all: Vec<Arc<dyn CryptoProvider>>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let rows = Audit::builder(Arc::clone(&store)).prefix("invoices/2026".into()).build()?.rows();
//! let mut summary = Summary::default();
//! rows.try_for_each(|row| {
//!     summary.add(&row);
//!     std::future::ready(Ok(()))
//! })
//! .await?;
//! for ((key, version), tally) in &summary.keys {
//!     println!("{key} {version:?} opens {} objects, {} of them alone", tally.objects, tally.alone);
//! }
//!
//! let rotation = Rotation::builder(store, Opener::new(all)).from_key(&old).to(new).build()?;
//! let report = rotation
//!     .run(std::future::pending(), |path, outcome| {
//!         if let Outcome::Failed(failure) = outcome {
//!             eprintln!("{path}: {failure}");
//!         }
//!     })
//!     .await?;
//! assert!(report.is_complete());
//! # Ok(())
//! # }
//! ```

mod audit;
mod change;
mod checkpoint;
mod exchange;
mod failure;
mod head;
mod orphans;
mod pace;
mod plan;
mod report;
mod rotation;
mod run;
mod summary;

#[cfg(all(feature = "fs", target_os = "linux"))]
pub use self::exchange::LocalHead;
#[cfg(feature = "aws")]
pub use self::exchange::S3Head;
pub use self::{
    audit::{Audit, AuditBuilder, Recipient, Row, SealedRow},
    exchange::{AnyHead, Exchange, Replaced, Replacement},
    failure::{Failure, Reason, RunError},
    head::State,
    report::{Outcome, Report},
    rotation::{Rotation, RotationBuilder},
    summary::{KeyTally, Summary},
};
