//! Where a value belongs.

use std::fmt;

use bulla::{EncryptionContext, Error, ErrorKind, Result};

/// Where a value belongs: a field of a database's row, or an entry of a cache. It is bound to the value and not
/// stored, so a value that was moved to another place does not open there.
///
/// ```
/// use bulla_pipeline::Place;
///
/// let field = Place::field("cards", "number", 4711);
/// let entry = Place::entry("session:af81");
/// ```
///
/// In the item context, the pairs are `value.table`, `value.column` and `value.row`, or `value.entry`; beside them is
/// the type's, `value.type`. All together are 4,096 bytes at most.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Place {
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Kind {
    Field { table: String, column: String, row: String },
    Entry { key: String },
}

impl Place {
    /// The field of a row, by what identifies the row for as long as it exists: its primary key.
    #[must_use]
    pub fn field(
        table: impl Into<String>,
        column: impl Into<String>,
        row: impl fmt::Display,
    ) -> Self {
        let (table, column, row) = (table.into(), column.into(), row.to_string());
        Self { kind: Kind::Field { table, column, row } }
    }

    /// The entry of a cache, by its key.
    #[must_use]
    pub fn entry(key: impl Into<String>) -> Self {
        Self { kind: Kind::Entry { key: key.into() } }
    }

    /// The item context of a value of this type, here.
    pub(super) fn item_context(&self, kind: &str) -> Result<EncryptionContext> {
        let pairs = match &self.kind {
            Kind::Field { table, column, row } => EncryptionContext::from_pairs([
                ("value.type", kind),
                ("value.table", table),
                ("value.column", column),
                ("value.row", row),
            ]),
            Kind::Entry { key } => {
                EncryptionContext::from_pairs([("value.type", kind), ("value.entry", key)])
            }
        };
        pairs.map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => Error::new(
                ErrorKind::InvalidInput,
                "the names of a place are too long: with the type's they are 4,096 bytes at most",
            ),
            _ => error,
        })
    }
}

/// Without the row's or entry's own name, which may be personal data.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Field { table, column, .. } => f
                .debug_struct("Field")
                .field("table", table)
                .field("column", column)
                .finish_non_exhaustive(),
            Kind::Entry { .. } => f.debug_struct("Entry").finish_non_exhaustive(),
        }
    }
}
