//! What fuzz targets reach.

use super::Ring;

/// Reads the document of a ring; what is accepted is written, and read again as the same.
///
/// # Panics
/// If it is not.
pub fn document(text: &[u8]) {
    let Ok(ring) = Ring::from_text(text) else { return };
    // What spells out less than it means (escapes, no white space) can be too long when it is written.
    let Ok(written) = ring.to_text() else { return };
    let again = Ring::from_text(&written).expect("what was written can be read");
    assert_eq!(again.to_text().expect("and written again"), written);
}
