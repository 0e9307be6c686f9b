//! The engine over [`std::io`].

use std::io::{self, BufRead, Read, Write};

use super::{
    encryptor::copy_prefix,
    engine::{Engine, Reader, Writer},
};
use crate::error::{Error, Result};

impl<E: Engine, R: Read> BufRead for Reader<E, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.engine.output().is_empty() && !self.engine.is_done() {
            match self.inner.read(self.engine.space()) {
                // An empty space with no output is an engine that has failed: `finish` says so.
                Ok(0) => self.engine.finish()?,
                Ok(len) => self.engine.advance(len).inspect_err(|_| self.engine.abort())?,
                Err(error) => {
                    if !is_passing(&error) {
                        self.engine.abort();
                    }
                    return Err(error);
                }
            }
        }
        Ok(self.engine.output())
    }

    fn consume(&mut self, len: usize) {
        self.engine.consume(len);
    }
}

impl<E: Engine, R: Read> Read for Reader<E, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let len = copy_prefix(self.fill_buf()?, buf);
        self.consume(len);
        Ok(len)
    }
}

impl<E: Engine, W: Write> Writer<E, W> {
    /// Ends the message, flushes and hands the inner writer back.
    ///
    /// Call it only when everything was written that should be, and on a writer that blocks: one
    /// that answers [`WouldBlock`](io::ErrorKind::WouldBlock) here has lost the message.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) if the inner writer fails; as for
    /// [`Encryptor::finish`](super::Encryptor::finish) and
    /// [`Decryptor::finish`](super::Decryptor::finish). In each case the message is not whole.
    pub fn finish(mut self) -> Result<W> {
        self.drain().map_err(Error::from_io)?;
        self.engine.finish()?;
        self.drain().map_err(Error::from_io)?;
        loop {
            match self.inner.flush() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::from_io(error)),
                Ok(()) => return Ok(self.inner),
            }
        }
    }

    fn drain(&mut self) -> io::Result<()> {
        while !self.engine.output().is_empty() {
            match self.inner.write(self.engine.output()) {
                Ok(0) => {
                    self.engine.abort();
                    return Err(io::ErrorKind::WriteZero.into());
                }
                Ok(len) => self.engine.consume(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if !is_passing(&error) {
                        self.engine.abort();
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl<E: Engine, W: Write> Write for Writer<E, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.drain()?;
        Ok(self.engine.push(buf)?)
    }

    /// Hands on what whole chunks have become; never cuts a chunk short.
    fn flush(&mut self) -> io::Result<()> {
        self.drain()?;
        self.inner.flush()
    }
}

/// Whether the same call may go on later: then the message is not lost.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}
