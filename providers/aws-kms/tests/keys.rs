//! Which keys are bound, under which names, in which states. On MiniStack, which is honest about
//! these.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_sdk_kms::{Client, types::KeySpec};
use bulla::{
    CryptoProvider, CryptoProviderExt, DataKeys, ErrorKind, KeyName, KeyUri, Sealer, Sign,
    SigningAlgorithm, SigningInput,
    key::KeyState,
    registry::Connect,
    resilience::{Failover, Policy, Resilient},
};
use bulla_aws_kms::AwsKms;
use bulla_testworld::{Counter, Ministack, Python};
use world::{OTHER_REGION, REGION, builder, client, context};

struct World {
    server: Ministack,
    url: String,
}

impl World {
    fn new() -> Option<Self> {
        let server = Ministack::start(&Python::for_aws()?, false);
        let url = server.url();
        Some(Self { server, url })
    }
}

#[tokio::test]
async fn alias_id_and_arn_are_one_key() {
    let Some(world) = World::new() else { return };
    let url = &world.url;
    let arn = world::symmetric(url).await;
    let admin = client(url, REGION);
    let alias = "alias/orders";
    admin.create_alias().alias_name(alias).target_key_id(&arn).send().await.unwrap();
    let id = arn.rsplit('/').next().unwrap();
    let alias_arn = arn.replace(&format!("key/{id}"), alias);
    let name = KeyName::new("awskms", arn.as_str()).unwrap();
    let mut sealed = Vec::new();
    let spellings = [id, arn.as_str(), alias, alias_arn.as_str()];
    for spelling in spellings {
        let provider = builder(url).sealing_key(spelling).build().await.unwrap();
        assert_eq!(provider.sealing_key(), Some(&name), "{spelling}");
        let (_, wrapped) = provider.generate_data_key(&context(&[])).await.unwrap();
        assert_eq!((&wrapped.key, &wrapped.version), (&name, &None));
        sealed.push((provider, wrapped));
    }
    for (provider, _) in &sealed {
        for (_, wrapped) in &sealed {
            assert!(provider.is_current(wrapped));
            provider.unwrap_data_key(wrapped, &context(&[])).await.unwrap();
        }
    }
    // Bound under every spelling at once, it is one key still.
    let builder = spellings.iter().fold(builder(url), |builder, key| builder.also_open(*key));
    let provider = builder.sealing_key(id).build().await.unwrap();
    let described = provider.describe_keys().await;
    assert_eq!(described.len(), 1);
    assert_eq!(described[0].1.as_ref().unwrap().kind, "SYMMETRIC_DEFAULT");
    let twice = Sealer::builder().recipient(&sealed[0].0).recipient(&sealed[2].0).build();
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::InvalidInput);

    // The alias is looked at once. Pointed elsewhere, it changes nothing here.
    let other = world::symmetric(url).await;
    admin.update_alias().alias_name(alias).target_key_id(&other).send().await.unwrap();
    let (_, wrapped) = sealed[2].0.generate_data_key(&context(&[])).await.unwrap();
    assert_eq!(wrapped.key, name);
}

