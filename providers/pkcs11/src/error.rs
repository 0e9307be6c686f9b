//! From what the token reports to this library's errors. The only place that does.

use std::{error::Error as StdError, fmt};

use bulla::{Error, ErrorKind};
use cryptoki::{
    context::Function,
    error::{Error as Reported, RvError as Rv},
};

/// CKR_AEAD_DECRYPT_FAILED of PKCS #11 3.0, which the crate has no name for.
const AEAD_DECRYPT_FAILED: u64 = 0x42;

/// What went wrong, and what is to be done before it is told.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Session, login, token or library are not what they were: all is to be opened anew.
    Lost(Lost),
    /// A code that says nothing. Whether the token still works tells what it means.
    Doubtful(Error),
    /// To be told as it is.
    Final(Error),
}

/// What was there and is not.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) error: Error,
    /// Whether the handles of sessions may be somebody else's by now, so that none is closed.
    pub(crate) handles_are_void: bool,
}

impl Fault {
    pub(crate) fn lost(error: Error) -> Self {
        Self::Lost(Lost { error, handles_are_void: false })
    }

    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Lost(Lost { error, .. }) | Self::Doubtful(error) | Self::Final(error) => error,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// What a failed call means; `what` names the key or the token that it was about.
pub(crate) fn fault(reported: &Reported, what: &str) -> Fault {
    let Reported::Pkcs11(code, function) = reported else {
        return Fault::Final(of_library(reported, what));
    };
    let (code, call) = (*code, format!("C_{function:?}"));
    let kind = kind_of(code, *function);
    let error = match kind {
        ErrorKind::NotAuthentic => Error::not_authentic(),
        _ => Error::new(kind, explain(code, kind, &call, what)),
    };
    let error = error.with_source(Said(format!("{call}: {code:?}")));
    match code {
        Rv::SessionHandleInvalid | Rv::CryptokiNotInitialized => {
            Fault::Lost(Lost { error, handles_are_void: true })
        }
        Rv::SessionClosed
        | Rv::DeviceRemoved
        | Rv::DeviceError
        | Rv::TokenNotPresent
        | Rv::TokenNotRecognized
        | Rv::SlotIdInvalid
        | Rv::UserNotLoggedIn
        // Of a token whose PIN was set, it means that its file was read while another process wrote it.
        | Rv::UserPinNotInitialized
        | Rv::KeyHandleInvalid
        | Rv::ObjectHandleInvalid
        | Rv::WrappingKeyHandleInvalid
        | Rv::UnwrappingKeyHandleInvalid => Fault::lost(error),
        Rv::GeneralError | Rv::FunctionFailed | Rv::VendorDefined(_) => Fault::Doubtful(error),
        _ => Fault::Final(error),
    }
}

/// The table.
fn kind_of(code: Rv, function: Function) -> ErrorKind {
    let opens = matches!(function, Function::Decrypt | Function::UnwrapKey);
    match code {
        Rv::EncryptedDataInvalid
        | Rv::EncryptedDataLenRange
        | Rv::WrappedKeyInvalid
        | Rv::WrappedKeyLenRange => ErrorKind::NotAuthentic,
        Rv::DataInvalid | Rv::DataLenRange if opens => ErrorKind::NotAuthentic,
        // All arguments of this call are the data: a number beyond the modulus, for NSS.
        Rv::ArgumentsBad if matches!(function, Function::Decrypt) => ErrorKind::NotAuthentic,
        Rv::UnknownErrorCode(AEAD_DECRYPT_FAILED) => ErrorKind::NotAuthentic,
        Rv::DataInvalid | Rv::DataLenRange => ErrorKind::InvalidInput,
        Rv::PinIncorrect
        | Rv::PinInvalid
        | Rv::PinLenRange
        | Rv::PinExpired
        | Rv::PinLocked
        | Rv::UserPinNotInitialized
        | Rv::UserTypeInvalid
        | Rv::UserAnotherAlreadyLoggedIn
        | Rv::UserTooManyTypes
        | Rv::KeyFunctionNotPermitted
        | Rv::ActionProhibited
        | Rv::FunctionRejected
        | Rv::TokenWriteProtected => ErrorKind::Denied,
        Rv::MechanismInvalid
        | Rv::MechanismParamInvalid
        | Rv::FunctionNotSupported
        | Rv::CurveNotSupported
        | Rv::DomainParamsInvalid
        | Rv::KeySizeRange
        | Rv::KeyTypeInconsistent
        | Rv::KeyNotWrappable
        // Asked for the length of a ciphertext, the token forgot something of it.
        | Rv::BufferTooSmall
        | Rv::AttributeTypeInvalid
        | Rv::AttributeValueInvalid
        | Rv::TemplateIncomplete
        | Rv::TemplateInconsistent => ErrorKind::Unsupported,
        // Sessions are given back, so a wait helps.
        Rv::SessionCount => ErrorKind::Throttled,
        Rv::ArgumentsBad => ErrorKind::Internal,
        _ => ErrorKind::Unavailable,
    }
}

fn explain(code: Rv, kind: ErrorKind, call: &str, what: &str) -> String {
    match code {
        Rv::PinIncorrect | Rv::PinInvalid | Rv::PinLenRange => format!(
            "{what} does not accept the PIN, which is not tried again, since that would lock it; \
             correct the PIN and start anew"
        ),
        Rv::PinLocked => format!(
            "the PIN of {what} is locked, after too many wrong ones; have the security officer set \
             a new one"
        ),
        Rv::PinExpired => format!("the PIN of {what} has expired; set a new one"),
        Rv::UserPinNotInitialized => {
            format!("{what} has no user PIN; have the security officer set one")
        }
        Rv::KeyFunctionNotPermitted => format!(
            "{call}: the attributes of {what} do not allow it; look at CKA_ENCRYPT, CKA_DECRYPT, \
             CKA_WRAP, CKA_UNWRAP and CKA_SIGN"
        ),
        Rv::TokenWriteProtected => format!("{what} is write-protected"),
        Rv::SessionCount => {
            format!("{what} has no session left; lower `max_sessions`, here or in other programs")
        }
        Rv::HostMemory | Rv::DeviceMemory => format!("{call}: out of memory, for {what}"),
        _ => match kind {
            ErrorKind::Unsupported => format!("{call}: the token can't do that with {what}"),
            ErrorKind::Unavailable => format!("{call}: the token could not serve {what}"),
            _ => format!("{call} on {what}: the token refuses"),
        },
    }
}

/// What the crate below reports without having asked a token.
fn of_library(reported: &Reported, what: &str) -> Error {
    match reported {
        Reported::LibraryLoading(_) | Reported::MissingSymbol(_) => Error::new(
            ErrorKind::InvalidInput,
            format!(
                "{what} can't be loaded as a PKCS #11 module; check the path, and what it needs"
            ),
        ),
        Reported::NotSupported | Reported::NullFunctionPointer => {
            let message = format!("the PKCS #11 module lacks a function that {what} needs");
            Error::new(ErrorKind::Unsupported, message)
        }
        _ => Error::new(ErrorKind::Unavailable, format!("an answer about {what} can't be read")),
    }
    .with_source(Said(format!("{reported:?}")))
}

/// What the token called the error.
#[derive(Debug)]
struct Said(String);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Said {}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: Rv, function: Function) -> ErrorKind {
        fault(&Reported::Pkcs11(code, function), "key k").into_error().kind()
    }

    /// Codes that no token at hand can be made to give.
    #[test]
    fn codes_have_kinds() {
        for (code, function, wanted) in [
            (Rv::PinLocked, Function::Login, ErrorKind::Denied),
            (Rv::PinExpired, Function::Login, ErrorKind::Denied),
            (Rv::DeviceRemoved, Function::Sign, ErrorKind::Unavailable),
            (Rv::DeviceMemory, Function::Sign, ErrorKind::Unavailable),
            (Rv::HostMemory, Function::Encrypt, ErrorKind::Unavailable),
            (Rv::SessionCount, Function::OpenSession, ErrorKind::Throttled),
            (Rv::EncryptedDataInvalid, Function::Decrypt, ErrorKind::NotAuthentic),
            (Rv::UnknownErrorCode(0x42), Function::Decrypt, ErrorKind::NotAuthentic),
            (Rv::DataLenRange, Function::Decrypt, ErrorKind::NotAuthentic),
            (Rv::DataLenRange, Function::Encrypt, ErrorKind::InvalidInput),
            (Rv::ArgumentsBad, Function::Decrypt, ErrorKind::NotAuthentic),
            (Rv::ArgumentsBad, Function::DecryptInit, ErrorKind::Internal),
            (Rv::KeyFunctionNotPermitted, Function::EncryptInit, ErrorKind::Denied),
            (Rv::MechanismInvalid, Function::SignInit, ErrorKind::Unsupported),
        ] {
            assert_eq!(kind(code, function), wanted, "{code:?}");
        }
    }

    #[test]
    fn what_is_lost_is_opened_anew_and_void_handles_are_not_closed() {
        let lost = |code| match fault(&Reported::Pkcs11(code, Function::Sign), "key k") {
            Fault::Lost(lost) => Some(lost.handles_are_void),
            _ => None,
        };
        assert_eq!(lost(Rv::DeviceRemoved), Some(false));
        assert_eq!(lost(Rv::UserNotLoggedIn), Some(false));
        assert_eq!(lost(Rv::SessionHandleInvalid), Some(true));
        assert_eq!(lost(Rv::CryptokiNotInitialized), Some(true));
        assert_eq!(lost(Rv::PinIncorrect), None);
    }
}
