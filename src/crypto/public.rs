//! Public keys by their numbers, and the sizes that are accepted.

use super::SigningAlgorithm;
use crate::error::{Error, ErrorKind, Result};

/// Bits of an RSA modulus. Under 2,048 is too weak (NIST SP 800-131A); over 8,192 a signature takes
/// milliseconds to verify, and AWS-LC refuses it.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Bytes of a public exponent. More makes verification slow for nothing, and AWS-LC refuses more
/// than 33 bits.
const MAX_EXPONENT_LEN: usize = 4;

/// A NIST curve (FIPS 186-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// Bytes in a coordinate and in half a signature.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The `crv` of a JWK (RFC 7518, section 6.2.1.1).
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The one algorithm of the curve (RFC 7518, section 3.4).
    pub(crate) const fn algorithm(self) -> SigningAlgorithm {
        match self {
            Self::P256 => SigningAlgorithm::Es256,
            Self::P384 => SigningAlgorithm::Es384,
            Self::P521 => SigningAlgorithm::Es512,
        }
    }
}

/// A public key of acceptable size. Whether a point is on its curve, the backend finds out.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Public {
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// An uncompressed point (SEC 1, section 2.3.3): 4, x, y.
    Ec { curve: Curve, point: Vec<u8> },
    /// A point as RFC 8032 (section 5.1.2) encodes it.
    Ed25519([u8; 32]),
}

/// What an uncompressed point starts with.
const UNCOMPRESSED: u8 = 4;

impl Public {
    /// An RSA key from its numbers, without leading zeros.
    pub(crate) fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Self> {
        let (Some(first), Some(last)) = (n.first(), n.last()) else {
            return Err(invalid("an RSA key without a modulus"));
        };
        let unused = usize::try_from(first.leading_zeros()).unwrap_or(0);
        if unused == 8 {
            return Err(invalid("an RSA modulus with leading zeros (RFC 7518, section 6.3.1.1)"));
        }
        if !RSA_BITS.contains(&(8 * n.len()).saturating_sub(unused)) {
            return Err(unsupported("an RSA modulus of other than 2,048 to 8,192 bits"));
        }
        if last & 1 == 0 {
            return Err(invalid("an RSA modulus that is even"));
        }
        // FIPS 186-5, section 5.1: odd and over 2^16. What is below has made forging easy wherever
        // a padding was checked carelessly, and one and even exponents are no RSA at all. An odd
        // number of three bytes or more, without leading zeros, is 65,537 at least.
        let odd = e.last().is_some_and(|last| last & 1 == 1);
        let plain = e.first().is_some_and(|first| *first != 0);
        if !odd || !plain || !(3..=MAX_EXPONENT_LEN).contains(&e.len()) {
            return Err(unsupported("an RSA exponent that is even, below 65,537 or over 32 bits"));
        }
        Ok(Self::Rsa { n, e })
    }

    /// A key on a NIST curve from its coordinates, each of exactly the curve's length.
    pub(crate) fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self> {
        if x.len() != curve.len() || y.len() != curve.len() {
            let (name, len) = (curve.as_str(), curve.len());
            return Err(Error::invalid(format!("coordinates on {name} are {len} bytes each")));
        }
        Ok(Self::Ec { curve, point: [&[UNCOMPRESSED], x, y].concat() })
    }

    /// A key on a NIST curve from a point, uncompressed.
    pub(crate) fn ec_point(curve: Curve, point: &[u8]) -> Result<Self> {
        match point.split_first() {
            Some((&UNCOMPRESSED, rest)) if rest.len() == 2 * curve.len() => {
                Ok(Self::Ec { curve, point: point.to_vec() })
            }
            _ => Err(invalid("a point that is not uncompressed, or not of the curve's length")),
        }
    }

    /// An Ed25519 key.
    pub(crate) fn ed25519(point: &[u8]) -> Result<Self> {
        let point: [u8; 32] =
            point.try_into().map_err(|_| invalid("an Ed25519 key of other than 32 bytes"))?;
        if has_small_order(&point) {
            return Err(invalid("an Ed25519 point of small order, under which all can sign"));
        }
        Ok(Self::Ed25519(point))
    }

    /// The coordinates of a point on a NIST curve.
    pub(crate) fn coordinates(&self) -> Option<(&[u8], &[u8])> {
        match self {
            Self::Ec { curve, point } => point.get(1..)?.split_at_checked(curve.len()),
            _ => None,
        }
    }

    /// Whether `algorithm` is one of this kind of key.
    pub(crate) fn signs_with(&self, algorithm: SigningAlgorithm) -> bool {
        use SigningAlgorithm::*;
        match self {
            Self::Rsa { .. } => {
                matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512)
            }
            Self::Ec { .. } | Self::Ed25519(_) => self.only_algorithm() == Some(algorithm),
        }
    }

    /// The algorithm, if the kind of key has but one; RSA has six.
    pub(crate) fn only_algorithm(&self) -> Option<SigningAlgorithm> {
        match self {
            Self::Rsa { .. } => None,
            Self::Ec { curve, .. } => Some(curve.algorithm()),
            Self::Ed25519(_) => Some(SigningAlgorithm::Ed25519),
        }
    }

    /// Bytes in every signature of this key.
    pub(crate) fn signature_len(&self) -> usize {
        match self {
            Self::Rsa { n, .. } => n.len(),
            Self::Ec { curve, .. } => 2 * curve.len(),
            Self::Ed25519(_) => 64,
        }
    }
}

/// The y coordinates, little-endian, of the points whose order divides eight, and the second
/// spelling of those below 19 (RFC 8032, section 5.1.3, leaves them to the verifier). The sign bit
/// is apart.
fn has_small_order(point: &[u8; 32]) -> bool {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let [first, middle @ .., last] = point;
    let last = last & 0x7f;
    let zero_or_one = *first <= 1 && middle.iter().all(|b| *b == 0) && last == 0;
    // p - 1, p and p + 1, where p ends in 0xed.
    let around_p =
        (0xec..=0xee).contains(first) && middle.iter().all(|b| *b == 0xff) && last == 0x7f;
    let order_8 = ORDER_8.iter().any(|y| {
        let [head @ .., _] = y;
        point.starts_with(head) && y.last() == Some(&last)
    });
    zero_or_one || around_p || order_8
}

fn invalid(what: &'static str) -> Error {
    Error::invalid(what)
}

fn unsupported(what: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}