#[tokio::test]
async fn a_key_uri_opens() {
    let Some(world) = World::new() else { return };
    let arn = world::symmetric(&world.url).await;
    let KeyUri::AwsKms(uri) = format!("awskms:///{arn}?endpoint={}", world.url).parse().unwrap()
    else {
        panic!("it is a key of AWS KMS");
    };
    let config = world::config("http://127.0.0.1:1", "eu-north-1", "test", "test");
    let provider = AwsKms::builder().kms_config(config).uri(&uri).build().await.unwrap();
    assert_eq!(provider.sealing_key().unwrap().id(), arn);
    let pair = world::pair(&world.url, KeySpec::EccNistP256).await;
    let KeyUri::AwsKms(uri) = format!("awskms:///{pair}").parse().unwrap() else { return };
    let provider = builder(&world.url).uri(&uri).build().await.unwrap();
    assert_eq!(provider.capabilities().signing, [SigningAlgorithm::Es256]);
    let local: KeyUri = "local:x".parse().unwrap();
    let error = bulla_aws_kms::AwsKmsScheme.connect(&local, "x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn keys_that_can_not_be_used_are_refused_at_once() {
    let Some(world) = World::new() else { return };
    let url = &world.url;
    let admin = client(url, REGION);
    let refused = async |key: &str| {
        let error = builder(url).also_open(key).build().await.unwrap_err();
        assert!(error.request_id().is_some() || error.kind() != ErrorKind::NotFound, "{error}");
        error.kind()
    };
    assert_eq!(refused("alias/missing").await, ErrorKind::NotFound);
    assert_eq!(refused("1234abcd-12ab-34cd-56ef-1234567890ab").await, ErrorKind::NotFound);

    let key = world::symmetric(url).await;
    let provider = world::provider(url, &key).await;
    let (_, wrapped) = provider.generate_data_key(&context(&[])).await.unwrap();
    admin.disable_key().key_id(&key).send().await.unwrap();
    assert_eq!(refused(&key).await, ErrorKind::Disabled);
    // Of a provider that is built already, every call says so.
    let unwrapped = provider.unwrap_data_key(&wrapped, &context(&[])).await;
    assert_eq!(unwrapped.unwrap_err().kind(), ErrorKind::Disabled);
    let generated = provider.generate_data_key(&context(&[])).await;
    assert_eq!(generated.unwrap_err().kind(), ErrorKind::Disabled);
    assert_eq!(provider.health().await.unwrap_err().kind(), ErrorKind::Disabled);
    let described = provider.describe_keys().await;
    assert_eq!(described[0].1.as_ref().unwrap().state, KeyState::Disabled);

    let schedule = admin.schedule_key_deletion().key_id(&key).pending_window_in_days(7);
    schedule.send().await.unwrap();
    assert_eq!(refused(&key).await, ErrorKind::PendingDeletion);
    let unwrapped = provider.unwrap_data_key(&wrapped, &context(&[])).await;
    assert_eq!(unwrapped.unwrap_err().kind(), ErrorKind::PendingDeletion);
    admin.cancel_key_deletion().key_id(&key).send().await.unwrap();
    admin.enable_key().key_id(&key).send().await.unwrap();
    provider.unwrap_data_key(&wrapped, &context(&[])).await.unwrap();

    let imported = admin.create_key().origin(aws_sdk_kms::types::OriginType::External);
    let imported = imported.send().await.unwrap().key_metadata.unwrap();
    assert_eq!(refused(imported.arn().unwrap()).await, ErrorKind::Disabled);
}

#[tokio::test]
async fn a_key_does_what_it_is_for() {
    let Some(world) = World::new() else { return };
    let url = &world.url;
    let (seals, signs) = (world::symmetric(url).await, world::pair(url, KeySpec::Rsa2048).await);
    let odd = world::pair(url, KeySpec::EccSecgP256K1).await;
    for (builder, hint) in [
        (builder(url).sealing_key(&signs), "signing_key"),
        (builder(url).signing_key(&seals), "sealing_key"),
        (builder(url).signing_key(&odd), "ECC_NIST_P*"),
        (builder(url).also_open(&odd), "ECC_NIST_P*"),
    ] {
        let error = builder.build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains(hint), "{error}");
    }
    let pinned = builder(url).signing_key(&signs).signing_algorithm(SigningAlgorithm::Es256);
    assert_eq!(pinned.build().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let signer = builder(url).signing_key(&signs).build().await.unwrap();
    let sealed = signer.seal(b"x", &bulla::Context::new()).await;
    assert!(sealed.is_err());
    assert_eq!(
        signer.generate_data_key(&context(&[])).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    let sealer = world::provider(url, &seals).await;
    assert_eq!(sealer.public_keys().await.unwrap_err().kind(), ErrorKind::Unsupported);
}

/// Keys that have replicas, one to seal and one to sign with, and who made them.
async fn replicated(url: &str) -> (Client, String, String) {
    let admin = client(url, REGION);
    let seals = world::make(&admin, KeySpec::SymmetricDefault, true).await;
    let signs = world::make(&admin, KeySpec::EccNistP256, true).await;
    for key in [&seals, &signs] {
        let call = admin.replicate_key().key_id(key).replica_region(OTHER_REGION);
        call.send().await.unwrap();
    }
    (admin, seals, signs)
}

#[tokio::test]
async fn replicas_of_a_multi_region_key_are_one_key() {
    let Some(world) = World::new() else { return };
    let url = &world.url;
    let (admin, here, signs_here) = replicated(url).await;
    let there = here.replace(REGION, OTHER_REGION);
    let elsewhere =
        || AwsKms::builder().kms_config(world::config(url, OTHER_REGION, "test", "test"));
    let one = builder(url).sealing_key(&here).signing_key(&signs_here).build().await.unwrap();
    // The same ARNs, in a region that they don't name: its own replicas are taken.
    let two = elsewhere().region(OTHER_REGION).sealing_key(&here).signing_key(&signs_here);
    let two = two.build().await.unwrap();
    assert_eq!(one.sealing_key().unwrap().id(), here);
    assert_eq!(two.sealing_key().unwrap().id(), there);

    let context = context(&[("tenant", "acme")]);
    for (from, to) in [(&one, &two), (&two, &one)] {
        let (key, wrapped) = from.generate_data_key(&context).await.unwrap();
        assert!(to.opens(&wrapped.key).is_some() && to.is_current(&wrapped));
        let unwrapped = to.unwrap_data_key(&wrapped, &context).await.unwrap();
        assert!(unwrapped.ct_eq(&key));
        let wrapped = to.wrap_data_key(&key, &context).await.unwrap();
        assert!(from.unwrap_data_key(&wrapped, &context).await.unwrap().ct_eq(&key));
    }
    // A public key that was pinned in one region signs in the other.
    let pinned = one.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(SigningAlgorithm::Es256, b"message");
    let signature = two.sign(&pinned, &input).await.unwrap();
    one.verify(&pinned, &input, &signature).unwrap();
    two.verify_remotely(&pinned, &input, &signature).await.unwrap();
    assert_eq!(two.public_keys().await.unwrap()[0].spki, pinned.spki);

    // Bound by two ARNs, it is one key; without a replica, it is none.
    let both = builder(url).sealing_key(&here).also_open(&there).build().await.unwrap();
    assert_eq!(both.describe_keys().await.len(), 1);
    let lonely = world::make(&admin, KeySpec::SymmetricDefault, true).await;
    let error = elsewhere().region(OTHER_REGION).sealing_key(&lonely).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("must be replicated"), "{error}");
    assert!(world.server.log().contains("Ready"));
}

async fn member(
    url: &str,
    region: &'static str,
    seals: &str,
    signs: &str,
) -> Arc<dyn CryptoProvider> {
    let config = world::config(url, region, "test", "test");
    let builder = AwsKms::builder().label(region).kms_config(config).region(region);
    let builder = builder.sealing_key(seals).signing_key(signs);
    let policy = world::quick().max_attempts(1).breaker_threshold(2).build().unwrap();
    Arc::new(Resilient::new(Arc::new(builder.build().await.unwrap()), policy))
}

/// Two regions behind one provider, of which one goes away.
#[tokio::test]
async fn one_region_stands_in_for_the_other() {
    let Some(world) = World::new() else { return };
    let (_, seals, signs) = replicated(&world.url).await;
    let counter = Counter::start(world.server.port());
    let first = member(&counter.url(), REGION, &seals, &signs).await;
    let second = member(&world.url, OTHER_REGION, &seals, &signs).await;
    let both = Failover::new("both", [first, Arc::clone(&second)]).unwrap();
    let context = bulla::Context::new().with_key("tenant", "acme").unwrap();
    let before = both.seal(b"before", &context).await.unwrap();
    let pinned = both.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(SigningAlgorithm::Es256, b"message");

    counter.set_down(true);
    for _ in 0..5 {
        assert_eq!(&*both.open(&before, &context).await.unwrap(), b"before");
    }
    let during = both.seal(b"during", &context).await.unwrap();
    let name = both.sealing_key().unwrap();
    assert_eq!(name.id(), seals);
    assert!(
        bulla::format::Preamble::split(&during).unwrap().0.header().recipients()[0].key == *name
    );
    let signature = both.sign(&pinned, &input).await.unwrap();
    // Two failures, and then the breaker is open: nobody waits for that region.
    let failed = counter.total();
    for _ in 0..5 {
        both.open(&before, &context).await.unwrap();
    }
    assert_eq!(counter.total(), failed);

    counter.set_down(false);
    let here = builder(&world.url).sealing_key(&seals).signing_key(&signs).build().await.unwrap();
    assert_eq!(&*here.open(&during, &context).await.unwrap(), b"during");
    here.verify(&pinned, &input, &signature).unwrap();
    assert_eq!(&*second.open(&before, &context).await.unwrap(), b"before");
}

/// How long a region that did not answer is left alone, and a little more.
const COOLDOWN: Duration = Duration::from_millis(5100);

/// A service starts while its own region is out, and uses it when it is back.
#[tokio::test]
async fn starts_during_an_outage_of_its_own_region() {
    let Some(world) = World::new() else { return };
    let (admin, seals, signs) = replicated(&world.url).await;
    let counter = Counter::start(world.server.port());
    let policy = || world::quick().max_attempts(2);
    let in_regions = async |first: &str, second: &str, seals: &str, signs: &str| {
        let regions = [(first, REGION), (second, OTHER_REGION)].map(|(url, region)| {
            let builder = AwsKms::builder().kms_config(world::config(url, region, "test", "test"));
            builder.region(region).sealing_key(seals).signing_key(signs)
        });
        AwsKms::in_regions("aws", regions, policy().build().unwrap()).await
    };
    counter.set_down(true);
    let both = in_regions(&counter.url(), &world.url, &seals, &signs).await.unwrap();
    assert_eq!(counter.count("DescribeKey"), 2, "tried again, as the policy says");
    assert_eq!(both.sealing_key().unwrap().id(), seals, "by the name of the first region");
    let context = bulla::Context::new().with_key("tenant", "acme").unwrap();
    let during = both.seal(b"during", &context).await.unwrap();
    let pinned = both.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(SigningAlgorithm::Es256, b"message");
    let signature = both.sign(&pinned, &input).await.unwrap();

    // It is back: asked for its keys first, and then for everything.
    counter.set_down(false);
    tokio::time::sleep(COOLDOWN).await;
    assert_eq!(&*both.open(&during, &context).await.unwrap(), b"during");
    assert_eq!((counter.count("DescribeKey"), counter.count("Decrypt")), (4, 1), "no restart");
    assert_eq!(&*both.open(&during, &context).await.unwrap(), b"during");
    assert_eq!((counter.count("DescribeKey"), counter.count("Decrypt")), (4, 2));
    let here = builder(&world.url).sealing_key(&seals).signing_key(&signs).build().await.unwrap();
    here.verify(&pinned, &input, &signature).unwrap();
    let well = in_regions(&counter.url(), &world.url, &seals, &signs).await.unwrap();
    assert_eq!(&*well.open(&during, &context).await.unwrap(), b"during");

    // Back with a key that may not be used: it is left out, and the other region serves.
    counter.set_down(true);
    let both = in_regions(&counter.url(), &world.url, &seals, &signs).await.unwrap();
    admin.disable_key().key_id(&seals).send().await.unwrap();
    counter.set_down(false);
    tokio::time::sleep(COOLDOWN).await;
    assert_eq!(&*both.open(&during, &context).await.unwrap(), b"during");
    let first = both.describe_keys().await.remove(0);
    let error = first.1.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("left out") && error.to_string().contains("disabled"));
    admin.enable_key().key_id(&seals).send().await.unwrap();

    // One that takes a connection and never answers holds nobody up for long.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let start = Instant::now();
    let patient = Policy::builder().deadline(Duration::from_secs(60));
    let patient = patient.attempt_timeout(Duration::from_secs(30)).build().unwrap();
    let regions = [(&url, REGION), (&world.url, OTHER_REGION)].map(|(url, region)| {
        let builder = AwsKms::builder().kms_config(world::config(url, region, "test", "test"));
        builder.region(region).sealing_key(&seals).signing_key(&signs)
    });
    let both = AwsKms::in_regions("aws", regions, patient).await.unwrap();
    assert_eq!(&*both.open(&during, &context).await.unwrap(), b"during");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());

    // A refusal is no outage; keys of one region are taken on trust nowhere.
    let lonely = world::make(&admin, KeySpec::SymmetricDefault, true).await;
    let error = in_regions(&counter.url(), &world.url, &lonely, &signs).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::NotFound, Some("aws/us-east-2")));
    counter.set_down(true);
    let there = client(&world.url, OTHER_REGION);
    let alone = world::make(&there, KeySpec::SymmetricDefault, false).await;
    let error = in_regions(&counter.url(), &world.url, &alone, &signs).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::InvalidInput, Some("aws/eu-west-1")));
    there.create_alias().alias_name("alias/alone").target_key_id(&alone).send().await.unwrap();
    let error = in_regions(&counter.url(), &world.url, "alias/alone", &signs).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Unavailable, Some("aws/eu-west-1")));
    let error = in_regions(&counter.url(), &counter.url(), &seals, &signs).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Unavailable, Some("aws/eu-west-1")));
}
