//! The token of this thread, and the accounts of the system.

use core::mem::offset_of;
use std::os::windows::io::BorrowedHandle;

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Security as sec;
use zerocopy::IntoBytes;

use super::reply::{TokenInformation, malformed, with_buffer};
use super::sid::{self, Sid};
use super::wide::{self, Wide};
use super::{LastError, api};
use crate::sys::{Failure, Reason};

// SE_GROUP_* of winnt.h. In the bindings their type differs from that of the attributes.
const GROUP_ENABLED: u32 = 4;
const GROUP_DENY_ONLY: u32 = 0x10;
const GROUP_INTEGRITY: u32 = 0x20;

/// The contents of the token that this thread acts with.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// The SID of the user in its binary form.
    pub(crate) user: Vec<u8>,
    /// Without the integrity level, which Windows also lists among the groups.
    pub(crate) groups: Vec<Membership>,
    /// The RID of the integrity level: 0x1000 low, 0x2000 medium, 0x3000 high, 0x4000 system. `None` for a
    /// token without one.
    pub(crate) integrity: Option<u32>,
    pub(crate) session: u32,
    /// Whether the token has the full rights of an administrator; `None` where the system does not
    /// distinguish.
    pub(crate) elevated: Option<bool>,
    pub(crate) app_container: bool,
    /// Whether the token has fewer rights than its user and groups imply, such as that of a sandbox.
    pub(crate) restricted: bool,
    /// The SID of the app package, for a token of an app container.
    pub(crate) package: Option<Vec<u8>>,
    /// The name of each privilege, and whether it is enabled.
    pub(crate) privileges: Vec<(String, bool)>,
}

/// A group in a token.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// The SID of the group in its binary form.
    pub(crate) sid: Vec<u8>,
    /// Whether entries that allow access apply to it.
    pub(crate) enabled: bool,
    /// Whether only entries that deny access apply to it.
    pub(crate) deny_only: bool,
}

/// Returns the SID of the user that this thread acts as.
pub(crate) fn user() -> Result<Vec<u8>, Failure> {
    user_of(api::get_current_thread_effective_token())
}

/// Returns the SID of the user of a token.
pub(super) fn user_of(token: BorrowedHandle<'_>) -> Result<Vec<u8>, Failure> {
    let user = TokenInformation::of(token, sec::TokenUser)?.sid_at(offset_of!(sec::TOKEN_USER, User.Sid))?;
    Ok(user.ok_or_else(malformed)?)
}

/// Returns the session of the token that this thread acts with, and whether it is the token of an app
/// container.
pub(crate) fn session() -> (Option<u32>, bool) {
    (number(sec::TokenSessionId).ok(), flag(sec::TokenIsAppContainer).ok().flatten().unwrap_or(false))
}

/// Reads the token that this thread acts with.
pub(crate) fn token() -> Result<Token, Failure> {
    let app_container = flag(sec::TokenIsAppContainer)?.unwrap_or(false);
    let package = if app_container {
        TokenInformation::of_thread(sec::TokenAppContainerSid)?
            .sid_at(offset_of!(sec::TOKEN_APPCONTAINER_INFORMATION, TokenAppContainer))?
    } else {
        None
    };
    Ok(Token {
        user: user()?,
        groups: groups()?,
        integrity: integrity()?,
        session: number(sec::TokenSessionId)?,
        elevated: flag(sec::TokenElevation)?,
        app_container,
        restricted: flag(sec::TokenHasRestrictions)?.unwrap_or(false),
        package,
        privileges: privileges()?,
    })
}

fn number(class: sec::TOKEN_INFORMATION_CLASS) -> Result<u32, LastError> {
    api::get_token_information_u32(api::get_current_thread_effective_token(), class)
}

/// Returns a flag of the token, or `None` if the system does not know the flag.
fn flag(class: sec::TOKEN_INFORMATION_CLASS) -> Result<Option<bool>, LastError> {
    Ok(if_supported(number(class))?.map(|flag| flag != 0))
}

