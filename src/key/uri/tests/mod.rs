use proptest::prelude::*;

use super::*;

const UUID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
const KEY_ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const GCP: &str = "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k";

fn parse(text: &str) -> KeyUri {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn fail(text: &str) -> String {
    let error = text.parse::<KeyUri>().expect_err(text);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    error.message().to_owned()
}

#[test]
fn local_parts() {
    for name in ["default", "a", "A-1._z", "_x", "0", &"n".repeat(64)] {
        let KeyUri::Local(uri) = parse(&format!("local:{name}")) else { panic!() };
        assert_eq!(uri.name(), name);
    }
}

#[test]
fn aws_parts() {
    let mrk = format!("mrk-{}", "0a".repeat(16));
    let alias_arn = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/a/b_c-d";
    let mrk_arn = format!("arn:aws-cn:kms:cn-north-1:111122223333:key/{mrk}");
    #[rustfmt::skip]
    let table = [
        ("alias/orders", "", "alias/orders", (None, None, None), true),
        ("alias/aws", "", "alias/aws", (None, None, None), true),
        (UUID, "?region=eu-west-1", UUID, (Some("eu-west-1"), None, None), false),
        (&mrk, "?profile=a.b_c-D", &mrk, (None, Some("a.b_c-D"), None), false),
        (KEY_ARN, "", KEY_ARN, (Some("eu-west-1"), None, None), false),
        (KEY_ARN, "?region=eu-west-1", KEY_ARN, (Some("eu-west-1"), None, None), false),
        (alias_arn, "", alias_arn, (Some("us-gov-west-1"), None, None), true),
        (&mrk_arn, "?profile=p", &mrk_arn, (Some("cn-north-1"), Some("p"), None), false),
        ("alias/a", "?region=eu%2Dwest%2d1", "alias/a", (Some("eu-west-1"), None, None), true),
        (&UUID.to_uppercase(), "", UUID, (None, None, None), false),
    ];
    for (key, options, want, parts, is_alias) in table {
        let KeyUri::AwsKms(uri) = parse(&format!("awskms:///{key}{options}")) else { panic!() };
        assert_eq!(uri.key(), want);
        assert_eq!((uri.region(), uri.profile(), uri.endpoint()), parts, "{key}");
        assert_eq!(uri.is_alias(), is_alias, "{key}");
        assert_eq!(uri.is_arn(), key.starts_with("arn:"), "{key}");
    }
}

#[test]
fn aws_endpoints() {
    for (given, want) in [
        ("https://kms.example.com", "https://kms.example.com"),
        ("HTTPS://KMS.example.com:8443/", "https://kms.example.com:8443"),
        ("https%3A%2F%2Fkms.example.com%2Fa%2Fb~c/", "https://kms.example.com/a/b~c"),
        ("http://localhost:4566", "http://localhost:4566"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://127.255.3.4:80/kms", "http://127.255.3.4:80/kms"),
        ("http://[::1]:4566", "http://[::1]:4566"),
        ("http://%5B0:0:0:0:0:0:0:1%5D", "http://[::1]"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://10.0.0.1:65535", "https://10.0.0.1:65535"),
    ] {
        let text = format!("awskms:///alias/a?endpoint={given}");
        let KeyUri::AwsKms(uri) = parse(&text) else { panic!() };
        assert_eq!(uri.endpoint(), Some(want), "{given}");
        assert_eq!(parse(&text).to_string(), format!("awskms:///alias/a?endpoint={want}"));
    }
    for (given, want) in [
        ("http://kms.example.com", "https is needed"),
        ("http://10.0.0.1:4566", "https is needed"),
        ("http://128.0.0.1", "https is needed"),
        ("http://localhost.example.com", "https is needed"),
        ("http://[::2]", "https is needed"),
        ("http://[::ffff:127.0.0.1]", "https is needed"),
        ("http://127.1", "no DNS name or IP address"),
        ("http://2130706433", "no DNS name or IP address"),
        ("http://127.0.0.01", "no DNS name or IP address"),
        ("https://", "no DNS name or IP address"),
        ("https://a..b", "no DNS name or IP address"),
        ("https://-a", "no DNS name or IP address"),
        ("https://a_b", "no DNS name or IP address"),
        ("https://[::1", "no DNS name or IP address"),
        ("https://a]", "no DNS name or IP address"),
        ("https://[::1]x", "port is not 1 to 65535"),
        ("https://a:", "port is not 1 to 65535"),
        ("https://a:0", "port is not 1 to 65535"),
        ("https://a:080", "port is not 1 to 65535"),
        ("https://a:65536", "port is not 1 to 65535"),
        ("https://a:%2B80", "port is not 1 to 65535"),
        ("https://a/b//c", "path has a segment"),
        ("https://a/../c", "path has a segment"),
        ("https://a/b%25", "path has a segment"),
        ("ftp://a", "does not begin with https://"),
        ("kms.example.com", "does not begin with https://"),
        ("https://a/?b=c", "query or fragment"),
        ("https://a/%23b", "query or fragment"),
        ("https://user:hunter2%40a", "user name or password"),
        ("https://user:hunter2@a", "\"@\" is not allowed"),
    ] {
        let message = fail(&format!("awskms:///alias/a?endpoint={given}"));
        assert!(message.contains(want), "{given}: {message}");
        assert!(!message.contains("hunter2") && !message.contains("user:"), "{message}");
    }
}

#[test]
fn gcp_parts() {
    let text = "gcpkms://projects/example.com:p/locations/global/keyRings/R_1/cryptoKeys/k-2";
    let KeyUri::GcpKms(uri) = parse(&format!("{text}/cryptoKeyVersions/12")) else { panic!() };
    assert_eq!((uri.project(), uri.location()), ("example.com:p", "global"));
    assert_eq!((uri.key_ring(), uri.key(), uri.version()), ("R_1", "k-2", Some("12")));
    assert_eq!(format!("gcpkms://{}", uri.resource_name()), text);
    let KeyUri::GcpKms(uri) = parse(text) else { panic!() };
    assert_eq!((uri.version(), uri.endpoint()), (None, None));
    let text = format!("{text}/cryptoKeyVersions/3?endpoint=http%3A//LOCALHOST:80/");
    let KeyUri::GcpKms(uri) = parse(&text) else { panic!() };
    assert_eq!((uri.version(), uri.endpoint()), (Some("3"), Some("http://localhost:80")));
}

#[test]
fn azure_parts() {
    let version = "0123456789abcdef0123456789ABCDEF";
    for (vault, host, is_hsm) in [
        ("Acme-1", "acme-1.vault.azure.net", false),
        ("acme.Vault.azure.net", "acme.vault.azure.net", false),
        ("acme.managedhsm.azure.net", "acme.managedhsm.azure.net", true),
        ("managedhsm.vault.azure.cn", "managedhsm.vault.azure.cn", false),
        ("acme.managedhsm.usgovcloudapi.net", "acme.managedhsm.usgovcloudapi.net", true),
    ] {
        for (tail, want) in [(String::new(), None), (format!("/{version}"), Some(version))] {
            let text = format!("azurekeyvault://{vault}/Key-1{tail}");
            let KeyUri::AzureKeyVault(uri) = parse(&text) else { panic!() };
            assert_eq!((uri.host(), uri.is_managed_hsm()), (host, is_hsm));
            assert_eq!(Some(uri.vault()), host.split('.').next());
            assert_eq!((uri.key(), uri.version()), ("Key-1", want));
        }
    }
}

#[test]
fn vault_parts() {
    for scheme in ["hashivault", "openbao"] {
        for (tail, mount, namespace) in [
            ("", "transit", None),
            ("?mount=transit", "transit", None),
            ("?namespace=a/b.c&mount=kv%2Ft_1", "kv/t_1", Some("a/b.c")),
        ] {
            let uri = parse(&format!("{scheme}://Key_1.x{tail}"));
            assert_eq!(uri.scheme(), scheme);
            let (KeyUri::HashiVault(uri) | KeyUri::OpenBao(uri)) = uri else { panic!() };
            assert_eq!((uri.key(), uri.mount(), uri.namespace()), ("Key_1.x", mount, namespace));
        }
    }
    assert_ne!(parse("hashivault://k").scheme(), parse("openbao://k").scheme());
}

#[test]
fn pkcs11_parts() {
    let text = "pkcs11:slot-id=18446744073709551615;id=%00%ffa;type=secret-key;object=a&b=%2F%26;\
                token=The%20Token%C3%A9;manufacturer=M;serial=;model=X;library-manufacturer=L;\
                library-version=2;library-description=D;slot-description=S;slot-manufacturer=T\
                ?module-path=/usr/lib/p11.so&pin-source=|/bin/pin?%26&module-name=p11";
    let KeyUri::Pkcs11(uri) = parse(text) else { panic!() };
    assert_eq!((uri.token(), uri.manufacturer()), (Some("The Tokené"), Some("M")));
    assert_eq!((uri.serial(), uri.model()), (Some(""), Some("X")));
    assert_eq!((uri.library_manufacturer(), uri.library_version()), (Some("L"), Some((2, 0))));
    assert_eq!((uri.library_description(), uri.object()), (Some("D"), Some("a&b=/&")));
    assert_eq!((uri.object_type(), uri.id()), (Some("secret-key"), Some(&b"\0\xffa"[..])));
    assert_eq!((uri.slot_description(), uri.slot_manufacturer()), (Some("S"), Some("T")));
    assert_eq!((uri.slot_id(), uri.pin_source()), (Some(u64::MAX), Some("|/bin/pin?&")));
    assert_eq!((uri.module_name(), uri.module_path()), (Some("p11"), Some("/usr/lib/p11.so")));
    let KeyUri::Pkcs11(uri) = parse("pkcs11:object=k") else { panic!() };
    assert_eq!((uri.object(), uri.token(), uri.serial()), (Some("k"), None, None));
    assert_eq!((uri.id(), uri.slot_id(), uri.library_version()), (None, None, None));
}

#[test]
fn display_is_canonical() {
    for (given, want) in [
        ("local:default", "local:default"),
        (
            "awskms:///alias/a?profile=p&endpoint=https%3a%2f%2fh/&region=r",
            "awskms:///alias/a?region=r&profile=p&endpoint=https://h",
        ),
        (&format!("awskms:///{KEY_ARN}?region=eu-west-1"), &format!("awskms:///{KEY_ARN}")),
        (GCP, GCP),
        (
            &format!("{GCP}/cryptoKeyVersions/3?endpoint=HTTPS://h%2F"),
            &format!("{GCP}/cryptoKeyVersions/3?endpoint=https://h"),
        ),
        ("azurekeyvault://ACME.vault.azure.net/Key", "azurekeyvault://acme/Key"),
        ("azurekeyvault://acme.vault.azure.cn/K", "azurekeyvault://acme.vault.azure.cn/K"),
        ("hashivault://k?namespace=n&mount=transit", "hashivault://k?namespace=n"),
        ("openbao://k?namespace=n&mount=m%2Fn", "openbao://k?mount=m/n&namespace=n"),
        (
            "pkcs11:id=a%0a;library-version=02.1;object=%41%3b+:?module-path=%2fx&pin-source=%7Cy",
            "pkcs11:library-version=2.1;object=A%3B+:;id=%61%0A?pin-source=|y&module-path=/x",
        ),
        ("pkcs11:slot-id=007;serial=;id=%20", "pkcs11:serial=;id=%20;slot-id=7"),
    ] {
        assert_eq!(parse(given).to_string(), want);
        assert_eq!(parse(want), parse(given));
    }
}

#[test]
fn schemes_are_those_of_the_variants() {
    let examples = [
        "local:k",
        "awskms:///alias/k",
        GCP,
        "azurekeyvault://vault/k",
        "hashivault://k",
        "openbao://k",
        "pkcs11:object=k",
    ];
    assert_eq!(examples.map(|text| parse(text).scheme()), SCHEMES);
}

#[test]
fn refuses_what_is_no_uri_of_ours() {
    for (text, want) in [
        ("", "it is empty"),
        (&format!("local:{}", "x".repeat(2043)), "2049 bytes long; 2048 are allowed"),
        (" local:x", "a space, at byte 1"),
        ("local:x\n", "a control character, at byte 8"),
        ("local:\u{7f}", "a control character"),
        ("local:\u{85}", "a control character"),
        ("local:é", "a character outside ASCII, at byte 7"),
        ("default", r#"no scheme in "default"; the schemes are local, awskms, "#),
        ("default", r#"did you mean "local:default"?"#),
        ("alias/orders", r#"did you mean "awskms:///alias/orders"?"#),
        (KEY_ARN, r#"unknown scheme "arn"; the schemes are local"#),
        (KEY_ARN, r#"did you mean "awskms:///arn:"#),
        ("AwsKms:///alias/x", r#"did you mean "awskms:///alias/x"?"#),
        ("awskms", r#"nothing follows the scheme in "awskms""#),
        (":x", r#"no scheme in ":x""#),
        ("vault://k", r#"unknown scheme "vault"; the schemes are local, awskms, gcpkms, azure"#),
        (&"k".repeat(200), "kkk…\""),
    ] {
        let message = fail(text);
        assert!(message.contains(want), "{text:?}: {message}");
    }
}

#[test]
fn names_what_is_wrong() {
    let long = format!("hashivault://{}", "k".repeat(129));
    let huge = format!("pkcs11:id={}", "k".repeat(700));
    for (text, want) in [
        ("local:", r#"local URI: the name "" is not 1 to 64 of"#),
        ("local:.x", r#"the name ".x" is not"#),
        ("local:-x", "the first not"),
        ("local://x", r#"the name "//x" is not"#),
        ("local:a%41", r#"the name "a%41" is not"#),
        ("local:a?", "option 1 is empty"),
        ("local:a?x=1", r#"unknown option "x"; this scheme has none"#),
        ("local:a@b", r#""@" is not allowed"#),
        ("awskms:alias/a", "three slashes"),
        ("awskms://alias/a", "three slashes"),
        ("awskms:///", r#"the key "" is not alias/NAME, a key id"#),
        ("awskms:///1234", r#"the key "1234" is not alias/NAME"#),
        ("awskms:///mrk-12", "mrk-"),
        ("awskms:///alias/", r#"the alias "alias/" is not alias/ and 1 to 250"#),
        ("awskms:///alias/a.b", r#"the alias "alias/a.b" is not"#),
        ("awskms:///alias/aws/s3", "AWS managed keys"),
        ("awskms:///arn:aws:kms:eu-west-1:111122223333:alias/aws/s3", "AWS managed keys"),
        ("awskms:///arn:aws:kms", "is not arn:PARTITION:kms"),
        ("awskms:///arn:gcp:kms:r:111122223333:alias/a", r#"the ARN's partition "gcp""#),
        ("awskms:///arn:awsx:kms:r:111122223333:alias/a", r#"the ARN's partition "awsx""#),
        ("awskms:///arn:aws:s3:r:111122223333:alias/a", r#"the ARN's service "s3""#),
        ("awskms:///arn:aws:kms:R:111122223333:alias/a", r#"the ARN's region "R""#),
        ("awskms:///arn:aws:kms:r:1111:alias/a", r#"the ARN's account "1111" is not 12 digits"#),
        ("awskms:///arn:aws:kms:r:111122223333:grant/a", r#"the ARN's resource "grant/a""#),
        ("awskms:///arn:aws:kms:r:111122223333:key/a", r#"the ARN's key id "a""#),
        (
            "awskms:///arn:aws:kms:r:111122223333:alias/a?region=q",
            r#"option "region" is "q", but the ARN's region is "r""#,
        ),
        ("awskms:///alias/a?", "option 1 is empty"),
        ("awskms:///alias/a?region=r&", "option 2 is empty"),
        ("awskms:///alias/a?region", "option 1 has no \"=\""),
        ("awskms:///alias/a?=r", "option 1 has a name that"),
        ("awskms:///alias/a?region=", r#"option "region" is empty"#),
        ("awskms:///alias/a?region=R", r#"the region "R" is not 1 to 32 of [a-z0-9-]"#),
        ("awskms:///alias/a?region=r&region=r", r#"option "region" is given twice"#),
        ("awskms:///alias/a?region=%4", r#"option "region" has bad percent-encoding"#),
        ("awskms:///alias/a?region=%zz", r#"option "region" has bad percent-encoding"#),
        ("awskms:///alias/a?region=%%41", r#"option "region" has bad percent-encoding"#),
        ("awskms:///alias/a?region=%0A", "something else than visible ASCII"),
        ("awskms:///alias/a?region=%ff", "something else than visible ASCII"),
        ("awskms:///alias/a?profile=a/b", r#"the profile "a/b" is not"#),
        ("awskms:///alias/a?regoin=r", r#""regoin"; the options are region, profile, endpoint"#),
        ("awskms:///alias/a?region=r#x", r##"the region "r#x" is not"##),
        ("gcpkms://projects/p", "is not //projects/P/locations/L"),
        ("gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k", "is not //projects/P"),
        ("gcpkms://projects/p/locations/l/keyrings/r/cryptoKeys/k", "is not //projects/P"),
        (&format!("{GCP}/"), "is not //projects/P"),
        (&format!("{GCP}/cryptoKeyVersions/x"), r#"the version "x" is not 1 to 18 digits"#),
        (&format!("{GCP}/cryptoKeyVersions/01"), r#"the version "01""#),
        (&format!("{GCP}?x=y"), r#"gcpkms URI: unknown option "x"; the options are"#),
        (&format!("{GCP}?endpoint=http://kms.example.com"), "which is plain http"),
        ("gcpkms://projects/../locations/l/keyRings/r/cryptoKeys/k", r#"the project "..""#),
        ("gcpkms://projects/p/locations/l/keyRings/r.s/cryptoKeys/k", r#"the key ring "r.s""#),
        ("gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/", r#"the key """#),
        ("azurekeyvault:vault/k", "is not //VAULT/KEY[/VERSION]"),
        ("azurekeyvault://vault", "is not //VAULT/KEY[/VERSION]"),
        ("azurekeyvault://v/k", r#"the vault "v" is not 3 to 24"#),
        ("azurekeyvault://1vault/k", r#"the vault "1vault""#),
        ("azurekeyvault://vault-/k", r#"the vault "vault-""#),
        ("azurekeyvault://va--lt/k", r#"the vault "va--lt""#),
        ("azurekeyvault://vault.example.com/k", "is not a vault's name or a host in vault"),
        ("azurekeyvault://vault.example.com/k", r#"the host "vault.example.com" is not"#),
        ("azurekeyvault://evil.com.vault.azure.net/k", "the host"),
        ("azurekeyvault://vault.vault.azure.net:443/k", "the host"),
        ("azurekeyvault://.vault.azure.net/k", r#"the vault """#),
        ("azurekeyvault://vault/k_1", r#"the key "k_1""#),
        ("azurekeyvault://vault/k/1", r#"the version "1" is not 32 of"#),
        ("azurekeyvault://vault/k/", r#"the version "" is not 32 of"#),
        ("azurekeyvault://vault/k?a=b", "this scheme has none"),
        ("hashivault:k", "two slashes"),
        ("openbao:/k", r#"after "openbao://", two slashes"#),
        ("openbao://", r#"openbao URI: the key """#),
        ("openbao://a/b", r#"the key "a/b""#),
        ("openbao://..", r#"the key "..""#),
        (&long, "1 to 128"),
        ("openbao://k?mount=/a", r#"the mount "/a""#),
        ("openbao://k?mount=a/", r#"the mount "a/""#),
        ("openbao://k?namespace=a/../b", r#"the namespace "a/../b" is not"#),
        ("openbao://k?namespace=a%2F%2e", r#"the namespace "a/.""#),
        ("openbao://k?token=t", r#"unknown option "token"; the options are mount, namespace"#),
        ("pkcs11:", "neither \"object\" nor \"id\""),
        ("pkcs11:token=t", "neither \"object\" nor \"id\""),
        ("pkcs11:object=", r#"attribute "object" is empty"#),
        ("pkcs11:id=", r#"attribute "id" is empty"#),
        ("pkcs11:object=k;", "path attribute 2 is empty"),
        ("pkcs11:object=k?", "query attribute 1 is empty"),
        ("pkcs11:object", "path attribute 1 has no \"=\""),
        ("pkcs11:object=k;object=k", r#"path attribute "object" is given twice"#),
        ("pkcs11:object=k;x-acme=1", r#"path attribute "x-acme"; the path attributes are"#),
        ("pkcs11:object=k?x-acme=1", r#"query attribute "x-acme"; the query attributes"#),
        ("pkcs11:object=k;module-path=x", r#""module-path"; it belongs after the "?""#),
        ("pkcs11:object=k?token=x", r#""token"; it belongs before the "?""#),
        ("pkcs11:object=a/b", "must be percent-encoded, at byte 2 of its value"),
        ("pkcs11:object=a|b", "must be percent-encoded"),
        ("pkcs11:object=k?module-path=a;b", "must be percent-encoded"),
        ("pkcs11:object=k#f", "must be percent-encoded"),
        ("pkcs11:object=%", r#""object" has bad percent-encoding"#),
        ("pkcs11:object=%fe", r#""object" does not decode to UTF-8"#),
        ("pkcs11:object=k?module-path=/a%00", "decodes to a control character"),
        ("pkcs11:object=k?module-name=../a", "use \"module-path\""),
        ("pkcs11:object=k?pin-source=", r#"attribute "pin-source" is empty"#),
        ("pkcs11:object=k;type=key", r#""type" is not one of public, private"#),
        ("pkcs11:object=k;slot-id=-1", r#""slot-id" is not a number"#),
        ("pkcs11:object=k;slot-id=%2B1", r#""slot-id" is not a number"#),
        ("pkcs11:object=k;slot-id=18446744073709551616", r#""slot-id" is not a number"#),
        ("pkcs11:object=k;library-version=1.", r#""library-version" is not MAJOR"#),
        ("pkcs11:object=k;library-version=256", r#""library-version" is not MAJOR"#),
        ("pkcs11:object=k?pin-value=x", "use \"pin-source\""),
        (&huge, "pkcs11 URI: 2110 bytes long in canonical form; 2048 are allowed"),
    ] {
        let message = fail(text);
        assert!(message.contains(want), "{text:?}: {message}");
    }
}

#[test]
fn refuses_a_pin_wherever_it_stands() {
    for text in [
        "pkcs11:object=k?pin-value=1",
        "pkcs11:object=k?PIN-Value=1",
        "pkcs11:object=k?pin-source=x&pin-value=1",
        "pkcs11:object=k;pin-value=1",
        "pkcs11:object=k&pin-value=1",
        "pkcs11:object=k?pin-source=x;pin-value=1",
        "pkcs11:pin-value",
    ] {
        assert!(fail(text).contains("use \"pin-source\""), "{text}");
    }
    parse("pkcs11:object=pin-value");
}

#[test]
fn quotes_no_secret() {
    for text in [
        "pkcs11:object=k?pin-value=hunter2",
        "pkcs11:object=k?PIN-VALUE=hunter2",
        "pkcs11:object=k?pin-value:hunter2",
        "pkcs11:object=k?pin-value=%hunter2",
        "pkcs11:object=k?x=y&pin-value=hunter2",
        "pkcs11:object=k;pin-value=hunter2",
        "pkcs11:object=k&pin-value=a;hunter2=b",
        "pkcs11:type=private&pin-value=hunter2",
        "pkcs11:type=private&pin%2Dvalue=hunter2;object=k",
        "pkcs11:slot-id=1,pin-value=hunter2;object=k",
        "pkcs11:hunter2@host",
        "pkcs-11:object=k?pin-value=hunter2",
        "pkcs11?pin-value=hunter2",
        "local:key;pin-value=hunter2",
        "local:key?pin-value=hunter2",
        "awskms:///pin-value=hunter2",
        "https://hunter2:hunter2@host/",
        "awskms://hunter2:hunter2@host/alias/a",
        "azurekeyvault://me:hunter2/x@vault/k",
        "gcpkms://projects/hunter2@host",
        "hunter2:hunter2@host",
        "hunter2@host",
        "//me:hunter2@host/pin-value",
        "pin-value=hunter2@host",
    ] {
        assert!(!fail(text).contains("hunter2"), "{}", fail(text));
    }
}

/// Texts near enough to URIs to reach every parser.
fn near_uri() -> impl Strategy<Value = String> {
    let schemes = proptest::sample::select(SCHEMES.to_vec());
    let head = proptest::sample::select(vec!["", "/", "//", "///", "///alias/", "object=", "//v/"]);
    (schemes, head, "[ -~]{0,40}").prop_map(|(scheme, head, tail)| format!("{scheme}:{head}{tail}"))
}

fn good_uri() -> impl Strategy<Value = String> {
    let encoded = "([A-Za-z0-9._~:@!$'()*+,=-]|%[2-7][0-9A-Ea-e]){1,20}";
    prop_oneof![
        "local:[A-Za-z0-9_][A-Za-z0-9._-]{0,63}",
        concat!(
            "awskms:///alias/[b-z/_-][A-Za-z0-9/_-]{0,60}",
            r"(\?region=[a-z0-9-]{1,32}(&profile=[A-Za-z0-9._-]{1,64})?)?",
        ),
        concat!(
            "awskms:///arn:aws(-[a-z]{1,9})?:kms:[a-z0-9-]{1,32}:[0-9]{12}:key/mrk-[0-9a-fA]{32}",
            r"(\?endpoint=https://[a-z]{1,9}(:[1-9][0-9]{0,3})?(/[a-z~]{1,9}){0,3}/?)?",
        ),
        concat!(
            "gcpkms://projects/[a-z0-9:-]{1,63}/locations/[a-z0-9-]{1,63}",
            "/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63}",
            "(/cryptoKeyVersions/[1-9][0-9]{0,17})?",
            r"(\?endpoint=https://[a-z]{1,9}(:[1-9][0-9]{0,3})?/?)?",
        ),
        concat!(
            r"azurekeyvault://[A-Za-z][a-zA-Z0-9]{2,23}(\.(VAULT|managedhsm)\.azure\.(net|cn))?",
            "/[A-Za-z0-9-]{1,127}(/[A-Za-z0-9]{32})?",
        ),
        concat!(
            "(hashivault|openbao)://[A-Za-z0-9_-]{1,128}",
            r"(\?mount=[a-z_]{1,9}((/|%2f)[a-z_]{1,9}){0,3})?",
        ),
        (encoded, encoded, "(%[0-9a-fA-F]{2}|[a-z]){1,40}", encoded).prop_filter_map(
            "may hold %7F",
            |(token, object, id, source)| {
                let text =
                    format!("pkcs11:object={object};token={token};id={id}?pin-source={source}");
                (!text.to_lowercase().contains("%7f")).then_some(text)
            }
        ),
    ]
}

proptest! {
    #[test]
    fn parse_never_panics(text in any::<String>()) {
        let _ = text.parse::<KeyUri>();
    }

    #[test]
    fn near_misses_round_trip_or_fail(text in near_uri()) {
        if let Ok(uri) = text.parse::<KeyUri>() {
            prop_assert_eq!(parse(&uri.to_string()), uri);
        }
    }

    #[test]
    fn parse_display_parse_is_identity(text in good_uri()) {
        let uri = parse(&text);
        let canonical = uri.to_string();
        prop_assert_eq!(&parse(&canonical), &uri);
        prop_assert_eq!(parse(&canonical).to_string(), canonical);
    }

    #[test]
    fn no_error_quotes_a_pin(head in near_uri(), tail in "[;&?%@:/=#a-z]{0,9}") {
        let text = format!("{head}pin-value=Zq7Zq7{tail}");
        if let Err(error) = text.parse::<KeyUri>() {
            prop_assert!(!error.message().contains("Zq7"), "{}", error);
        }
    }

    #[test]
    fn no_error_quotes_userinfo(head in "[a-z0-9]{0,9}(:/{0,3})?", name in "[a-z/]{0,5}") {
        let text = format!("{head}{name}:Zq7Zq7@host/key");
        if let Err(error) = text.parse::<KeyUri>() {
            prop_assert!(!error.message().contains("Zq7"), "{}", error);
        }
    }
}
