//! From arguments to an opened header, for every command that opens sealed data.

use bulla::{Context, EncryptionContext, ErrorKind, OpenedHeader, stream::read_head};

use crate::{
    Session,
    args::Opening,
    context,
    failure::{Failure, Outcome},
    input::{Sealed, Source},
    providers::Keys,
    say, shown,
};

/// Arguments that were found sound.
pub(crate) struct Prepared {
    keys: Keys,
    context: EncryptionContext,
    take_stored: bool,
}

impl Prepared {
    pub(crate) fn new(args: Opening) -> Outcome<Self> {
        let Opening { keys, context, stored_context } = args;
        let keys = Keys::parse(&keys)?;
        Ok(Self { keys, context: context::to_open(context)?, take_stored: stored_context })
    }

    /// Reads and opens the head. The reader then stands at the first chunk.
    pub(crate) fn open(
        self,
        sealed: &mut Sealed,
        source: &Source,
        session: &Session,
    ) -> Outcome<OpenedHeader> {
        let name = &sealed.name;
        let head = read_head(&mut sealed.reader)
            .map_err(|e| if e.kind() == ErrorKind::Io { read_error(e) } else { e.into() })
            .map_err(|failure| failure.at(name))?;
        let opener = self.keys.opener()?;
        let opened = if self.take_stored {
            context::beyond(head.header().stored_context(), &self.context).and_then(|unstored| {
                let opening = opener.open_head_with_stored_context(head, &unstored);
                session.runtime.block_on(opening).map_err(Failure::from)
            })
        } else {
            let context = Context::from(self.context);
            session.runtime.block_on(opener.open_head(head, &context)).map_err(Failure::from)
        };
        let opened = opened.map_err(|failure| explain(failure.at(name), source))?;
        if self.take_stored {
            show_stored(opened.header().stored_context());
        }
        Ok(opened)
    }
}

/// The library wraps what a reader said; its user needs only that.
fn read_error(error: bulla::Error) -> Failure {
    match std::error::Error::source(&error) {
        Some(cause) => Failure::other(cause.to_string()),
        None => error.into(),
    }
}

/// What may help those who can't open.
pub(crate) fn explain(failure: Failure, source: &Source) -> Failure {
    let file = source.argument();
    failure
        .hint_if(ErrorKind::ContextMismatch, || {
            format!("`bulla inspect {file}` shows the stored pairs; give them with --context")
        })
        .hint_if(ErrorKind::NotAuthentic, || {
            "pairs that were sealed with --required-context must be given with --context".to_owned()
        })
        .hint_if(ErrorKind::NoRecipient, || "`bulla keys list` shows the keys here".to_owned())
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