/// Translates an error which means that the system does not support the query into `None`.
fn if_supported<T>(reply: Result<T, LastError>) -> Result<Option<T>, LastError> {
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(LastError(
            win::ERROR_INVALID_PARAMETER
            | win::ERROR_INVALID_FUNCTION
            | win::ERROR_NOT_SUPPORTED
            | win::ERROR_CALL_NOT_IMPLEMENTED,
        )) => Ok(None),
        Err(error) => Err(error),
    }
}

fn groups() -> Result<Vec<Membership>, LastError> {
    let reply = TokenInformation::of_thread(sec::TokenGroups)?;
    let mut groups = Vec::new();
    let mut at = offset_of!(sec::TOKEN_GROUPS, Groups);
    for _ in 0..reply.u32_at(offset_of!(sec::TOKEN_GROUPS, GroupCount))? {
        let attributes = reply.u32_at(at + offset_of!(sec::SID_AND_ATTRIBUTES, Attributes))?;
        if attributes & GROUP_INTEGRITY == 0 {
            groups.push(Membership {
                sid: reply.sid_at(at + offset_of!(sec::SID_AND_ATTRIBUTES, Sid))?.ok_or_else(malformed)?,
                enabled: attributes & GROUP_ENABLED != 0,
                deny_only: attributes & GROUP_DENY_ONLY != 0,
            });
        }
        at += size_of::<sec::SID_AND_ATTRIBUTES>();
    }
    Ok(groups)
}

fn integrity() -> Result<Option<u32>, LastError> {
    let Some(reply) = if_supported(TokenInformation::of_thread(sec::TokenIntegrityLevel))? else {
        return Ok(None);
    };
    let level = reply.sid_at(offset_of!(sec::TOKEN_MANDATORY_LABEL, Label.Sid))?;
    level.map(|level| sid::last_part(&level).ok_or_else(malformed)).transpose()
}

fn privileges() -> Result<Vec<(String, bool)>, LastError> {
    let mut privileges = Vec::new();
    for (luid, enabled) in privilege_luids()? {
        let name = match with_buffer(64, |name| api::lookup_privilege_name(&luid, name)) {
            Ok((units, ())) => wide::text(&units),
            // A sandbox may lack the right to look names up.
            Err(_) => format!("{:#x}", (i64::from(luid.HighPart) << 32) | i64::from(luid.LowPart)),
        };
        privileges.push((name, enabled));
    }
    Ok(privileges)
}

/// Returns the privileges in the token that this thread acts with, and whether each is enabled.
pub(super) fn privilege_luids() -> Result<Vec<(win::LUID, bool)>, LastError> {
    let reply = TokenInformation::of_thread(sec::TokenPrivileges)?;
    let mut found = Vec::new();
    let mut at = offset_of!(sec::TOKEN_PRIVILEGES, Privileges);
    for _ in 0..reply.u32_at(offset_of!(sec::TOKEN_PRIVILEGES, PrivilegeCount))? {
        let low = reply.u32_at(at + offset_of!(sec::LUID_AND_ATTRIBUTES, Luid.LowPart))?;
        let high = reply.u32_at(at + offset_of!(sec::LUID_AND_ATTRIBUTES, Luid.HighPart))?;
        let attributes = reply.u32_at(at + offset_of!(sec::LUID_AND_ATTRIBUTES, Attributes))?;
        let luid = win::LUID { LowPart: low, HighPart: i32::from_ne_bytes(high.to_ne_bytes()) };
        found.push((luid, attributes & sec::SE_PRIVILEGE_ENABLED != 0));
        at += size_of::<sec::LUID_AND_ATTRIBUTES>();
    }
    Ok(found)
}

