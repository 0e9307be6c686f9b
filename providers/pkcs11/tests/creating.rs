//! Making keys on SoftHSM.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use bulla::{
    CryptoProvider, DataKeys, EncryptionContext, ErrorKind, KeyUri, Sign, SigningInput,
    signing::verify,
};
use bulla_pkcs11::{CreatedKey, KeySelection, KeyType, Pkcs11};
use bulla_testworld::{SoftHsm, tokens};
use cryptoki::{
    context::Pkcs11 as Context,
    object::{Attribute, AttributeType, ObjectClass},
};

/// Says in a child of a child what it is to do.
const TASK: &str = "BULLA_PKCS11_TASK";

async fn create(hsm: &SoftHsm, label: &str, key_type: KeyType) -> bulla::Result<CreatedKey> {
    world::builder(hsm).also_open(label).create_key(key_type).await
}

#[tokio::test]
async fn every_type_is_made_and_used_by_its_uri() {
    let Some(hsm) = SoftHsm::in_child("every_type_is_made_and_used_by_its_uri") else { return };
    for key_type in KeyType::ALL {
        let key = create(&hsm, key_type.as_str(), key_type).await.unwrap();
        assert_eq!((key.id.len(), key.key_type), (16, key_type));
        let KeyUri::Pkcs11(uri) = &key.uri else { panic!("{}", key.uri) };
        // The URI has the module, and the PIN is not of the kind that it can have.
        let used = Pkcs11::builder().pin(SoftHsm::PIN).uri(uri).build().await.unwrap();
        let info = used.describe_keys().await.remove(0);
        assert_eq!(info.0, key.name);
        assert_eq!(info.1.unwrap().kind, key_type.as_str());
        if key_type.seals() {
            let context = EncryptionContext::from_pairs([("tenant", "acme")]).unwrap();
            let (data_key, wrapped) = used.generate_data_key(&context).await.unwrap();
            assert!(used.unwrap_data_key(&wrapped, &context).await.unwrap().ct_eq(&data_key));
        } else {
            let public = used.public_keys().await.unwrap().remove(0);
            let input = SigningInput::new(public.algorithms[0], b"message");
            verify(&public, &input, &used.sign(&public, &input).await.unwrap()).unwrap();
        }
    }
}

/// What a key may be used for, and that it stays where it is.
#[tokio::test]
async fn a_key_may_do_what_it_is_for_and_stays_on_the_token() {
    let Some(hsm) = SoftHsm::in_child("a_key_may_do_what_it_is_for_and_stays_on_the_token") else {
        return;
    };
    create(&hsm, "aes", KeyType::Aes256).await.unwrap();
    create(&hsm, "rsa", KeyType::Rsa2048).await.unwrap();
    create(&hsm, "p256", KeyType::P256).await.unwrap();
    let (_context, session) = tokens::session(&hsm);
    let may = |label: &str, class| {
        let template = [Attribute::Label(label.as_bytes().to_vec()), Attribute::Class(class)];
        let found = session.find_objects(&template).unwrap();
        let wanted = [
            AttributeType::Token,
            AttributeType::Private,
            AttributeType::Sensitive,
            AttributeType::AlwaysSensitive,
            AttributeType::Extractable,
            AttributeType::NeverExtractable,
            AttributeType::Encrypt,
            AttributeType::Decrypt,
            AttributeType::Sign,
            AttributeType::Verify,
            AttributeType::Wrap,
            AttributeType::Unwrap,
            AttributeType::Derive,
            AttributeType::SignRecover,
            AttributeType::VerifyRecover,
        ];
        let told = session.get_attributes(found[0], &wanted).unwrap();
        let yes = told.iter().filter(|one| format!("{one:?}").ends_with("(true)"));
        yes.map(|one| format!("{one:?}").replace("(true)", "")).collect::<Vec<_>>().join(" ")
    };
    let kept = "Token Private Sensitive AlwaysSensitive NeverExtractable";
    assert_eq!(may("aes", ObjectClass::SECRET_KEY), format!("{kept} Encrypt Decrypt"));
    assert_eq!(may("rsa", ObjectClass::PRIVATE_KEY), format!("{kept} Sign"));
    assert_eq!(may("p256", ObjectClass::PRIVATE_KEY), format!("{kept} Sign"));
    for label in ["rsa", "p256"] {
        let public = may(label, ObjectClass::PUBLIC_KEY);
        assert_eq!(public, "Token Verify");
    }
}

