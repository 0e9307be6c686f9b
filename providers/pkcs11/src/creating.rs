//! From what the application said to a new key on the token.

use std::{fmt::Write as _, path::Path, sync::Arc};

use bulla::{Error, ErrorKind, KeyName, KeyUri, Result, provider::Role};
use cryptoki::object::ObjectClass;

use crate::{
    bound::{self, SCHEME},
    create::NewKey,
    key_type::KeyType,
    pin::Pin,
    selection::{KeySelection, TokenSelection, hex},
    settings::Pkcs11Builder,
    token::Token,
};

/// Bytes of an id that is drawn.
const ID_LEN: usize = 16;

/// A key that was made on a token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreatedKey {
    /// The key, as a configuration names it: the token by its label, the key by label and id, and the
    /// module and the PIN's file if they were given and do not come from the environment.
    pub uri: KeyUri,
    /// The key, as headers name it.
    pub name: KeyName,
    /// CKA_ID.
    pub id: Vec<u8>,
    /// What kind of key it is.
    pub key_type: KeyType,
}

impl Pkcs11Builder {
    /// Makes the one key that is bound here, by its label, on the token: sensitive, not extractable, and
    /// allowed what its type is for. It gets an id (CKA_ID) of 16 random bytes unless one was given.
    ///
    /// There is one key of a label. With an id that was given, there may be others whose ids are other
    /// ones. PKCS #11 has no lock: of several processes that make a key of one label at the same moment, at
    /// most one succeeds, and it may be that none does. A process that is killed after the key was made
    /// leaves it, whole.
    ///
    /// ```no_run
    /// use bulla_pkcs11::{KeyType, Pkcs11};
    ///
    /// # async fn example() -> bulla::Result<()> {
    /// let builder = Pkcs11::builder().token("hsm").sealing_key("orders");
    /// let key = builder.clone().create_key(KeyType::Aes256).await?;
    /// println!("{}", key.uri);
    /// let hsm = builder.build().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if there is such a key; [`ErrorKind::Denied`] if the token can't be
    /// written to, or refuses the PIN; [`ErrorKind::Unsupported`] if it can't make keys of this type;
    /// [`ErrorKind::InvalidInput`] if not one key is bound, or it has no label or another type; and as
    /// [`build`](Self::build). Nothing is on the token
    /// then, unless the message says so.
    pub async fn create_key(self, key_type: KeyType) -> Result<CreatedKey> {
        let label: Arc<str> = self.label.as_deref().unwrap_or(SCHEME).into();
        self.create(key_type).await.map_err(|e| e.with_provider(label))
    }

    async fn create(mut self, key_type: KeyType) -> Result<CreatedKey> {
        let new = new_key(std::mem::take(&mut self.keys), key_type)?;
        let (selection, module, pin) = (self.token.clone(), self.module.clone(), self.pin.clone()?);
        let token = self.open().await?;
        // What might be refused is found before there is a key.
        let on = token.run(|work| Ok(work.login.label.clone())).await?;
        let uri = uri(&on, &selection, &new, module.as_deref(), &pin)?;
        let name = bound::name(&on, &new.id)?;
        let id = new.id.clone();
        let made = {
            let new = new.clone();
            token.run_patiently(move |work| work.create(&new)).await
        };
        let made = match made {
            // Whatever else went wrong, it was cleared up there.
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                Err(cleared(&token, new, error).await)
            }
            other => other,
        };
        let closing = Arc::clone(&token);
        drop(tokio::task::spawn_blocking(move || closing.close()).await);
        made.map(|_| CreatedKey { uri, name, id, key_type })
    }
}

/// Removes what a token has of a key that was away while it was made, or else says so in the error.
async fn cleared(token: &Arc<Token>, new: NewKey, error: Error) -> Error {
    let id = hex(&new.id);
    if new.id_is_ours && token.run_patiently(move |work| work.forget(&new)).await.is_ok() {
        return error;
    }
    let message = format!(
        "{}; a key with id {id}, or half of one, may be on the token: look, and delete it",
        error.message()
    );
    Error::new(error.kind(), message)
}

/// The one key that is bound, as one to be made.
fn new_key(keys: Vec<(Result<KeySelection>, Role)>, key_type: KeyType) -> Result<NewKey> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidInput, message);
    let mut keys = keys.into_iter();
    let (Some((key, role)), None) = (keys.next(), keys.next()) else {
        return Err(invalid("bind one key, which is to be made".to_owned()));
    };
    let KeySelection { label, id, class } = key?;
    let seals = class.map(|class| class == ObjectClass::SECRET_KEY).or(match role {
        Role::Sealing => Some(true),
        Role::Signing => Some(false),
        Role::Either | Role::Opening => None,
    });
    if seals.is_some_and(|seals| seals != key_type.seals()) {
        let what = if key_type.seals() { "seals" } else { "signs" };
        return Err(invalid(format!(
            "a key of type {key_type} {what}, which is not what is asked for"
        )));
    }
    let label = label
        .filter(|label| !label.is_empty())
        .ok_or_else(|| invalid("a new key needs a label: `object` in the URI".to_owned()))?;
    let id_is_ours = id.is_none();
    let id = id.map_or_else(random_id, Ok)?;
    Ok(NewKey { label, id, id_is_ours, key_type })
}

