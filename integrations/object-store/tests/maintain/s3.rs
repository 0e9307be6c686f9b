//! Rotations of objects in S3, played by MiniStack and Moto.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use bulla_object_store::maintain::{RotationBuilder, S3Head};
use bulla_testworld::{Ministack, Moto, Python, Server, Watch};
use object_store::{
    Attribute, Attributes, ClientOptions, ObjectStore as _, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, TagSet, WriteMultipart,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

use crate::{
    keys::Provider,
    world::{World, open, run, seal},
};

/// More than is written in one piece.
const LARGE: usize = 20 << 20;

struct S3 {
    world: World,
    store: AmazonS3,
    watch: Arc<Watch>,
    server: Running,
    /// Whether conditions are heeded when an object is composed. Moto does not.
    composes: bool,
}

/// Done before a request is passed on, once.
type Step = Mutex<Option<(&'static str, Box<dyn FnOnce() + Send>)>>;

impl S3 {
    fn new(server: Running, step: &Arc<Step>) -> Self {
        let step = Arc::clone(step);
        let watch = Watch::start(server.as_ref().port(), move |line| {
            let due = |(words, _): &mut (&str, Box<dyn FnOnce() + Send>)| {
                words.split(' ').all(|word| line.contains(word))
            };
            let due = step.lock().unwrap().take_if(due);
            if let Some((_, act)) = due {
                act();
            }
        });
        let store = client(&watch.url());
        let world = World::over(Arc::new(store.clone()));
        let composes = matches!(server, Running::Ministack(_));
        Self { world, store, watch: Arc::new(watch), server, composes }
    }

    fn rotation(&self) -> RotationBuilder<Provider> {
        let options = ClientOptions::new().with_allow_http(true);
        let exchange = S3Head::new(self.store.clone(), "bucket", &options).unwrap();
        self.world.rotation().exchange(Arc::new(exchange))
    }

    /// What the server answers to a GET, past the proxy.
    fn get(&self, path: &str) -> String {
        let port = self.server.as_ref().port();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, \
             Signature=0\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn uploads(&self) -> usize {
        let answer = self.get("/bucket?uploads");
        assert!(answer.contains("ListMultipartUploadsResult"), "{answer}");
        answer.matches("<UploadId>").count()
    }

    async fn put_large(&self, path: &str, plaintext: &[u8]) {
        let sealed = seal(&[&self.world.old], plaintext).await;
        let attributes = Attributes::from_iter([(Attribute::ContentType, "video/mp4")]);
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let upload = self.store.put_multipart_opts(&Path::from(path), options).await.unwrap();
        let mut upload = WriteMultipart::new(upload);
        upload.write(&sealed);
        upload.finish().await.unwrap();
    }
}

enum Running {
    Ministack(Ministack),
    Moto(Moto),
}

impl AsRef<Server> for Running {
    fn as_ref(&self) -> &Server {
        match self {
            Self::Ministack(server) => server,
            Self::Moto(server) => server,
        }
    }
}

fn servers() -> Vec<Running> {
    static PYTHON: OnceLock<Option<Python>> = OnceLock::new();
    let Some(python) = PYTHON.get_or_init(Python::for_aws) else { return Vec::new() };
    let (ministack, moto) = (Ministack::s3(python), Moto::start(python));
    ministack.make_bucket("bucket");
    moto.make_bucket("bucket");
    vec![Running::Ministack(ministack), Running::Moto(moto)]
}

fn client(url: &str) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_bucket_name("bucket")
        .with_region("us-east-1")
        .with_endpoint(url)
        .with_allow_http(true)
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_objects_are_put_with_what_belongs_to_them() {
    for server in servers() {
        let s3 = S3::new(server, &Arc::default());
        let mut tags = TagSet::default();
        tags.push("team", "a = b");
        tags.push("empty", "");
        let attributes = Attributes::from_iter([
            (Attribute::ContentType, "image/png"),
            (Attribute::Metadata("owner".into()), "ada"),
            (Attribute::StorageClass, "STANDARD_IA"),
        ]);
        let options = PutOptions { tags, attributes, ..PutOptions::default() };
        let sealed = seal(&[&s3.world.old], b"text").await;
        s3.store.put_opts(&"a b/c+d".into(), sealed.into(), options).await.unwrap();
        s3.world.put("plain-tags", &s3.world.old, b"text").await;
        s3.watch.forget();
        let report = run(s3.rotation()).await;
        assert_eq!((report.rewrapped, report.failed), (2, 0), "{:?}", s3.watch.lines());
        // One is to see whether conditions are heeded, and writes nothing.
        assert_eq!(s3.watch.count("PUT /bucket/.bulla-probe-"), 1);
        assert_eq!(s3.watch.count("PUT /"), 3, "{:?}", s3.watch.lines());
        assert_eq!(s3.watch.count("POST /"), 0);
        let result = s3.store.get(&"a b/c+d".into()).await.unwrap();
        let attribute = |key| result.attributes.get(&key).map(|value| value.to_string());
        assert_eq!(attribute(Attribute::ContentType).as_deref(), Some("image/png"));
        assert_eq!(attribute(Attribute::Metadata("owner".into())).as_deref(), Some("ada"));
        let sealed = result.bytes().await.unwrap();
        assert_eq!(open(&s3.world.new, &sealed).await.unwrap(), b"text");
        let tags = s3.get("/bucket/a%20b/c%2Bd?tagging");
        assert!(tags.contains("<Value>a = b</Value>") && tags.contains("empty"), "{tags}");
        let listed = s3.get("/bucket?list-type=2");
        assert!(listed.contains("STANDARD_IA"), "{listed}");
        assert_eq!(run(s3.rotation()).await.current, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_large_objects_are_copied_within_the_store() {
    for server in servers() {
        let s3 = S3::new(server, &Arc::default());
        let plaintext = crate::world::noise(LARGE);
        s3.put_large("dir/large", &plaintext).await;
        let before = s3.world.read("dir/large").await;
        s3.watch.forget();
        let report = run(s3.rotation()).await;
        let lines = s3.watch.lines();
        let counts = ["POST /bucket/dir/large?", "PUT /bucket/dir/large?", "PUT /bucket/dir/large"]
            .map(|beginning| s3.watch.count(beginning));
        if s3.composes {
            // Begun, first part, the rest, complete.
            assert_eq!((report.rewrapped, report.through), (1, 5 << 20));
            assert_eq!(counts, [2, 2, 2], "{lines:?}");
        } else {
            // Found out before anything is replaced, and put under a condition.
            assert_eq!((report.rewrapped, report.through), (1, before.len() as u64));
            assert_eq!(counts, [0, 0, 1], "{lines:?}");
        }
        let result = s3.store.get(&"dir/large".into()).await.unwrap();
        let content_type = result.attributes.get(&Attribute::ContentType).unwrap();
        assert_eq!(content_type.to_string(), "video/mp4");
        let after = result.bytes().await.unwrap();
        assert!(after[1024..] == before[1024..] && after[..1024] != before[..1024]);
        assert!(open(&s3.world.new, &after).await.unwrap() == plaintext);
        assert!(open(&s3.world.old, &after).await.is_err());
        assert_eq!(s3.uploads(), 0);
        assert_eq!(run(s3.rotation()).await.current, 1);
    }
}

/// Somebody writes the object right before a request that goes by what it was.
#[tokio::test(flavor = "multi_thread")]
async fn who_writes_meanwhile_is_not_overwritten() {
    for (name, words) in [
        ("small", "PUT /bucket/small"),
        // The part that is copied, and the end.
        ("large", "PUT /bucket/large? partNumber=2"),
        ("large", "POST /bucket/large? uploadId="),
    ] {
        for server in servers() {
            let step = Arc::<Step>::default();
            let s3 = S3::new(server, &step);
            let direct = client(&s3.server.as_ref().url());
            s3.world.put("small", &s3.world.old, b"text").await;
            let plaintext = crate::world::noise(LARGE);
            s3.put_large("large", &plaintext).await;
            let theirs = seal(&[&s3.world.old], b"theirs").await;
            let runtime = tokio::runtime::Handle::current();
            let write = move || {
                let path = Path::from(name);
                runtime.block_on(direct.put(&path, theirs.into())).unwrap();
            };
            // What does not compose puts.
            let words = if s3.composes || name == "small" { words } else { "PUT /bucket/large" };
            *step.lock().unwrap() = Some((words, Box::new(write)));
            let report = run(s3.rotation()).await;
            assert!(step.lock().unwrap().is_none(), "{words} did not come");
            assert!(report.is_complete(), "{words}: {report:?}");
            let sealed = s3.world.read(name).await;
            assert_eq!(open(&s3.world.new, &sealed).await.unwrap(), b"theirs", "{words}");
            assert_eq!(s3.uploads(), 0, "{words}");
        }
    }
}

/// A run that is stopped, or dropped, leaves no upload behind, and the object as it was.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_nobody_goes_on_with_is_aborted() {
    for server in servers().into_iter().take(1) {
        let step = Arc::<Step>::default();
        let s3 = S3::new(server, &step);
        assert!(s3.composes);
        let plaintext = crate::world::noise(LARGE);
        s3.put_large("large", &plaintext).await;
        let before = s3.world.read("large").await;
        let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
        // Long enough that it is dropped before it goes on.
        let hang = move || {
            begun.send(()).unwrap();
            std::thread::sleep(Duration::from_secs(2));
        };
        *step.lock().unwrap() = Some(("PUT /bucket/large? partNumber=2", Box::new(hang)));
        let rotation = s3.rotation().build().unwrap();
        tokio::select! {
            _ = rotation.run(std::future::pending(), |_, _| {}) => panic!("it ended"),
            _ = begins.recv() => {}
        }
        let started = std::time::Instant::now();
        while s3.uploads() > 0 {
            assert!(started.elapsed() < Duration::from_secs(20), "it is not aborted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(s3.watch.count("DELETE /bucket/large?uploadId="), 1);
        assert!(s3.world.read("large").await == before);
        assert_eq!(run(s3.rotation()).await.rewrapped, 1);
        assert!(open(&s3.world.new, &s3.world.read("large").await).await.unwrap() == plaintext);
    }
}