/// Returns the SID of a user or a group by its name: `ann`, `HOST\ann`, `Everyone`.
pub(crate) fn sid_of(name: &str) -> Result<Vec<u8>, Failure> {
    let wanted = Wide::new(name).ok_or(Failure::new(Reason::BadName))?;
    // The system would interpret the empty name as that of its own domain.
    if name.is_empty() {
        return Err(Failure::new(Reason::Missing));
    }
    // The longest SID has 68 bytes.
    let mut sid = [0; 9];
    let found = with_buffer(256, |domain: &mut [u16]| api::lookup_account_name(&wanted, &mut sid, domain));
    let kind = match found {
        Ok((_, kind)) => kind,
        Err(
            error @ LastError(
                win::ERROR_NONE_MAPPED
                | win::ERROR_NO_SUCH_USER
                | win::ERROR_NO_SUCH_GROUP
                | win::ERROR_NO_SUCH_ALIAS
                | win::ERROR_NO_SUCH_DOMAIN,
            ),
        ) => return Err(Failure { reason: Reason::Missing, ..error.into() }),
        Err(error) => return Err(error.into()),
    };
    // A name that was meant for a user can be that of a machine.
    if matches!(
        kind,
        sec::SidTypeDomain | sec::SidTypeComputer | sec::SidTypeDeletedAccount | sec::SidTypeInvalid
    ) {
        return Err(Failure::new(Reason::Missing));
    }
    let bytes = sid.as_bytes();
    let sid = sid::len(bytes).and_then(|len| bytes.get(..len)).ok_or_else(malformed)?;
    Ok(sid.to_vec())
}

/// Returns the name of an account by its SID: `DOMAIN\name`, or only the name of an account without a domain,
/// such as Everyone. Returns `None` for an unknown account.
pub(crate) fn name_of(sid: &[u8]) -> Option<String> {
    let (name, domain, _) = look_up(sid)?;
    match (name.is_empty(), domain.is_empty()) {
        (true, _) => None,
        (false, true) => Some(name),
        (false, false) => Some(format!(r"{domain}\{name}")),
    }
}

/// Whether a SID is that of a group, whose members have other SIDs.
pub(super) fn is_group(sid: &[u8]) -> bool {
    let groups = [sec::SidTypeGroup, sec::SidTypeAlias, sec::SidTypeWellKnownGroup];
    look_up(sid).is_some_and(|(.., kind)| groups.contains(&kind))
}

/// Looks up the name, the domain and the kind of an account.
fn look_up(sid: &[u8]) -> Option<(String, String, sec::SID_NAME_USE)> {
    let sid = Sid::new(sid)?;
    let found = with_buffer(512, |buffer: &mut [u16]| {
        let half = buffer.len() / 2;
        let (name, domain) = buffer.split_at_mut(half);
        let kind = api::lookup_account_sid(&sid, name, domain)?;
        Ok((wide::text(name), wide::text(domain), kind))
    });
    found.ok().map(|(_, account)| account)
}

/// Returns the SID of an app package by its family name.
pub(crate) fn package_sid(name: &str) -> Result<Vec<u8>, Failure> {
    let wide = Wide::new(name).ok_or(Failure::new(Reason::BadName))?;
    let derived = api::derive_app_container_sid_from_app_container_name(&wide);
    let sid = derived.ok_or(Failure::new(Reason::Unsupported))?.map_err(from_hresult)?;
    Ok(if sid.is_empty() { Err(malformed()) } else { Ok(sid) }?)
}

/// Translates an `HRESULT` that is an error of [`package_sid`].
fn from_hresult(result: i32) -> Failure {
    /// Facility and severity of an `HRESULT` that contains an error of Win32.
    const FROM_WIN32: u32 = 0x8007_0000;

    let code = u32::from_ne_bytes(result.to_ne_bytes());
    match code & 0xFFFF {
        _ if code & 0xFFFF_0000 != FROM_WIN32 => {
            Failure { code: Some(result), ..Failure::new(Reason::Other) }
        }
        error @ win::ERROR_INVALID_PARAMETER => {
            Failure { reason: Reason::BadName, ..LastError(error).into() }
        }
        error => LastError(error).into(),
    }
}

#[cfg(test)]
mod tests;
