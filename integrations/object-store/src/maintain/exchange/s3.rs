//! S3: the body is copied within the store, by ranges, and the result takes the object's place on condition
//! of its ETag.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderName, Method, header};
use object_store::{
    Attribute, Attributes, ClientOptions, MultipartId, ObjectStore as _, ObjectStoreExt as _,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, TagSet, UpdateVersion,
    aws::AmazonS3,
    client::{HttpConnector as _, ReqwestConnector},
    multipart::MultipartStore as _,
    path::Path,
};
use tokio::sync::{OnceCell, Semaphore};

use super::{
    Exchange, Replaced, Replacement,
    any::{body, part, room},
    s3_http::{Answer, S3Http, escape, text_between},
};
use crate::maintain::{Failure, State, orphans::Orphans};

/// What every part but the last must have at least: 5 MiB.
const LEAST_PART: u64 = 5 << 20;

/// From here on an object is composed: 16 MiB. To read and write less takes fewer requests.
const COMPOSE_FROM: u64 = 16 << 20;

/// What is still read and written where nothing can be composed: 64 MiB.
const MOST_WHOLE: u64 = 64 << 20;

/// How much is copied by one request: 512 MiB, of which 10,000 are as much as an object may have.
const COPY: u64 = 512 << 20;

/// How many ranges of one object are copied at a time.
const COPIES: usize = 4;

/// What is held in memory at a time, at most: 256 MiB.
const BUDGET: usize = (256 << 20) / 4096;

/// Exchanges heads in S3 and in what is like it.
///
/// Of an object of 16 MiB and more, only the first 5 MiB pass through this process: they are written with
/// the new head as the first part of an upload, whose other parts are copied within S3 (`UploadPartCopy`).
/// Smaller objects are read and written. Either way the new object takes the old one's place only if that
/// has the ETag that was read (`If-Match`). Whether the service heeds that is tried first, once, on an object
/// `.bulla-probe-…` that nobody has: AWS does, and not all that is like it does. Where it does not when objects
/// are composed, those of up to 64 MiB are read and written, and larger ones are left
/// ([`TooLarge`](Failure::TooLarge)); where it never does, nothing is replaced
/// ([`Unconditional`](Failure::Unconditional)).
///
/// Content headers, user-defined metadata, storage class and tags are kept. Access control lists, settings
/// of Object Lock (a bucket's own apply), redirects, `Expires` and the kind of server-side encryption are
/// not: what the bucket and the store's options say applies.
///
/// Beside what reading and writing takes, this needs `s3:AbortMultipartUpload` and, for objects that have
/// tags, `s3:GetObjectTagging` and `s3:PutObjectTagging`.
#[derive(Clone)]
pub struct S3Head(Arc<Inner>);

struct Inner {
    store: AmazonS3,
    bucket: String,
    http: S3Http,
    memory: Semaphore,
    orphans: Orphans,
    /// Whether conditions are heeded: of what is put, and of what is composed.
    heeds_put: OnceCell<bool>,
    heeds_composed: OnceCell<bool>,
}

/// An ETag that no object has.
const WRONG: &str = "\"00000000000000000000000000000000\"";

/// What S3 tells of an object and `object_store` does not.
struct Beside {
    storage_class: Option<String>,
    tags: TagSet,
}

impl S3Head {
    /// Exchanges heads in this bucket, whose name is the one that the store was built with. `options` are
    /// those of the store: requests that `object_store` does not have are made by a client of their own.
    ///
    /// # Errors
    /// The options are not good for a client.
    pub fn new(
        store: AmazonS3,
        bucket: impl Into<String>,
        options: &ClientOptions,
    ) -> object_store::Result<Self> {
        let client = ReqwestConnector::default().connect(options)?;
        let http = S3Http::new(store.clone(), client);
        let memory = Semaphore::new(BUDGET);
        let bucket = bucket.into();
        let orphans = Orphans::default();
        let (heeds_put, heeds_composed) = (OnceCell::new(), OnceCell::new());
        Ok(Self(Arc::new(Inner {
            store,
            bucket,
            http,
            memory,
            orphans,
            heeds_put,
            heeds_composed,
        })))
    }
}

impl Inner {
    /// Storage class and tags.
    async fn beside(&self, replacement: &Replacement) -> Result<Beside, Failure> {
        let location = replacement.location();
        let head = self.http.send(Method::HEAD, location, &[], &[], Bytes::new()).await?;
        let head = head.expect_success()?;
        let storage_class = head.header("x-amz-storage-class").map(str::to_owned);
        let tags = match head.header("x-amz-tagging-count") {
            None | Some("0") => TagSet::default(),
            Some(_) => {
                let query = [("tagging", "")];
                let answer = self.http.send(Method::GET, location, &query, &[], Bytes::new());
                tags(&answer.await?.expect_success()?.body)?
            }
        };
        Ok(Beside { storage_class, tags })
    }

