//! Making a key on the token, whole or not at all, and only one of a label.

use std::{
    thread,
    time::{Duration, Instant},
};

use bulla::{Error, ErrorKind, Result, provider::Role};
use cryptoki::{
    mechanism::{Mechanism, MechanismType},
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
};

use crate::{
    error::{Fault, fault},
    key_type::KeyType,
    object::{Described, unsupported},
    selection::{KeySelection, hex},
    template::{Template, mechanisms, template},
    token::Work,
};

/// How long a rival's key is waited for to go away. Whoever yields does so as soon as it has looked, a few
/// calls after it has made its own.
const RIVAL: Duration = Duration::from_secs(3);

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How often a token is asked that says it can't do something. SoftHSM says so at times, or does not tell all of a key,
/// while other sessions make and remove theirs; a token that means it says it again.
const ASKED: usize = 3;

const ALL: [ObjectClass; 3] =
    [ObjectClass::SECRET_KEY, ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY];

/// What a key is whole with: the public half alone is none.
const WHOLE: [ObjectClass; 2] = [ObjectClass::SECRET_KEY, ObjectClass::PRIVATE_KEY];

/// A key that is to be.
#[derive(Clone, Debug)]
pub(crate) struct NewKey {
    pub(crate) label: String,
    pub(crate) id: Vec<u8>,
    /// Whether the id was drawn at random, so that nobody else's key has it.
    pub(crate) id_is_ours: bool,
    pub(crate) key_type: KeyType,
}

impl NewKey {
    /// For messages.
    fn describe(&self) -> String {
        KeySelection::labelled(&self.label).and_id(self.id.clone()).describe()
    }

    fn by_id(&self) -> KeySelection {
        KeySelection::by_id(self.id.clone())
    }

    /// What another key must not be. Who gives an id tells keys of one label apart by it.
    fn apart(&self) -> KeySelection {
        match self.id_is_ours {
            true => KeySelection::labelled(&self.label),
            false => self.by_id(),
        }
    }
}

impl Work<'_> {
    /// Makes a key. A second call with the same one after a loss takes up what the first has left.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if there is such a key, or somebody else was making one at the same
    /// moment; [`ErrorKind::Denied`] if the token can't be written to; [`ErrorKind::Unsupported`] if it
    /// has no mechanism for this type.
    pub(crate) fn create(&self, new: &NewKey) -> Result<Described, Fault> {
        let gcm = self.check_mechanisms(new)?;
        if self.login.write_protected {
            return Err(read_only(&self.login.label));
        }
        let made = Making { work: self, session: self.session, new }.make(gcm);
        made.map_err(|fault| match fault {
            // SoftHSM says so of objects that another process removes at that moment. Trying anew makes no
            // second key where its id is known to be one's own.
            Fault::Doubtful(error) if new.id_is_ours => Fault::lost(error),
            other => other,
        })
    }

    /// Removes what was made of a key, if it is known to be ours. That it is whole is no reason to keep it: it
    /// was not looked at.
    pub(crate) fn forget(&self, new: &NewKey) -> Result<(), Fault> {
        let making = Making { work: self, session: self.session, new };
        let left = making.find(&new.by_id(), &ALL)?;
        // Some modules show a token that is out as if it were empty.
        let info = self.context.get_token_info(self.login.slot);
        match making.destroy(&left) && info.is_ok_and(|info| info.token_initialized()) {
            true => Ok(()),
            false => Err(Fault::lost(Error::new(ErrorKind::Unavailable, "the token is out"))),
        }
    }

    /// Tells whether the token has AES-GCM.
    fn check_mechanisms(&self, new: &NewKey) -> Result<bool, Fault> {
        let there = self.context.get_mechanism_list(self.login.slot);
        let there = there.map_err(|e| fault(&e, "the list of mechanisms"))?;
        let (makes, use_it) = mechanisms(new.key_type);
        if !there.contains(&makes) || !use_it.iter().any(|one| there.contains(one)) {
            return Err(unsupported(format!(
                "token {:?} has no mechanism to make keys of type {} and to use them",
                self.login.label, new.key_type
            )));
        }
        Ok(there.contains(&MechanismType::AES_GCM))
    }
}