#[tokio::test]
async fn a_label_has_one_key_unless_an_id_tells_them_apart() {
    let Some(hsm) = SoftHsm::in_child("a_label_has_one_key_unless_an_id_tells_them_apart") else {
        return;
    };
    create(&hsm, "k", KeyType::Aes256).await.unwrap();
    let error = create(&hsm, "k", KeyType::P256).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    let with_id = |id: &[u8], key_type| {
        let key = KeySelection::labelled("k").and_id(id);
        world::builder(&hsm).also_open(key).create_key(key_type)
    };
    let second = with_id(&[7], KeyType::Aes256).await.unwrap();
    assert_eq!(second.id, [7]);
    // Both halves of a pair would have this id.
    let error = with_id(&[7], KeyType::P256).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    let by_id = world::builder(&hsm).sealing_key(KeySelection::by_id([7])).build().await.unwrap();
    assert_eq!(by_id.sealing_key(), Some(&second.name));
    let both = KeySelection::labelled("k").and_id([7]);
    assert!(world::builder(&hsm).sealing_key(both).build().await.is_ok());
    let error = world::builder(&hsm).sealing_key("k").build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[tokio::test]
async fn half_a_pair_is_in_the_way_and_told() {
    let Some(hsm) = SoftHsm::in_child("half_a_pair_is_in_the_way_and_told") else { return };
    create(&hsm, "k", KeyType::P256).await.unwrap();
    let (_context, session) = tokens::session(&hsm);
    let private = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();
    session.destroy_object(private[0]).unwrap();
    let error = create(&hsm, "k", KeyType::P256).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.message().contains("without its private half"), "{error}");
}

/// Runs a test of this file again, as a child that does its task on the same token.
fn child(test: &str, task: &str) -> Child {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args([test, "--exact", "--nocapture"]).env(TASK, task);
    child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// All that is on the token of a label: how many private or secret keys, and how many public ones.
fn counted(hsm: &SoftHsm, label: &str) -> (usize, usize) {
    let (_context, session) = tokens::session(hsm);
    let count = |class| {
        let template = [Attribute::Label(label.as_bytes().to_vec()), Attribute::Class(class)];
        session.find_objects(&template).unwrap().len()
    };
    let whole = count(ObjectClass::PRIVATE_KEY) + count(ObjectClass::SECRET_KEY);
    (whole, count(ObjectClass::PUBLIC_KEY))
}

/// The outcome of a child's task, on a line of its own.
fn tell(outcome: &bulla::Result<CreatedKey>) {
    match outcome {
        Ok(key) => eprintln!("\nTOLD made {}", key.name),
        Err(error) => eprintln!("\nTOLD {:?} {error:?}", error.kind()),
    }
}

fn told(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = text.lines().find_map(|line| line.strip_prefix("TOLD "));
    told.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[tokio::test]
async fn of_several_processes_at_most_one_makes_a_key() {
    const TEST: &str = "of_several_processes_at_most_one_makes_a_key";
    let Some(hsm) = SoftHsm::in_child(TEST) else { return };
    if let Ok(label) = env::var(TASK) {
        return tell(&create(&hsm, &label, KeyType::Aes256).await);
    }
    let mut made = 0;
    for round in 0..6 {
        let label = format!("round-{round}");
        let children: Vec<_> = (0..4).map(|_| child(TEST, &label)).collect();
        let outcomes: Vec<_> = children.into_iter().map(told).collect();
        let ok = outcomes.iter().filter(|told| told.starts_with("made")).count();
        let others: BTreeSet<_> =
            outcomes.iter().filter(|told| !told.starts_with("made")).collect();
        assert!(ok <= 1, "{outcomes:?}");
        // Those who log in at the same moment may find no token for as long as they look for it.
        let expected = |told: &&&String| {
            !told.starts_with("AlreadyExists") && !told.starts_with("Unavailable")
        };
        assert_eq!(others.iter().find(expected), None, "{outcomes:?}");
        assert_eq!(counted(&hsm, &label).0, ok, "{outcomes:?}");
        made += ok;
    }
    assert!(made > 0);
}

/// In one process there is no other order than of the calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_tasks_at_most_one_makes_a_key() {
    let Some(hsm) = SoftHsm::in_child("of_several_tasks_at_most_one_makes_a_key") else { return };
    for key_type in [KeyType::Aes256, KeyType::P256] {
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let builder = world::builder(&hsm).also_open(key_type.as_str());
                tokio::spawn(builder.create_key(key_type))
            })
            .collect();
        let mut made = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => made += 1,
                Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}"),
            }
        }
        let (whole, public) = counted(&hsm, key_type.as_str());
        assert!(made <= 1 && whole == made, "{made} made, {whole} there");
        assert_eq!(public, if key_type.seals() { 0 } else { made });
    }
}