    async fn whole(&self, replacement: &Replacement, beside: Beside) -> Result<Replaced, Failure> {
        if !*self.heeds_put.get_or_try_init(|| self.probe_put()).await? {
            return Err(Failure::Unconditional);
        }
        let _room = room(&self.memory, replacement.old.size).await?;
        let body = body(&self.store, replacement).await?;
        let payload = PutPayload::from_iter([replacement.new_head.clone(), body]);
        let (e_tag, version) = (replacement.old.e_tag.clone(), replacement.old.version.clone());
        let options = PutOptions {
            mode: PutMode::Update(UpdateVersion { e_tag, version }),
            attributes: beside.attributes(replacement),
            tags: beside.tags,
            ..PutOptions::default()
        };
        match self.store.put_opts(replacement.location(), payload, options).await {
            Ok(done) => Ok(Replaced::new(done.e_tag, replacement.old.size)),
            Err(object_store::Error::NotImplemented { .. }) => Err(Failure::Unconditional),
            Err(error) => Err(error.into()),
        }
    }

    async fn composed(
        self: &Arc<Self>,
        replacement: &Replacement,
        beside: Beside,
    ) -> Result<Replaced, Failure> {
        let Some(e_tag) = replacement.old.e_tag.clone() else {
            return Err(Failure::Unconditional);
        };
        let location = replacement.location();
        let options = PutMultipartOptions {
            attributes: beside.attributes(replacement),
            tags: beside.tags,
            ..PutMultipartOptions::default()
        };
        let id = self.store.create_multipart_opts(location, options).await?;
        let guard = {
            let (inner, location, id) = (Arc::clone(self), location.clone(), id.clone());
            self.orphans.guard(async move {
                let _ = inner.store.abort_multipart(&location, &id).await;
            })
        };
        let first_end = replacement.old_head.len() as u64 + LEAST_PART;
        let first = {
            let _room = room(&self.memory, 2 * LEAST_PART).await?;
            let start = replacement.old_head.len() as u64;
            let body = part(&self.store, replacement, start, first_end).await?;
            let payload = PutPayload::from_iter([replacement.new_head.clone(), body]);
            self.store.put_part(location, &id, 0, payload).await?.content_id
        };
        let starts = (first_end..replacement.old.size).step_by(step());
        let copies = stream::iter((2_u32..).zip(starts)).map(|(number, start)| {
            let end = start.saturating_add(COPY).min(replacement.old.size);
            self.copy(location, replacement, &e_tag, &id, number, start..end)
        });
        let copied: Vec<String> = copies.buffered(COPIES).try_collect().await?;
        let parts = std::iter::once(escape(&first)).chain(copied);
        let done = self.complete(location, &e_tag, &id, parts).await?;
        guard.release();
        Ok(Replaced::new(done, LEAST_PART))
    }

