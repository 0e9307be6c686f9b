//! Where the PIN comes from, and logging in with it.

use std::{env, fmt, fs::File, io::Read as _, path::PathBuf};

use bulla::{Error, ErrorKind, Result};
use cryptoki::{
    error::{Error as Reported, RvError},
    session::{Session, UserType},
    slot::TokenInfo,
};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::{
    error::{Fault, fault},
    module::Module,
};

/// Where a PIN is looked for if none is given.
const VARIABLE: &str = "BULLA_PKCS11_PIN";

/// The most bytes of a file with a PIN.
const MAX_LEN: usize = 1024;

/// Where the PIN comes from. A file and a variable are read at each login, so that a PIN that was
/// changed needs no restart.
#[derive(Clone)]
pub(crate) enum Pin {
    Given(SecretString),
    File(PathBuf),
    Variable(String),
}

impl Default for Pin {
    fn default() -> Self {
        Self::Variable(VARIABLE.to_owned())
    }
}

impl Pin {
    /// A `pin-source` of RFC 7512, of which `file:` with an absolute path is taken.
    pub(crate) fn parse_source(source: &str) -> Result<Self> {
        let path = source.strip_prefix("file:").map(|path| match path.strip_prefix("//") {
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        });
        match path.filter(|path| path.starts_with('/') && !path.starts_with("//")) {
            Some(path) => Ok(Self::File(path.into())),
            None => Err(Error::new(
                ErrorKind::InvalidInput,
                "pin-source is not `file:` and an absolute path, which is all that is taken",
            )),
        }
    }

    /// Logs in, if the token wants that. A PIN that the token has refused is not tried again, by
    /// whichever provider.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] with what to do about the PIN; [`ErrorKind::InvalidInput`] if there is
    /// none.
    pub(crate) fn log_in(
        &self,
        session: &Session,
        token: &TokenInfo,
        module: &Module,
        accepted_before: bool,
    ) -> Result<(), Fault> {
        let what = format!("token {:?}", token.label());
        if !token.login_required() {
            return Ok(());
        }
        check_tries(&what, token.user_pin_locked(), token.user_pin_final_try(), accepted_before)?;
        let pin = self.read()?;
        if pin.is_none() && !token.protected_authentication_path() {
            return Err(Fault::Final(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "{what} wants a PIN; give `pin-source=file:/path` in the URI, or set {VARIABLE}"
                ),
            )));
        }
        if pin.as_ref().is_some_and(|pin| module.was_refused(token.serial_number(), pin)) {
            let message = format!(
                "{what} has refused this PIN, and it is not tried again, since that would lock it; \
                 correct the PIN and start anew"
            );
            return Err(Fault::Final(Error::new(ErrorKind::Denied, message)));
        }
        match session.login(UserType::User, pin.as_ref()) {
            // Logging in holds for the process: other code has done it.
            Ok(()) | Err(Reported::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) => {
                let refused = matches!(error, Reported::Pkcs11(RvError::PinIncorrect, _));
                if let (true, Some(pin)) = (refused, pin) {
                    module.remember_refused(token.serial_number(), pin);
                }
                Err(fault(&error, &what))
            }
        }
    }

    fn read(&self) -> Result<Option<SecretString>> {
        match self {
            Self::Given(pin) => Ok(Some(pin.clone())),
            Self::Variable(name) => Ok(env::var(name).ok().map(SecretString::from)),
            Self::File(path) => {
                let text = read_file(path)?;
                Ok(Some(SecretString::from(text.trim_end_matches(['\r', '\n']))))
            }
        }
    }
}

/// Into memory of a fixed size, which is wiped.
fn read_file(path: &PathBuf) -> Result<Zeroizing<String>> {
    let cannot = |why: String| {
        let message = format!("the PIN can't be read from {:?}: {why}", path.display().to_string());
        Error::new(ErrorKind::InvalidInput, message)
    };
    let mut file = File::open(path).map_err(|e| cannot(e.kind().to_string()))?;
    let mut bytes = Zeroizing::new([0; MAX_LEN]);
    let mut len = 0;
    while let Some(room) = bytes.get_mut(len..).filter(|room| !room.is_empty()) {
        match file.read(room).map_err(|e| cannot(e.kind().to_string()))? {
            0 => break,
            read => len += read,
        }
    }
    let text = bytes.get(..len).filter(|text| text.len() < MAX_LEN);
    let text = text.and_then(|text| std::str::from_utf8(text).ok());
    let text =
        text.ok_or_else(|| cannot(format!("it is not text of less than {MAX_LEN} bytes")))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The last try is left to people: with a wrong PIN it would lock the token.
fn check_tries(what: &str, locked: bool, last: bool, accepted_before: bool) -> Result<()> {
    let message = match (locked, last && !accepted_before) {
        (true, _) => format!(
            "the PIN of {what} is locked, after too many wrong ones; have the security officer set \
             a new one"
        ),
        (false, true) => format!(
            "{what} accepts one more try before its PIN is locked; log in by hand, with the \
             vendor's tool, and start anew"
        ),
        (false, false) => return Ok(()),
    };
    Err(Error::new(ErrorKind::Denied, message))
}

/// Without the PIN.
impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => f.write_str("Given(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Variable(name) => f.debug_tuple("Variable").field(name).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_comes_from_a_file_and_from_nothing_that_runs() {
        for source in ["file:/run/pin", "file:///run/pin"] {
            let Pin::File(path) = Pin::parse_source(source).unwrap() else { panic!("{source}") };
            assert_eq!(path.to_str(), Some("/run/pin"));
        }
        for source in
            ["", "file:", "file:pin", "file://host/pin", "/run/pin", "|cat pin", "http:/x"]
        {
            assert_eq!(Pin::parse_source(source).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    /// No token at hand counts tries.
    #[test]
    fn the_last_try_is_not_spent_on_a_pin_that_may_be_wrong() {
        assert!(check_tries("token", false, false, false).is_ok());
        assert!(check_tries("token", false, true, true).is_ok());
        for (locked, last, before) in [(true, false, true), (false, true, false)] {
            let error = check_tries("token", locked, last, before).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied);
        }
    }

    #[test]
    fn a_pin_is_not_shown() {
        let pin = Pin::Given(SecretString::from("271828"));
        assert_eq!(format!("{pin:?}"), "Given(..)");
    }
}
