//! From arguments to an opened header, for every command that opens sealed data.

use std::io::Read;

use bulla::{
    Context, EncryptionContext, ErrorKind,
    format::{Header, Opening, Preamble},
    stream::read_preamble,
};

use crate::{
    Session,
    args::OpenArgs,
    config, context,
    failure::{Failure, Outcome},
    input::{Sealed, Source},
    passphrases::Passphrases,
    providers::{Keys, Openers},
    say, shown,
};

/// Arguments that were found sound.
pub(crate) struct Prepared {
    keys: Keys,
    passphrases: Passphrases,
    context: EncryptionContext,
    take_stored: bool,
}

impl Prepared {
    pub(crate) fn new(args: OpenArgs, session: &Session) -> Outcome<Self> {
        let OpenArgs { keys, context, stored_context, passphrases } = args;
        let config = config::load(session.config.as_deref())?;
        let keys = Keys::choose(config.as_ref(), &keys)?;
        let context = context::to_open(context)?;
        let passphrases = Passphrases::new(&passphrases.files, &session.cleanup)?;
        Ok(Self { keys, passphrases, context, take_stored: stored_context })
    }

    /// Reads and opens the head. The reader then stands at the first chunk.
    pub(crate) fn open(
        self,
        sealed: &mut Sealed,
        source: &Source,
        session: &Session,
    ) -> Outcome<Opening> {
        let head = head(&mut sealed.reader, &sealed.name)?;
        refuse_transformed(head.header()).map_err(|failure| failure.at(&sealed.name))?;
        self.begin(head, sealed, source, session)
    }

    /// The same for those who hand out nothing of what opens: it may be compressed.
    pub(crate) fn open_to_verify(
        self,
        sealed: &mut Sealed,
        source: &Source,
        session: &Session,
    ) -> Outcome<Opening> {
        let head = head(&mut sealed.reader, &sealed.name)?;
        self.begin(head, sealed, source, session)
    }

    fn begin(
        self,
        head: Preamble,
        sealed: &Sealed,
        source: &Source,
        session: &Session,
    ) -> Outcome<Opening> {
        let name = &sealed.name;
        let elsewhere = is_elsewhere(head.header());
        let context = self.context_of(head.header());
        let Openers { opener, unopened } =
            self.keys.opener(head.header(), &self.passphrases, &session.runtime)?;
        let opened = context.and_then(|context| {
            session.runtime.block_on(opener.begin(head, &context)).map_err(Failure::from)
        });
        let opened = opened.map_err(|failure| {
            explain(failure.at(name), source, self.passphrases.used(), elsewhere, unopened)
        })?;
        if self.take_stored {
            show_stored(opened.header().stored_context());
        }
        Ok(opened)
    }

    /// The pairs that were given and, if they are to be taken from there, those of the header.
    fn context_of(&self, header: &Header) -> Outcome<Context> {
        let context = if self.take_stored {
            let stored = header.stored_context();
            Context::from_parts(stored.clone(), context::beyond(stored, &self.context)?)?
        } else {
            Context::from(self.context.clone())
        };
        Ok(match header.transform()? {
            None => context,
            Some(transform) => context.with_transform(transform)?,
        })
    }
}

/// Reads the head of a message.
pub(crate) fn head(reader: &mut impl Read, name: &str) -> Outcome<Preamble> {
    read_preamble(reader)
        .map_err(|e| if e.kind() == ErrorKind::Io { read_error(e) } else { e.into() })
        .map_err(|failure| failure.at(name))
}

/// What opens of such a message is not its plaintext, which this command has no way back to.
fn refuse_transformed(header: &Header) -> Outcome<()> {
    let Some(transform) = header.transform()? else { return Ok(()) };
    let text = format!(
        "the plaintext was compressed ({transform}) before it was sealed, and this command does not \
         decompress"
    );
    let failure = Failure::from(bulla::Error::new(ErrorKind::Unsupported, text));
    Err(failure.hint("programs open it with the crate bulla-pipeline"))
}

/// The library wraps what a reader said; its user needs only that.
fn read_error(error: bulla::Error) -> Failure {
    match std::error::Error::source(&error) {
        Some(cause) => Failure::other(cause.to_string()),
        None => error.into(),
    }
}

/// Whether no key of a local store opens it.
pub(crate) fn is_elsewhere(header: &Header) -> bool {
    header.recipients().iter().all(|recipient| recipient.key.scheme() != "local")
}

/// What may help those who can't open. `locked` is whether a passphrase was asked for, `elsewhere`
/// whether the file is sealed to no local key.
pub(crate) fn explain(
    failure: Failure,
    source: &Source,
    locked: bool,
    elsewhere: bool,
    unopened: Vec<Failure>,
) -> Failure {
    let file = source.argument();
    let failure = match failure.kind() {
        Some(ErrorKind::NoRecipient) => without(failure, unopened),
        _ => failure,
    };
    failure
        .hint_if(ErrorKind::ContextMismatch, || {
            format!("`bulla inspect {file}` shows the stored pairs; give them with --context")
        })
        .hint_if(ErrorKind::NotAuthentic, || {
            let pairs = "pairs sealed with --required-context must be given with --context";
            if locked { format!("is it the right passphrase? {pairs}") } else { pairs.to_owned() }
        })
        .hint_if(ErrorKind::Disabled, || {
            "`bulla keys enable` lets it open again; `bulla keys list` shows the keys".to_owned()
        })
        .hint_if(ErrorKind::NoRecipient, || if elsewhere { ELSEWHERE } else { HERE }.to_owned())
}

const HERE: &str = "`bulla keys list` shows the keys here";
const ELSEWHERE: &str = "name the key in the configuration or, where there is --key, by its URI: \
                         no key is asked because a file names it";

/// No key that could be had opens it. If others could not be asked because of an outage, that is
/// what is the matter, as far as is known.
fn without(failure: Failure, mut unopened: Vec<Failure>) -> Failure {
    let outage = unopened.iter().position(Failure::may_pass);
    let failure = match outage {
        Some(place) => unopened.remove(place).hint(failure.message()),
        None => failure,
    };
    unopened.into_iter().fold(failure, |failure, key| {
        failure.hint(format!("this key could not be tried: {}", key.message()))
    })
}

fn show_stored(stored: &EncryptionContext) {
    if stored.is_empty() {
        return say::note("the stored context is empty");
    }
    say::note("opened under the context stored in the file itself:");
    for (key, value) in stored.iter() {
        say::detail(&format!("{} = {}", shown::token(key), shown::token(value)));
    }
}
