//! The URL of a service that stands in for the provider's own.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::text::{echo, invalid};
use crate::error::Result;

/// The URL in canonical form: scheme and host in lower case, no slash at the end.
pub(super) fn parse(scheme: &str, url: &str) -> Result<String> {
    let fault = |what: String| invalid(scheme, format_args!("option \"endpoint\" {what}"));
    // These two quote nothing: a password or a signed query may be in there.
    if url.contains('@') {
        return Err(fault("holds a user name or password; it must not".to_owned()));
    }
    if url.contains(['?', '#']) {
        return Err(fault("has a query or fragment; it must not".to_owned()));
    }
    let bad = |what: &str| fault(format!("is {}, {what}", echo(url)));

    let (protocol, rest) = url.split_once("://").unwrap_or_default();
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "http" | "https") {
        return Err(bad("which does not begin with https:// or http://"));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let bracket = authority.starts_with('[').then(|| authority.split_once(']')).flatten();
    let (host, port) = match bracket {
        Some((host, "")) => (host, None),
        Some((host, tail)) => (host, Some(tail.strip_prefix(':').unwrap_or_default())),
        None => authority.split_once(':').map_or((authority, None), |(h, p)| (h, Some(p))),
    };
    let (host, is_loopback) =
        parse_host(host).ok_or_else(|| bad("whose host is no DNS name or IP address"))?;
    if protocol == "http" && !is_loopback {
        return Err(bad("which is plain http; https is needed for all but loopback addresses"));
    }
    if !port.is_none_or(is_port) {
        return Err(bad("whose port is not 1 to 65535"));
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    let is_segment = |s: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
        !matches!(s, "" | "." | "..") && s.bytes().all(allowed)
    };
    if !path.is_empty() && !path.split('/').all(is_segment) {
        return Err(bad("whose path has a segment that is not of [A-Za-z0-9._~-]"));
    }

    let mut canonical = format!("{protocol}://{host}");
    for (mark, part) in [(':', port.unwrap_or_default()), ('/', path)] {
        if !part.is_empty() {
            canonical.push(mark);
            canonical.push_str(part);
        }
    }
    Ok(canonical)
}

/// The host in canonical form, and whether it is this machine. An IPv6 address has its opening
/// bracket still.
fn parse_host(host: &str) -> Option<(String, bool)> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.parse().ok()?;
        return Some((format!("[{address}]"), address.is_loopback()));
    }
    let name = host.to_ascii_lowercase();
    let is_label = |s: &str| {
        (1..=63).contains(&s.len())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !s.starts_with('-')
            && !s.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return None;
    }
    // Resolvers read `127.1` and the like as addresses, each in its own way.
    if name.rsplit('.').next()?.bytes().all(|b| b.is_ascii_digit()) {
        let address: Ipv4Addr = name.parse().ok()?;
        return Some((name, address.is_loopback()));
    }
    let is_loopback = name == "localhost";
    Some((name, is_loopback))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
        && !text.starts_with('0')
        && text.parse::<u16>().is_ok()
}