/// One key on its way.
struct Making<'a> {
    work: &'a Work<'a>,
    session: &'a Session,
    new: &'a NewKey,
}

impl Making<'_> {
    fn make(&self, gcm: bool) -> Result<Described, Fault> {
        let own = match self.left_by_an_attempt()? {
            Some(own) => own,
            None => {
                self.refuse_another()?;
                match self.new.id_is_ours {
                    true => asked(|| self.generate_whole(gcm))?,
                    false => self.generate(gcm)?,
                }
            }
        };
        let settled = asked(|| self.check(&own)).and_then(|()| self.settle(&own));
        let described =
            settled.and_then(|()| asked(|| self.work.describe(&self.new.by_id(), Role::Either)));
        match described {
            // It may all be there after the loss, so it is for the next attempt to say.
            Err(Fault::Lost(_)) | Ok(_) => described,
            Err(Fault::Doubtful(_)) if self.new.id_is_ours => described,
            // The key was there a moment ago, so it is the token that is not.
            Err(Fault::Final(error)) if error.kind() == ErrorKind::NotFound => {
                let message = format!("token {:?} went out", self.work.login.label);
                Err(Fault::lost(Error::new(ErrorKind::Unavailable, message).with_source(error)))
            }
            Err(fault) => Err(self.without(&own, fault)),
        }
    }

    /// What an attempt before this one has made, if it was lost on the way. Half a pair is removed.
    fn left_by_an_attempt(&self) -> Result<Option<Vec<ObjectHandle>>, Fault> {
        if !self.new.id_is_ours {
            return Ok(None);
        }
        let whole = self.find(&self.new.by_id(), &WHOLE)?;
        let all = self.find(&self.new.by_id(), &ALL)?;
        let wanted = if self.new.key_type.seals() { 1 } else { 2 };
        if !whole.is_empty() && all.len() == wanted {
            return Ok(Some(all));
        }
        self.destroy(&all);
        Ok(None)
    }

    fn refuse_another(&self) -> Result<(), Fault> {
        let wanted = self.new.apart();
        if !self.find(&wanted, &WHOLE)?.is_empty() {
            return Err(exists(format!(
                "{} is on token {:?} already; choose another label, or give the new key an id of its \
                 own",
                wanted.describe(),
                self.work.login.label
            )));
        }
        // Neither is it known whose it is, nor would others find their way between the two.
        if !self.find(&wanted, &[ObjectClass::PUBLIC_KEY])?.is_empty() {
            return Err(exists(format!(
                "a public key without its private half is on token {:?} as {}: it was put there, or a \
                 run that was killed has left it; delete it with the vendor's tool, or choose another \
                 label",
                self.work.login.label,
                wanted.describe()
            )));
        }
        Ok(())
    }

    fn generate(&self, gcm: bool) -> Result<Vec<ObjectHandle>, Fault> {
        let NewKey { label, id, key_type, .. } = self.new;
        let made = match template(*key_type, label, id, gcm) {
            Template::Secret(template) => self
                .session
                .generate_key(&Mechanism::AesKeyGen, &template)
                .map(|handle| vec![handle]),
            Template::Pair { mechanism, public, private } => self
                .session
                .generate_key_pair(&mechanism, &public, &private)
                .map(|(public, private)| vec![private, public]),
        };
        made.map_err(|error| fault(&error, &format!("new {}", self.new.describe())))
    }

    /// Nothing is left of a key that is not as it should be, as far as that is known.
    fn generate_whole(&self, gcm: bool) -> Result<Vec<ObjectHandle>, Fault> {
        let own = self.generate(gcm).inspect_err(|_| self.remove_left_overs())?;
        match asked(|| self.check(&own)) {
            Ok(()) => Ok(own),
            Err(fault) => Err(self.without(&own, fault)),
        }
    }

    /// By the standard nothing is there after a failure. Only for an id that is ours: nothing of it is another's.
    fn remove_left_overs(&self) {
        drop(self.find(&self.new.by_id(), &ALL).map(|left| self.destroy(&left)));
    }

    /// Some tokens don't say that they make less of an attribute.
    fn check(&self, own: &[ObjectHandle]) -> Result<(), Fault> {
        const WANTED: &[AttributeType] =
            &[AttributeType::Token, AttributeType::Sensitive, AttributeType::Extractable];
        let Some(secret) = own.first() else { return Ok(()) };
        let told = self.session.get_attributes(*secret, WANTED);
        let told = told.map_err(|e| fault(&e, &self.new.describe()))?;
        let kept =
            [Attribute::Token(true), Attribute::Sensitive(true), Attribute::Extractable(false)];
        match kept.iter().all(|one| told.contains(one)) {
            true => Ok(()),
            false => Err(unsupported(format!(
                "token {:?} makes keys of type {} that can be taken out of it",
                self.work.login.label, self.new.key_type
            ))),
        }
    }

    /// Sees to it that of several who make a key of one label at once, at most one keeps it. There is no
    /// lock in PKCS #11, but everybody looks after they have made theirs, so the last to make one sees all
    /// others. Who sees a rival with a lower id yields at once. Who has the lowest waits for the others to
    /// yield, and does so itself if they don't: they may have looked before it came.
    fn settle(&self, own: &[ObjectHandle]) -> Result<(), Fault> {
        let until = Instant::now() + RIVAL;
        loop {
            let mut rivals = self.find(&self.new.apart(), &WHOLE)?;
            rivals.retain(|rival| !own.contains(rival));
            if rivals.is_empty() {
                return Ok(());
            }
            if Instant::now() >= until || self.any_is_lower(&rivals)? {
                return Err(exists(format!(
                    "another {} was made on token {:?} at the same moment; use that one, or start anew",
                    self.new.apart().describe(),
                    self.work.login.label
                )));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// The same id counts as lower: then both yield. A rival that is gone by now has yielded.
    fn any_is_lower(&self, rivals: &[ObjectHandle]) -> Result<bool, Fault> {
        for rival in rivals {
            match self.session.get_attributes(*rival, &[AttributeType::Id]).as_deref() {
                Ok([Attribute::Id(id)]) if *id <= self.new.id => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Removes what was made. If that fails it is tried anew, or else said.
    fn without(&self, own: &[ObjectHandle], fault: Fault) -> Fault {
        if self.destroy(own) {
            return fault;
        }
        if self.new.id_is_ours {
            return Fault::lost(fault.into_error());
        }
        let error = fault.into_error();
        let message = format!(
            "{}; and what was made could not be removed: delete what has id {} with the vendor's tool",
            error.message(),
            hex(&self.new.id)
        );
        Fault::Final(Error::new(error.kind(), message))
    }

    /// Whether all are gone.
    fn destroy(&self, objects: &[ObjectHandle]) -> bool {
        let stays = |object: &&ObjectHandle| self.session.destroy_object(**object).is_err();
        objects.iter().filter(stays).count() == 0
    }

    fn find(
        &self,
        wanted: &KeySelection,
        classes: &[ObjectClass],
    ) -> Result<Vec<ObjectHandle>, Fault> {
        let mut found = Vec::new();
        for class in classes {
            let handles = self.session.find_objects(&wanted.template(*class));
            found.extend(handles.map_err(|e| fault(&e, &wanted.describe()))?);
        }
        Ok(found)
    }
}

/// Asks until the answer is another one than that the token can't.
fn asked<T>(ask: impl Fn() -> Result<T, Fault>) -> Result<T, Fault> {
    for _ in 1..ASKED {
        match ask() {
            Err(Fault::Final(error)) if error.kind() == ErrorKind::Unsupported => {
                thread::sleep(LOOK_AGAIN);
            }
            other => return other,
        }
    }
    ask()
}

fn exists(message: String) -> Fault {
    Fault::Final(Error::new(ErrorKind::AlreadyExists, message))
}

fn read_only(token: &str) -> Fault {
    let message = format!("token {token:?} is write-protected, so no key can be made on it");
    Fault::Final(Error::new(ErrorKind::Denied, message))
}
