//! The caller, as far as a diagnosis needs it.

use super::account::{self, Token};
use super::privilege::Privilege;
use crate::sys::{CallerToken, PrivilegeHeld};

/// Returns the facts about the caller besides its user, or none if its token cannot be read.
pub(crate) fn caller_token() -> CallerToken {
    let Ok(token) = account::token() else { return CallerToken::default() };
    let held = |privilege: Privilege| (privilege.name(), held(&token, privilege.name()));
    let privileges = [Privilege::CreateGlobal, Privilege::LockMemory].map(held).to_vec();
    // In session 0, that of the services, all names are global.
    let create_global = (token.session != 0).then(|| self::held(&token, Privilege::CreateGlobal.name()));
    CallerToken {
        elevated: token.elevated,
        integrity: token.integrity,
        session: Some(token.session),
        app_container: token.app_container,
        restricted: token.restricted,
        package: token.package,
        privileges,
        create_global,
    }
}

fn held(token: &Token, privilege: &str) -> PrivilegeHeld {
    match token.privileges.iter().find(|(name, _)| name == privilege) {
        Some((_, true)) => PrivilegeHeld::Enabled,
        Some((_, false)) => PrivilegeHeld::Disabled,
        None => PrivilegeHeld::Missing,
    }
}

pub(crate) use account::session as caller_session;

/// Returns `None`: a user has the same SID everywhere.
pub(crate) fn user_numbers() -> Option<(u32, u32)> {
    None
}
