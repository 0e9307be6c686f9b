//! What the headers of an answer say about time (RFC 9111, sections 4.2 and 5; RFC 9110, section
//! 10.2.3).

use std::time::{Duration, SystemTime};

use http::{
    HeaderMap, HeaderValue,
    header::{AGE, CACHE_CONTROL, RETRY_AFTER},
};

/// For how long the answer may be kept: nothing if it does not say, zero if it says that it may not,
/// or says something that can't be understood.
///
/// `s-maxage` is for shared caches, which this is not.
pub(crate) fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get_all(CACHE_CONTROL).iter().flat_map(|value| {
        // What is not text counts as `no-store`.
        value.to_str().unwrap_or("no-store").split(',')
    });
    directives.filter_map(of_directive).min()
}

/// How long the answer has already been kept by others.
pub(crate) fn age(headers: &HeaderMap) -> Duration {
    headers.get(AGE).and_then(seconds).unwrap_or_default()
}

/// How long the server asks to wait, in seconds or until a date, by this machine's clock.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    retry_after_at(headers, SystemTime::now())
}

fn retry_after_at(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?;
    seconds(value).or_else(|| {
        let date = httpdate::parse_http_date(value.to_str().ok()?.trim()).ok()?;
        // A date that has passed asks for no wait.
        Some(date.duration_since(now).unwrap_or_default())
    })
}

fn of_directive(directive: &str) -> Option<Duration> {
    let (name, value) = match directive.split_once('=') {
        Some((name, value)) => (name.trim(), value.trim()),
        None => (directive.trim(), ""),
    };
    if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
        return Some(Duration::ZERO);
    }
    name.eq_ignore_ascii_case("max-age")
        .then(|| delta(value.trim_matches('"')).unwrap_or(Duration::ZERO))
}

fn seconds(value: &HeaderValue) -> Option<Duration> {
    delta(value.to_str().ok()?.trim())
}

/// Delta-seconds; more than fits is a very long time (RFC 9111, section 1.2.2).
fn delta(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn max_age_is_what_is_said_or_less() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (values, expected) in [
            (&[][..], None),
            (&["public, must-revalidate"], None),
            (&["s-maxage=60"], None),
            (&["x-max-age=60"], None),
            (&["max-age=60"], seconds(60)),
            (&["public, MAX-AGE=\"60\" , immutable"], seconds(60)),
            (&["max-age=60, max-age=30"], seconds(30)),
            (&["max-age=60", "max-age=30"], seconds(30)),
            (&["max-age=60, no-cache"], seconds(0)),
            (&["max-age=60", "No-Store"], seconds(0)),
            (&["no-cache=\"set-cookie\""], seconds(0)),
            (&["max-age"], seconds(0)),
            (&["max-age=-1"], seconds(0)),
            (&["max-age=1.5"], seconds(0)),
            (&["max-age=99999999999999999999999"], seconds(u64::from(u32::MAX))),
        ] {
            assert_eq!(max_age(&headers(values)), expected, "{values:?}");
        }
        let mut odd = HeaderMap::new();
        odd.append(CACHE_CONTROL, HeaderValue::from_bytes(b"max-age=60\xff").unwrap());
        assert_eq!(max_age(&odd), seconds(0));
    }

    #[test]
    fn waits_may_be_dates() {
        let at = |date: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(date));
            // Sat, 21 Nov 2026 10:00:00 GMT
            retry_after_at(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_255_200))
        };
        for (date, wait) in [
            ("Sat, 21 Nov 2026 10:00:30 GMT", Some(30)),
            ("Saturday, 21-Nov-26 10:01:00 GMT", Some(60)),
            ("Sat Nov 21 10:00:01 2026", Some(1)),
            ("Sat, 21 Nov 2026 09:00:00 GMT", Some(0)),
            ("Sat, 31 Feb 2026 10:00:00 GMT", None),
            ("tomorrow", None),
        ] {
            assert_eq!(at(date), wait.map(Duration::from_secs), "{date}");
        }
    }

    #[test]
    fn ages_and_waits_are_seconds() {
        let mut headers = HeaderMap::new();
        assert_eq!((age(&headers), retry_after(&headers)), (Duration::ZERO, None));
        headers.insert(AGE, HeaderValue::from_static("7"));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("9"));
        let (seven, nine) = (Duration::from_secs(7), Duration::from_secs(9));
        assert_eq!((age(&headers), retry_after(&headers)), (seven, Some(nine)));
        headers.insert(AGE, HeaderValue::from_static("x"));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("x"));
        assert_eq!((age(&headers), retry_after(&headers)), (Duration::ZERO, None));
    }
}
