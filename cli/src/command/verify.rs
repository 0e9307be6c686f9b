//! `bulla verify`.

use bulla::stream::{DecryptReader, Parallel};

use crate::{
    Session,
    args::Verify,
    failure::Outcome,
    input::{Sealed, Source},
    opening::Prepared,
    progress::Progress,
    pump::{is_large, pump, pump_large},
    stdio,
};

pub(crate) fn run(args: Verify, session: &Session) -> Outcome<()> {
    let opening = Prepared::new(args.opening, session)?;
    let source = Source::choose(args.file)?;
    let mut sealed = source.open()?.into_sealed()?;
    let header = opening.open_to_verify(&mut sealed, &source, session)?;
    let compressed = match header.header().transform()? {
        None => String::new(),
        Some(transform) => format!(" as it was compressed ({transform})"),
    };
    let mut progress = Progress::new(sealed.len, false);
    let Sealed { reader, name, len: sealed_len, .. } = sealed;
    let mut len = 0;
    let count = |piece: &[u8]| {
        len += piece.len() as u64;
        Ok(())
    };
    // The end comes without an error only where the message ends.
    if is_large(sealed_len) {
        pump_large(reader, &name, &mut progress, count, |from, to| {
            Parallel::new().decrypt(header, from, to).map(drop)
        })?;
    } else {
        pump(&mut DecryptReader::new(header, reader), &name, &mut progress, count)?;
    }
    drop(progress);
    stdio::print(&format!("{name}: verified, {len} bytes of plaintext{compressed}\n"))
}