fn random_id() -> Result<Vec<u8>> {
    let mut id = vec![0; ID_LEN];
    getrandom::fill(&mut id).map_err(|_| {
        Error::new(ErrorKind::Internal, "the operating system's random generator failed")
    })?;
    Ok(id)
}

/// A URI that leads to the key from this machine. The token is named as it was here, and by its label, which
/// its keys are named with in headers.
fn uri(
    token: &str,
    selection: &TokenSelection,
    new: &NewKey,
    module: Option<&Path>,
    pin: &Pin,
) -> Result<KeyUri> {
    let mut uri = format!("{SCHEME}:token=");
    encode(&mut uri, token.as_bytes());
    let more = [
        (";manufacturer=", &selection.manufacturer),
        (";serial=", &selection.serial),
        (";model=", &selection.model),
    ];
    for (name, value) in more {
        if let Some(value) = value {
            uri.push_str(name);
            encode(&mut uri, value.as_bytes());
        }
    }
    uri.push_str(";object=");
    encode(&mut uri, new.label.as_bytes());
    uri.push_str(";id=");
    encode(&mut uri, &new.id);
    if let Some(slot) = selection.slot {
        let _ = write!(uri, ";slot-id={slot}");
    }
    let source = match pin {
        Pin::File(path) => path.to_str().map(|path| format!("file:{path}")),
        Pin::Given(_) | Pin::Variable(_) => None,
    };
    let module = module.and_then(Path::to_str).map(str::to_owned);
    let mut separator = '?';
    for (name, value) in [("pin-source=", source), ("module-path=", module)] {
        if let Some(value) = value {
            uri.push(separator);
            uri.push_str(name);
            encode(&mut uri, value.as_bytes());
            separator = '&';
        }
    }
    uri.parse()
}

/// Percent-encodes all but what is unreserved (RFC 3986, section 2.3).
fn encode(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(*byte));
            }
            other => {
                let _ = write!(out, "%{other:02x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_by_a_uri_is_found_by_it() {
        let selection = TokenSelection {
            serial: Some("a b".to_owned()),
            slot: Some(7),
            ..TokenSelection::default()
        };
        let new = NewKey {
            label: "or;ders".to_owned(),
            id: vec![0, 255],
            id_is_ours: true,
            key_type: KeyType::Aes256,
        };
        let pin = Pin::parse_source("file:/run/pin").unwrap();
        let uri =
            uri("h s\u{fc}m", &selection, &new, Some(Path::new("/lib/x y.so")), &pin).unwrap();
        let KeyUri::Pkcs11(parsed) = &uri else { panic!("{uri}") };
        let wanted = TokenSelection { label: Some("h s\u{fc}m".to_owned()), ..selection };
        assert_eq!(TokenSelection::of(parsed), wanted);
        assert_eq!((parsed.object(), parsed.id()), (Some("or;ders"), Some(&[0, 255][..])));
        assert_eq!(parsed.pin_source(), Some("file:/run/pin"));
        assert_eq!(parsed.module_path(), Some("/lib/x y.so"));
    }

    #[test]
    fn a_key_that_is_to_be_made_has_a_label_and_one_use() {
        let kind = |key, role, key_type| {
            let made = new_key(vec![(Ok(key), role)], key_type);
            made.map_or_else(|error| Some(error.kind()), |_| None)
        };
        let (labelled, invalid): (fn(&'static str) -> _, _) =
            (KeySelection::from, Some(ErrorKind::InvalidInput));
        assert_eq!(kind(labelled("a"), Role::Either, KeyType::P256), None);
        assert_eq!(kind(labelled("a"), Role::Sealing, KeyType::Aes256), None);
        assert_eq!(kind(labelled("a"), Role::Sealing, KeyType::P256), invalid);
        assert_eq!(kind(labelled("a"), Role::Signing, KeyType::Aes256), invalid);
        assert_eq!(kind(labelled(""), Role::Either, KeyType::P256), invalid);
        assert_eq!(kind(KeySelection::by_id([1]), Role::Either, KeyType::P256), invalid);
        let secret = KeySelection { class: Some(ObjectClass::SECRET_KEY), ..labelled("a") };
        assert_eq!(kind(secret, Role::Either, KeyType::P256), invalid);
    }

    #[test]
    fn types_have_names_that_are_read_again() {
        for key_type in KeyType::ALL {
            assert_eq!(key_type.as_str().parse::<KeyType>().unwrap(), key_type);
        }
        assert_eq!("des".parse::<KeyType>().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
