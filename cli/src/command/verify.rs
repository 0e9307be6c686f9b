//! `bulla verify`.

use bulla::stream::DecryptReader;

use crate::{
    Session, args::Verify, failure::Outcome, input::Source, opening::Prepared, progress::Progress,
    pump::pump, stdio,
};

pub(crate) fn run(args: Verify, session: &Session) -> Outcome<()> {
    let opening = Prepared::new(args.opening, session)?;
    let source = Source::choose(args.file)?;
    let mut sealed = source.open()?.into_sealed()?;
    let header = opening.open(&mut sealed, &source, session)?;
    let mut progress = Progress::new(sealed.len, false);
    let mut reader = DecryptReader::new(header, sealed.reader);
    let mut len = 0;
    // The end comes without an error only where the message ends.
    pump(&mut reader, &sealed.name, &mut progress, |piece| {
        len += piece.len() as u64;
        Ok(())
    })?;
    drop(progress);
    stdio::print(&format!("{}: verified, {len} bytes of plaintext\n", sealed.name))
}
