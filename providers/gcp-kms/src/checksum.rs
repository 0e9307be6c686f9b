//! Checksums by which KMS and its client tell each other what they sent and received, since TLS ends at
//! Google's edge: CRC32C (RFC 3720, appendix B.4).
//! See <https://cloud.google.com/kms/docs/data-integrity-guidelines>.

/// Of what is sent.
pub(crate) fn of(bytes: &[u8]) -> i64 {
    i64::from(crc32c::crc32c(bytes))
}

/// Whether what was received is what was sent. A checksum that is missing says no.
pub(crate) fn fits(bytes: &[u8], sent: Option<i64>) -> bool {
    sent == Some(of(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // RFC 3720, appendix B.4.
        assert_eq!(of(&[0; 32]), 0x8a91_36aa);
        assert_eq!(of(&[0xff; 32]), 0x62a8_ab43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(of(&ascending), 0x46dd_794e);
    }

    #[test]
    fn what_is_missing_or_another_does_not_fit() {
        assert!(fits(b"x", Some(of(b"x"))) && fits(b"", Some(0)));
        assert!(!fits(b"", None) && !fits(b"x", Some(of(b"y"))));
        // Not taken modulo 2^32.
        assert!(!fits(b"", Some(1 << 32)) && !fits(b"x", Some(-1)));
    }
}
