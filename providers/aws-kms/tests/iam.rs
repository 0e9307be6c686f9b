//! Permissions, on MiniStack with IAM and signatures of requests checked.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use aws_sdk_kms::types::KeySpec;
use bulla::{
    Context, CryptoProvider, CryptoProviderExt, DataKeys, Encrypt, ErrorKind, Sign,
    SigningAlgorithm, SigningInput,
};
use bulla_aws_kms::{AwsKms, AwsKmsBuilder, LEAST_PRIVILEGE_POLICY};
use bulla_testworld::{Ministack, Python};
use world::{REGION, context};

/// Makes a user with a policy, and prints its access key.
const MAKE_USER: &str = r#"
import boto3, sys
url, region, name, policy = sys.argv[1:]
iam = boto3.client("iam", endpoint_url=url, region_name=region,
                   aws_access_key_id="test", aws_secret_access_key="test")
iam.create_user(UserName=name)
iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
key = iam.create_access_key(UserName=name)["AccessKey"]
print(key["AccessKeyId"], key["SecretAccessKey"])
"#;

struct World {
    python: Python,
    server: Ministack,
    seals: String,
    signs: String,
}

impl World {
    async fn new() -> Option<Self> {
        let python = Python::for_aws()?;
        let server = Ministack::start(&python, true);
        let seals = world::symmetric(&server.url()).await;
        let signs = world::pair(&server.url(), KeySpec::EccNistP256).await;
        Some(Self { python, server, seals, signs })
    }

    /// The policy of the documentation, for these keys.
    fn policy(&self) -> String {
        let policy = LEAST_PRIVILEGE_POLICY.to_owned();
        let arns = "arn:aws:kms:eu-west-1:111122223333:key/";
        let seals = format!("{arns}1234abcd-12ab-34cd-56ef-1234567890ab");
        let signs = format!("{arns}0987dcba-09fe-87dc-65ba-ab0987654321");
        assert!(policy.contains(&seals) && policy.contains(&signs));
        policy.replace(&seals, &self.seals).replace(&signs, &self.signs)
    }

    fn user(&self, name: &str, policy: &str) -> AwsKmsBuilder {
        let key = self.python.run(MAKE_USER, &[&self.server.url(), REGION, name, policy]);
        let (id, secret) = key.split_once(' ').unwrap();
        self.builder(id, secret)
    }

    fn builder(&self, id: &str, secret: &str) -> AwsKmsBuilder {
        AwsKms::builder().kms_config(world::config(&self.server.url(), REGION, id, secret))
    }
}

#[tokio::test]
async fn the_policy_of_the_documentation_is_enough() {
    let Some(world) = World::new().await else { return };
    let user = world.user("app", &world.policy());
    let provider = user.sealing_key(&world.seals).signing_key(&world.signs).build().await.unwrap();
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let sealed = provider.seal(b"secret", &context).await.unwrap();
    assert_eq!(&*provider.open(&sealed, &context).await.unwrap(), b"secret");
    let direct = provider.encrypt_direct(b"pin", &context).await.unwrap();
    assert_eq!(&*provider.decrypt_direct(&direct, &context).await.unwrap(), b"pin");
    let key = provider.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(SigningAlgorithm::Es256, b"m");
    let signature = provider.sign(&key, &input).await.unwrap();
    provider.verify(&key, &input, &signature).unwrap();
    provider.health().await.unwrap();
    // And it is least: what it does not list is refused.
    let error = provider.verify_remotely(&key, &input, &signature).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.message().contains("kms:Verify"), "{error}");
}

/// Who only reads needs two permissions.
#[tokio::test]
async fn readers_need_little() {
    let Some(world) = World::new().await else { return };
    let writer = world.user("writer", &world.policy()).sealing_key(&world.seals);
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let sealed = writer.build().await.unwrap().seal(b"secret", &context).await.unwrap();
    let all = "\"kms:DescribeKey\", \"kms:GenerateDataKey\", \"kms:Encrypt\", \"kms:Decrypt\"";
    let fewer = world.policy().replace(all, "\"kms:DescribeKey\", \"kms:Decrypt\"");
    assert_ne!(fewer, world.policy());
    let reader = world.user("reader", &fewer).also_open(&world.seals).build().await.unwrap();
    assert_eq!(&*reader.open(&sealed, &context).await.unwrap(), b"secret");
    let writing = world.user("reader2", &fewer).sealing_key(&world.seals).build().await.unwrap();
    let error = writing.seal(b"secret", &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message().contains("grant kms:GenerateDataKey on"), "{error}");
}

/// Each permission taken away makes what needs it fail, with its name in the error.
#[tokio::test]
async fn a_missing_permission_is_named() {
    let Some(world) = World::new().await else { return };
    let empty = context(&[]);
    for (n, action) in
        ["GenerateDataKey", "Encrypt", "Decrypt", "GetPublicKey", "Sign"].into_iter().enumerate()
    {
        let policy = world.policy();
        let fewer = policy.replace(&format!("\"kms:{action}\""), "\"kms:ListAliases\"");
        assert_ne!(fewer, policy);
        let user = world.user(&format!("user{n}"), &fewer);
        let provider =
            user.sealing_key(&world.seals).signing_key(&world.signs).build().await.unwrap();
        let error = async {
            let (_, wrapped) = provider.generate_data_key(&empty).await?;
            provider.encrypt(b"x", &empty).await?;
            provider.unwrap_data_key(&wrapped, &empty).await?;
            let key = provider.public_keys().await?.remove(0);
            provider.sign(&key, &SigningInput::new(SigningAlgorithm::Es256, b"m")).await
        };
        let error = error.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{action}: {error}");
        assert!(error.message().contains(&format!("grant kms:{action} on")), "{action}: {error}");
    }
    let policy = world.policy().replace("\"kms:DescribeKey\"", "\"kms:ListAliases\"");
    let user = world.user("blind", &policy);
    let error = user.sealing_key(&world.seals).build().await.unwrap_err();
    assert!(error.message().contains("grant kms:DescribeKey on"), "{error}");
}

#[tokio::test]
async fn credentials_that_are_not_accepted_are_told_from_permissions() {
    let Some(world) = World::new().await else { return };
    for (id, secret) in [("AKIAIOSFODNN7EXAMPLE", "no"), ("AKIA0000000000000000", "no")] {
        let error = world.builder(id, secret).sealing_key(&world.seals).build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.message().contains("does not accept these credentials"), "{error}");
    }
    // The right access key with a wrong secret: the signature is what is wrong.
    let key = world.python.run(MAKE_USER, &[&world.server.url(), REGION, "typo", &world.policy()]);
    let (id, _) = key.split_once(' ').unwrap();
    let error = world.builder(id, "wrong").sealing_key(&world.seals).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.message().contains("check access key, secret"), "{error}");
}
