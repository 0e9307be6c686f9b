//! Which networks keys may come from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which networks keys may be fetched from. It judges the addresses that are connected to, and not
/// what they are called: names, and numbers in whatever spelling.
///
/// This host (loopback) is asked only if the address that was configured says so itself, as
/// `localhost` or as a loopback address in numbers. What is neither this host, nor a private network
/// (RFC 1918, RFC 4193, RFC 6598), nor the Internet is never asked: link-local addresses, behind which
/// clouds keep credentials, unspecified and multicast ones, and those that are reserved. IPv6
/// addresses that stand for an IPv4 address are judged as that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressPolicy {
    /// The address that was configured may be on a private network, where many companies have their
    /// issuer; and the metadata of an issuer may lead to the network that they came from, or out of
    /// it: from a private network to the Internet, and not the other way round.
    ///
    /// The default: whoever configured a private address wants it, and no issuer elsewhere can make
    /// this host ask its neighbours.
    #[default]
    AsConfigured,
    /// The Internet alone, not even this host: for services whose issuers are configured by their
    /// customers.
    PublicOnly,
    /// The metadata of an issuer on the Internet may lead to private networks as well.
    PrivateToo,
}

/// What kind of network an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Internet,
    Private,
    ThisHost,
    /// Neither of them.
    None,
}

/// Who says that an address is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The owner, who may have named this host.
    Owner { this_host: bool },
    /// Metadata that came from there.
    Metadata(Network),
}

impl AddressPolicy {
    pub(crate) fn admits(self, word: Word, network: Network) -> bool {
        match network {
            Network::Internet => true,
            Network::Private => match self {
                Self::PublicOnly => false,
                Self::PrivateToo => true,
                Self::AsConfigured => word != Word::Metadata(Network::Internet),
            },
            Network::ThisHost => {
                let named = word == Word::Owner { this_host: true };
                self != Self::PublicOnly && (named || word == Word::Metadata(Network::ThisHost))
            }
            Network::None => false,
        }
    }
}

impl Network {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    /// By the registry of RFC 6890.
    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [127, ..] => Self::ThisHost,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Self::Private,
            // Shared by a provider's customers (RFC 6598); some clouds number their own hosts so.
            [100, 64..=127, ..] => Self::Private,
            // "This network", link-local, protocols, documentation, benchmarks, 6to4 relays.
            [0, ..] | [169, 254, ..] | [192, 0, 0 | 2, _] | [198, 18..=19, ..] => Self::None,
            [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] => Self::None,
            // Multicast, reserved, broadcast.
            [224..=255, ..] => Self::None,
            _ => Self::Internet,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let of_pair = |high: u16, low: u16| {
            Self::of_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        };
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::ThisHost,
            [0, 0, 0, 0, 0, 0, 0, 0] => Self::None,
            // Compatible (RFC 4291, 2.5.5.1), mapped (2.5.5.2), translated (RFC 2765), NAT64 (RFC
            // 6052) and 6to4 (RFC 3056).
            [0, 0, 0, 0, 0, 0 | 0xffff, a, b] | [0, 0, 0, 0, 0xffff, 0, a, b] => of_pair(a, b),
            [0x64, 0xff9b, 0, 0, 0, 0, a, b] | [0x2002, a, b, ..] => of_pair(a, b),
            // Unique local (RFC 4193), and site-local as they were called before.
            [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Self::Private,
            // Protocols and Teredo, documentation.
            [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Self::None,
            [0x2000..=0x3fff, ..] => Self::Internet,
            // Link-local, multicast, NAT64 of local use, and all that was never given out.
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_network() {
        for (network, addresses) in [
            (
                Network::ThisHost,
                &[
                    "127.0.0.1",
                    "127.255.255.254",
                    "::1",
                    "::ffff:127.0.0.1",
                    "::127.0.0.1",
                    "::ffff:0:127.0.0.1",
                    "64:ff9b::127.0.0.1",
                    "2002:7f00:1::",
                ][..],
            ),
            (
                Network::Private,
                &[
                    "10.0.0.1",
                    "10.255.255.255",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.0.1",
                    "100.64.0.1",
                    "100.127.255.255",
                    "fc00::1",
                    "fd12:3456::1",
                    "fec0::1",
                    "::ffff:10.0.0.1",
                    "::10.0.0.1",
                    "64:ff9b::192.168.1.1",
                    "2002:a00:1::1",
                ],
            ),
            (
                Network::None,
                &[
                    "0.0.0.0",
                    "0.1.2.3",
                    "169.254.169.254",
                    "192.0.0.1",
                    "192.0.2.1",
                    "192.88.99.1",
                    "198.18.0.1",
                    "198.51.100.1",
                    "203.0.113.1",
                    "224.0.0.1",
                    "240.0.0.1",
                    "255.255.255.255",
                    "::",
                    "fe80::1",
                    "febf::1",
                    "ff02::1",
                    "100::1",
                    "64:ff9b:1::1",
                    "2001::1",
                    "2001:20::1",
                    "2001:db8::1",
                    "3fff::1",
                    "4000::1",
                    "::ffff:169.254.169.254",
                    "::ffff:0.0.0.0",
                    "64:ff9b::169.254.169.254",
                    "2002:a9fe:a9fe::",
                ],
            ),
            (
                Network::Internet,
                &[
                    "1.1.1.1",
                    "9.255.255.255",
                    "11.0.0.1",
                    "100.63.255.255",
                    "100.128.0.1",
                    "128.0.0.1",
                    "172.15.255.255",
                    "172.32.0.1",
                    "192.167.255.255",
                    "192.0.1.1",
                    "223.255.255.255",
                    "2001:200::1",
                    "2606:4700::1111",
                    "2a00::1",
                    "::ffff:1.1.1.1",
                    "64:ff9b::1.1.1.1",
                ],
            ),
        ] {
            for address in addresses {
                assert_eq!(Network::of(address.parse().unwrap()), network, "{address}");
            }
        }
    }

    #[test]
    fn who_may_lead_where() {
        use AddressPolicy::*;
        use Network::*;
        let owner = |this_host| Word::Owner { this_host };
        // Internet, private, this host, none.
        for (policy, word, admitted) in [
            (AsConfigured, owner(false), [true, true, false, false]),
            (AsConfigured, owner(true), [true, true, true, false]),
            (AsConfigured, Word::Metadata(Internet), [true, false, false, false]),
            (AsConfigured, Word::Metadata(Private), [true, true, false, false]),
            (AsConfigured, Word::Metadata(ThisHost), [true, true, true, false]),
            (PrivateToo, owner(false), [true, true, false, false]),
            (PrivateToo, owner(true), [true, true, true, false]),
            (PrivateToo, Word::Metadata(Internet), [true, true, false, false]),
            (PrivateToo, Word::Metadata(ThisHost), [true, true, true, false]),
            (PublicOnly, owner(false), [true, false, false, false]),
            (PublicOnly, owner(true), [true, false, false, false]),
            (PublicOnly, Word::Metadata(ThisHost), [true, false, false, false]),
        ] {
            let judged = [Internet, Private, ThisHost, None].map(|it| policy.admits(word, it));
            assert_eq!(judged, admitted, "{policy:?} {word:?}");
        }
    }
}