    /// Whether an object is put though its condition does not hold.
    async fn probe_put(&self) -> Result<bool, Failure> {
        let place = probe();
        let version = UpdateVersion { e_tag: Some(WRONG.to_owned()), version: None };
        match self.store.put_opts(&place, PutPayload::new(), PutMode::Update(version).into()).await
        {
            Ok(_) => {
                self.store.delete(&place).await?;
                Ok(false)
            }
            Err(object_store::Error::Precondition { .. }) => Ok(true),
            Err(object_store::Error::NotImplemented { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a range is copied, or an upload completed, though its condition does not hold.
    async fn probe_composed(self: &Arc<Self>, replacement: &Replacement) -> Result<bool, Failure> {
        let place = probe();
        let id = self.store.create_multipart(&place).await?;
        let guard = {
            let (inner, place, id) = (Arc::clone(self), place.clone(), id.clone());
            self.orphans.guard(async move {
                let _ = inner.store.abort_multipart(&place, &id).await;
            })
        };
        let copied = self.copy(&place, replacement, WRONG, &id, 1, 0..1).await;
        let heeds_copy = match copied {
            Ok(_) => false,
            Err(Failure::Changed) => true,
            Err(failure) => return Err(failure),
        };
        let part = self.store.put_part(&place, &id, 0, PutPayload::from_static(b"probe")).await?;
        let parts = std::iter::once(escape(&part.content_id));
        match self.complete(&place, WRONG, &id, parts).await {
            Ok(_) => {
                guard.release();
                self.store.delete(&place).await?;
                Ok(false)
            }
            // There is no such object, which is what the condition was about.
            Err(Failure::Changed | Failure::State(State::Gone, _)) => Ok(heeds_copy),
            Err(failure) => Err(failure),
        }
    }

    /// Copies a range into a part, and returns the part's ETag as it stands in XML.
    async fn copy(
        &self,
        to: &Path,
        replacement: &Replacement,
        e_tag: &str,
        id: &MultipartId,
        number: u32,
        range: std::ops::Range<u64>,
    ) -> Result<String, Failure> {
        let source = format!("{}/{}", self.bucket, encode(replacement.location().as_ref()));
        let number = number.to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", id)];
        let range = format!("bytes={}-{}", range.start, range.end - 1);
        let headers = [
            (HeaderName::from_static("x-amz-copy-source"), source.as_str()),
            (HeaderName::from_static("x-amz-copy-source-range"), range.as_str()),
            (HeaderName::from_static("x-amz-copy-source-if-match"), e_tag),
        ];
        let answer = self.http.send(Method::PUT, to, &query, &headers, Bytes::new()).await?;
        let body = answer.expect_success()?.body;
        match text_between(&body, "<ETag>", "</ETag>") {
            Some(e_tag) => Ok(e_tag.to_owned()),
            None => Err(Answer::unexpected("the answer to UploadPartCopy has no ETag")),
        }
    }

    async fn complete(
        &self,
        location: &Path,
        e_tag: &str,
        id: &MultipartId,
        parts: impl Iterator<Item = String> + Send,
    ) -> Result<Option<String>, Failure> {
        let mut list = String::from("<CompleteMultipartUpload>");
        for (number, e_tag) in (1_u32..).zip(parts) {
            list.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{e_tag}</ETag></Part>"
            ));
        }
        list.push_str("</CompleteMultipartUpload>");
        let headers = [(header::IF_MATCH, e_tag)];
        let query = [("uploadId", id.as_str())];
        let answer = self.http.send(Method::POST, location, &query, &headers, list.into()).await?;
        let body = answer.expect_success()?.body;
        Ok(text_between(&body, "<ETag>", "</ETag>").map(|e_tag| e_tag.replace("&quot;", "\"")))
    }
}

#[async_trait]
impl Exchange for S3Head {
    async fn exchange(&self, replacement: &Replacement) -> Result<Replaced, Failure> {
        let beside = self.0.beside(replacement).await?;
        let size = replacement.old.size;
        if size < COMPOSE_FROM {
            return self.0.whole(replacement, beside).await;
        }
        let heeds = self.0.heeds_composed.get_or_try_init(|| self.0.probe_composed(replacement));
        match *heeds.await? {
            true => self.0.composed(replacement, beside).await,
            false if size <= MOST_WHOLE => self.0.whole(replacement, beside).await,
            false => Err(Failure::TooLarge { size, most: MOST_WHOLE }),
        }
    }

    async fn settle(&self) {
        self.0.orphans.settle().await;
    }
}

impl Beside {
    fn attributes(&self, replacement: &Replacement) -> Attributes {
        let mut attributes = replacement.attributes.clone();
        if let Some(class) = &self.storage_class {
            attributes.insert(Attribute::StorageClass, class.clone().into());
        }
        attributes
    }
}

/// An object that nobody has.
fn probe() -> Path {
    let seed = std::hash::RandomState::new();
    Path::from(format!(".bulla-probe-{:016x}", std::hash::BuildHasher::hash_one(&seed, 0)))
}

fn step() -> usize {
    usize::try_from(COPY).unwrap_or(usize::MAX)
}

/// The tags of an object: `<Tag><Key>…</Key><Value>…</Value></Tag>`, ten at most.
fn tags(xml: &str) -> Result<TagSet, Failure> {
    let mut tags = TagSet::default();
    for tag in xml.split("<Tag>").skip(1) {
        let empty = ["<Value/>", "<Value />"].iter().any(|value| tag.contains(value));
        let value = text_between(tag, "<Value>", "</Value>").or(empty.then_some(""));
        let (Some(key), Some(value)) = (text_between(tag, "<Key>", "</Key>"), value) else {
            return Err(Answer::unexpected("the answer to GetObjectTagging is not understood"));
        };
        tags.push(&unescape(key)?, &unescape(value)?);
    }
    Ok(tags)
}

/// The five entities of XML. Tags have no character that needs another.
fn unescape(text: &str) -> Result<String, Failure> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        let entities = [
            ("amp;", '&'),
            ("lt;", '<'),
            ("gt;", '>'),
            ("quot;", '"'),
            ("apos;", '\''),
            ("#34;", '"'),
            ("#39;", '\''),
        ];
        let found = entities.iter().find_map(|(name, c)| Some((behind.strip_prefix(name)?, c)));
        let Some((behind, c)) = found else {
            return Err(Answer::unexpected("a tag has an entity that is not known"));
        };
        out.push(*c);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

/// As the path of a URL: all but RFC 3986's unreserved characters and slashes.
fn encode(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

impl fmt::Debug for S3Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Head").field("bucket", &self.0.bucket).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_and_tags_are_read() {
        assert_eq!(encode("a/b c+d\u{e9}%.x"), "a/b%20c%2Bd%C3%A9%25.x");
        let xml = "<Tagging><TagSet><Tag><Key>a</Key><Value>1 &amp; 2</Value></Tag>\
                   <Tag><Key>b</Key><Value></Value></Tag></TagSet></Tagging>";
        let mut expected = TagSet::default();
        expected.push("a", "1 & 2");
        expected.push("b", "");
        assert_eq!(tags(xml).unwrap().encoded(), expected.encoded());
        assert!(tags("<Tag><Key>a</Key></Tag>").is_err());
        assert!(tags("<Tag><Key>&x;</Key><Value/></Tag>").is_err());
    }
}