/// A pair comes with both halves or not at all, but for what the token itself leaves: SoftHSM writes the
/// public half first.
#[tokio::test]
async fn a_process_that_is_killed_leaves_no_private_half_alone() {
    const TEST: &str = "a_process_that_is_killed_leaves_no_private_half_alone";
    let Some(hsm) = SoftHsm::in_child(TEST) else { return };
    if env::var_os(TASK).is_some() {
        // One login for all keys: killed in a login, SoftHSM may leave half of its token's file.
        let _kept = tokens::session(&hsm);
        for round in 0.. {
            let made = create(&hsm, &format!("k{round}"), KeyType::P256).await;
            tell(&made);
            made.unwrap();
        }
    }
    let (mut whole, mut halves) = (0, 0);
    for wait in 0..12 {
        let mut child = child(TEST, "make");
        // It is killed somewhere in the next key.
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().starts_with("TOLD made")));
        thread::sleep(Duration::from_micros(1700 * wait));
        child.kill().unwrap();
        child.wait().unwrap();
        let (_context, session) = tokens::session(&hsm);
        let ids = |class| {
            let found = session.find_objects(&[Attribute::Class(class)]).unwrap();
            let id = |object| session.get_attributes(object, &[AttributeType::Id]).unwrap();
            let ids = found.into_iter().map(|object| format!("{:?}", id(object)));
            // It may leave an object that has no attributes yet either.
            ids.filter(|id| id != "[Id([])]").collect::<BTreeSet<_>>()
        };
        let (private, public) = (ids(ObjectClass::PRIVATE_KEY), ids(ObjectClass::PUBLIC_KEY));
        assert!(private.is_subset(&public), "{private:?} {public:?}");
        assert!(public.len() - private.len() <= 1, "{private:?} {public:?}");
        whole += private.len();
        halves += public.len() - private.len();
        // The next one begins with the same labels.
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            for object in session.find_objects(&[Attribute::Class(class)]).unwrap() {
                session.destroy_object(object).unwrap();
            }
        }
    }
    eprintln!("{whole} pairs whole, {halves} public halves alone");
    assert!(whole >= 12);
}

/// The token goes out and comes back while keys are made: what was left of one is taken up, removed or told.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_once_on_a_token_that_goes_out_meanwhile() {
    let Some(hsm) = SoftHsm::in_child("a_key_is_made_once_on_a_token_that_goes_out_meanwhile")
    else {
        return;
    };
    let place = fs::read_dir(&hsm.tokens).unwrap().next().unwrap().unwrap().path();
    let away = hsm.tokens.with_extension("away");
    let stop = Arc::new(AtomicBool::new(false));
    let flipper = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || {
            for round in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep(Duration::from_millis(60 + round % 7 * 5));
                fs::rename(&place, &away).unwrap();
                thread::sleep(Duration::from_millis(3));
                fs::rename(&away, &place).unwrap();
            }
        })
    };
    let mut outcomes = Vec::new();
    for round in 0..12 {
        outcomes.push(create(&hsm, &format!("k{round}"), KeyType::P256).await);
    }
    stop.store(true, Ordering::Relaxed);
    flipper.join().unwrap();
    create(&hsm, "last", KeyType::P256).await.unwrap();
    // What the library knows of the token may be from before.
    Context::new(&hsm.module).unwrap().finalize().unwrap();
    for (round, outcome) in outcomes.iter().enumerate() {
        let (whole, public) = counted(&hsm, &format!("k{round}"));
        match outcome {
            Ok(_) => assert_eq!((whole, public), (1, 1), "{round}"),
            Err(error) => {
                eprintln!("{round}: {error}, {whole} and {public} there");
                // SoftHSM may have written the label of half a pair and not its id.
                let of_half = error.message().contains("without its private half");
                let lost = error.message().contains("may be on the token");
                assert!(error.kind() == ErrorKind::Unavailable || of_half, "{error}");
                assert!(whole + public == 0 || lost || of_half, "{error}");
            }
        }
    }
}
