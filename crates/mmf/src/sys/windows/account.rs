//! Who we are, and who others are.

use core::ffi::c_void;
use core::mem::offset_of;
use core::ptr;
use std::os::windows::io::BorrowedHandle;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Security as sec;
use zerocopy::IntoBytes;

use super::answer::{Answer, bad, with_room};
use super::sid::{self, Sid};
use super::wide::{self, Wide};
use super::{LastError, api};
use crate::sys::{Failure, Reason};

// SE_GROUP_* of winnt.h, which the bindings give another type than the attributes.
const GROUP_ENABLED: u32 = 4;
const GROUP_DENY_ONLY: u32 = 0x10;
const GROUP_INTEGRITY: u32 = 0x20;

/// What the token of whoever this thread acts for says.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// A SID in its binary form.
    pub(crate) user: Vec<u8>,
    /// Without the integrity level, which Windows lists among the groups too.
    pub(crate) groups: Vec<Membership>,
    /// The RID of the integrity level: 0x1000 low, 0x2000 medium, 0x3000 high, 0x4000 system. `None` where there is none.
    pub(crate) integrity: Option<u32>,
    pub(crate) session: u32,
    /// Whether it has an administrator's full rights; `None` where the system does not make the difference.
    pub(crate) elevated: Option<bool>,
    pub(crate) app_container: bool,
    /// Whether it can do less than its user and groups say, as the tokens of sandboxes.
    pub(crate) restricted: bool,
    /// The SID of the app package, in an app container.
    pub(crate) package: Option<Vec<u8>>,
    /// Each with its name, and whether it is enabled.
    pub(crate) privileges: Vec<(String, bool)>,
}

/// A group in a token.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// In its binary form.
    pub(crate) sid: Vec<u8>,
    /// Whether it counts where access is granted.
    pub(crate) enabled: bool,
    /// Whether it counts only where access is denied.
    pub(crate) deny_only: bool,
}

/// The SID of whoever this thread acts for.
pub(crate) fn user() -> Result<Vec<u8>, Failure> {
    let user = Answer::of_token(sec::TokenUser)?.sid(offset_of!(sec::TOKEN_USER, User.Sid))?;
    Ok(user.ok_or_else(bad)?)
}

/// The SID of the user of a token.
pub(super) fn user_of(token: BorrowedHandle<'_>) -> Result<Vec<u8>, Failure> {
    let user = Answer::of(token, sec::TokenUser)?.sid(offset_of!(sec::TOKEN_USER, User.Sid))?;
    Ok(user.ok_or_else(bad)?)
}

/// The session of whoever this thread acts for, and whether that is in an app container.
pub(crate) fn session() -> (Option<u32>, bool) {
    let app_container = known(api::query_token_number(sec::TokenIsAppContainer));
    (
        api::query_token_number(sec::TokenSessionId).ok(),
        app_container.is_ok_and(|is| is.is_some_and(|is| is != 0)),
    )
}

/// Reads the token of whoever this thread acts for.
pub(crate) fn token() -> Result<Token, Failure> {
    let app_container = known(api::query_token_number(sec::TokenIsAppContainer))?.is_some_and(|is| is != 0);
    let package = if app_container {
        Answer::of_token(sec::TokenAppContainerSid)?
            .sid(offset_of!(sec::TOKEN_APPCONTAINER_INFORMATION, TokenAppContainer))?
    } else {
        None
    };
    Ok(Token {
        user: user()?,
        groups: groups()?,
        integrity: integrity()?,
        session: api::query_token_number(sec::TokenSessionId)?,
        elevated: known(api::query_token_number(sec::TokenElevation))?.map(|is| is != 0),
        app_container,
        restricted: known(api::query_token_number(sec::TokenHasRestrictions))?.is_some_and(|is| is != 0),
        package,
        privileges: privileges()?,
    })
}

/// `None` if the system does not know what it was asked for.
fn known<T>(answer: Result<T, LastError>) -> Result<Option<T>, LastError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
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
    let answer = Answer::of_token(sec::TokenGroups)?;
    let mut groups = Vec::new();
    let mut at = offset_of!(sec::TOKEN_GROUPS, Groups);
    for _ in 0..answer.number(offset_of!(sec::TOKEN_GROUPS, GroupCount))? {
        let attributes = answer.number(at + offset_of!(sec::SID_AND_ATTRIBUTES, Attributes))?;
        if attributes & GROUP_INTEGRITY == 0 {
            groups.push(Membership {
                sid: answer.sid(at + offset_of!(sec::SID_AND_ATTRIBUTES, Sid))?.ok_or_else(bad)?,
                enabled: attributes & GROUP_ENABLED != 0,
                deny_only: attributes & GROUP_DENY_ONLY != 0,
            });
        }
        at += size_of::<sec::SID_AND_ATTRIBUTES>();
    }
    Ok(groups)
}

fn integrity() -> Result<Option<u32>, LastError> {
    let Some(answer) = known(Answer::of_token(sec::TokenIntegrityLevel))? else {
        return Ok(None);
    };
    let level = answer.sid(offset_of!(sec::TOKEN_MANDATORY_LABEL, Label.Sid))?;
    level.map(|level| sid::last_part(&level).ok_or_else(bad)).transpose()
}

fn privileges() -> Result<Vec<(String, bool)>, LastError> {
    let mut privileges = Vec::new();
    for (luid, enabled) in held()? {
        let name = match with_room(64, |room| api::privilege_name(&luid, room)) {
            Ok((units, ())) => wide::text(&units),
            // A sandbox may not be allowed to ask for names.
            Err(_) => format!("{:#x}", (i64::from(luid.HighPart) << 32) | i64::from(luid.LowPart)),
        };
        privileges.push((name, enabled));
    }
    Ok(privileges)
}

/// The privileges of whoever this thread acts for, and which of them are enabled.
pub(super) fn held() -> Result<Vec<(win::LUID, bool)>, LastError> {
    let answer = Answer::of_token(sec::TokenPrivileges)?;
    let mut held = Vec::new();
    let mut at = offset_of!(sec::TOKEN_PRIVILEGES, Privileges);
    for _ in 0..answer.number(offset_of!(sec::TOKEN_PRIVILEGES, PrivilegeCount))? {
        let low = answer.number(at + offset_of!(sec::LUID_AND_ATTRIBUTES, Luid.LowPart))?;
        let high = answer.number(at + offset_of!(sec::LUID_AND_ATTRIBUTES, Luid.HighPart))?;
        let attributes = answer.number(at + offset_of!(sec::LUID_AND_ATTRIBUTES, Attributes))?;
        let luid = win::LUID { LowPart: low, HighPart: i32::from_ne_bytes(high.to_ne_bytes()) };
        held.push((luid, attributes & sec::SE_PRIVILEGE_ENABLED != 0));
        at += size_of::<sec::LUID_AND_ATTRIBUTES>();
    }
    Ok(held)
}

/// The SID of a user or a group by its name: `ann`, `HOST\ann`, `Everyone`.
pub(crate) fn sid_of(name: &str) -> Result<Vec<u8>, Failure> {
    let wanted = Wide::new(name).ok_or(Failure::new(Reason::BadName))?;
    // The system takes no name for that of a domain of its own.
    if name.is_empty() {
        return Err(Failure::new(Reason::Missing));
    }
    // The longest SID has 68 bytes.
    let mut sid = [0; 9];
    let found = with_room(256, |domain: &mut [u16]| api::account_by_name(&wanted, &mut sid, domain));
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
    // A machine may have the name that was meant for a user.
    if matches!(
        kind,
        sec::SidTypeDomain | sec::SidTypeComputer | sec::SidTypeDeletedAccount | sec::SidTypeInvalid
    ) {
        return Err(Failure::new(Reason::Missing));
    }
    let bytes = sid.as_bytes();
    let sid = sid::len(bytes).and_then(|len| bytes.get(..len)).ok_or_else(bad)?;
    Ok(sid.to_vec())
}

/// Whose SID this is: `DOMAIN\name`, or only the name of those who have no domain, as everyone. `None` if nobody knows it.
pub(crate) fn name_of(sid: &[u8]) -> Option<String> {
    let sid = Sid::new(sid)?;
    let found = with_room(512, |room: &mut [u16]| {
        let half = room.len() / 2;
        let (name, domain) = room.split_at_mut(half);
        api::account_by_sid(&sid, name, domain)?;
        Ok((wide::text(name), wide::text(domain)))
    });
    let (_, (name, domain)) = found.ok()?;
    match (name.is_empty(), domain.is_empty()) {
        (true, _) => None,
        (false, true) => Some(name),
        (false, false) => Some(format!(r"{domain}\{name}")),
    }
}

/// Whether a SID is that of a group, which has other members than itself.
pub(super) fn is_group(sid: &[u8]) -> bool {
    let Some(sid) = Sid::new(sid) else { return false };
    let kind = with_room(512, |room: &mut [u16]| {
        let half = room.len() / 2;
        let (name, domain) = room.split_at_mut(half);
        api::account_by_sid(&sid, name, domain)
    });
    let groups = [sec::SidTypeGroup, sec::SidTypeAlias, sec::SidTypeWellKnownGroup];
    kind.is_ok_and(|(_, kind)| groups.contains(&kind))
}

/// `DeriveAppContainerSidFromAppContainerName`.
type Derive = unsafe extern "system" fn(*const u16, *mut *mut c_void) -> i32;

/// The SID of an app package by its family name.
pub(crate) fn package_sid(name: &str) -> Result<Vec<u8>, Failure> {
    // Not linked: the library pulls in others, and is not everywhere complete.
    static DERIVE: OnceLock<Option<Derive>> = OnceLock::new();
    let derive = DERIVE.get_or_init(|| {
        let found = api::look_up("userenv.dll", c"DeriveAppContainerSidFromAppContainerName")?;
        // SAFETY: the function of this name has this type, by userenv.h.
        Some(unsafe { core::mem::transmute::<api::Function, Derive>(found) })
    });
    let derive = derive.ok_or(Failure::new(Reason::Unsupported))?;
    // SAFETY: this is the function.
    unsafe { package_sid_by(derive, name) }
}

/// # Safety
///
/// The function does what `DeriveAppContainerSidFromAppContainerName` does.
unsafe fn package_sid_by(derive: Derive, name: &str) -> Result<Vec<u8>, Failure> {
    /// Facility and severity of an HRESULT that is an error of Win32.
    const FROM_WIN32: u32 = 0x8007_0000;

    let name = Wide::new(name).ok_or(Failure::new(Reason::BadName))?;
    let mut sid = ptr::null_mut();
    // SAFETY: the name is zero-terminated and lives; the place for the answer is valid.
    let result = unsafe { derive(name.as_ptr(), &mut sid) };
    if result < 0 {
        let code = u32::from_ne_bytes(result.to_ne_bytes());
        return Err(match code & 0xFFFF {
            _ if code & 0xFFFF_0000 != FROM_WIN32 => {
                Failure { code: Some(result), ..Failure::new(Reason::Other) }
            }
            error @ win::ERROR_INVALID_PARAMETER => {
                Failure { reason: Reason::BadName, ..LastError(error).into() }
            }
            error => LastError(error).into(),
        });
    }
    // SAFETY: the call gave a SID that is ours.
    let sid = unsafe { api::FreedSid::new(sid) }.ok_or_else(bad)?;
    Ok(sid.to_vec())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const WORLD: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];

    #[test]
    fn the_token_says_who_we_are() {
        let token = token().unwrap();
        assert_eq!(sid::len(&token.user), Some(token.user.len()));
        assert_eq!(token.session, api::session().unwrap());
        assert!(!token.app_container && token.package.is_none());
        assert!(token.integrity.is_some_and(|rid| rid >= 0x1000), "{:x?}", token.integrity);
        assert!(token.elevated.is_some());
        for group in &token.groups {
            assert_eq!(sid::len(&group.sid), Some(group.sid.len()));
            assert!(!(group.enabled && group.deny_only));
            // S-1-16: the authority of integrity levels.
            assert_ne!(group.sid[7], 16);
        }
        let world = token.groups.iter().find(|group| group.sid == WORLD).unwrap();
        assert!(world.enabled && !world.deny_only);
        let traverse = token.privileges.iter().find(|(name, _)| name == "SeChangeNotifyPrivilege");
        assert!(traverse.is_some_and(|(_, enabled)| *enabled), "{:?}", token.privileges);
        println!("{token:x?}");
    }

    #[test]
    fn names_lead_to_sids_and_back() {
        let user = token().unwrap().user;
        let name = name_of(&user).unwrap();
        println!("{name}");
        assert!(name.contains('\\'), "{name}");
        assert_eq!(sid_of(&name).unwrap(), user);
        let (_, short) = name.split_once('\\').unwrap();
        assert_eq!(sid_of(short).unwrap(), user);
        // In the language of the system.
        let everyone = name_of(&WORLD).unwrap();
        assert!(!everyone.contains('\\'), "{everyone}");
        assert_eq!(sid_of(&everyone).unwrap(), WORLD);
    }

    #[test]
    fn nobody_is_nobody() {
        let reason = |name| sid_of(name).map_err(|failure| failure.reason);
        assert_eq!(reason("no such account 7f3a"), Err(Reason::Missing));
        assert_eq!(reason(""), Err(Reason::Missing));
        assert_eq!(reason("Every\0one"), Err(Reason::BadName));
        // S-1-5-21-1-2-3-4: a user of a domain that does not exist.
        let mut stranger = vec![1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0];
        stranger.extend([1, 2, 3, 4].map(u32::to_le_bytes).concat());
        assert_eq!(name_of(&stranger), None);
        assert_eq!(name_of(&[]), None);
        assert_eq!(name_of(&WORLD[..11]), None);
        assert_eq!(name_of(&[&WORLD[..], &[0; 4]].concat()), None);
        assert_eq!(name_of(&[1, 255, 0, 0, 0, 0, 0, 5]), None);
    }

    #[test]
    fn package_sids_where_the_system_has_them() {
        let sid = package_sid("Example.App_8wekyb3d8bbwe");
        if api::look_up("userenv.dll", c"DeriveAppContainerSidFromAppContainerName").is_none() {
            println!("no app packages here: only the answer for that is tested");
            assert_eq!(sid.map_err(|failure| failure.reason), Err(Reason::Unsupported));
            return;
        }
        let sid = sid.unwrap();
        // S-1-15-2-…, seven more parts.
        assert_eq!(sid[..12], [1, 8, 0, 0, 0, 0, 0, 15, 2, 0, 0, 0]);
        assert_eq!(sid.len(), 8 + 8 * 4);
    }

    thread_local! {
        static ASKED: RefCell<Vec<u16>> = const { RefCell::new(Vec::new()) };
    }

    unsafe extern "system" fn derive(name: *const u16, sid: *mut *mut c_void) -> i32 {
        let mut at = name;
        loop {
            // SAFETY: the caller gives a zero-terminated text, and this is not behind the zero.
            let unit = unsafe { at.read() };
            if unit == 0 {
                break;
            }
            ASKED.with_borrow_mut(|asked| asked.push(unit));
            // SAFETY: there is a zero to come.
            at = unsafe { at.add(1) };
        }
        let authority = sec::SID_IDENTIFIER_AUTHORITY { Value: [0, 0, 0, 0, 0, 15] };
        // SAFETY: two parts are given, and the place is the caller's.
        let made = unsafe { sec::AllocateAndInitializeSid(&authority, 2, 2, 77, 0, 0, 0, 0, 0, 0, sid) };
        assert_ne!(made, 0);
        0
    }

    unsafe extern "system" fn derive_nothing(_: *const u16, _: *mut *mut c_void) -> i32 {
        0
    }

    unsafe extern "system" fn derive_refused(_: *const u16, _: *mut *mut c_void) -> i32 {
        i32::from_ne_bytes(0x8007_0057_u32.to_ne_bytes())
    }

    unsafe extern "system" fn derive_unimplemented(_: *const u16, _: *mut *mut c_void) -> i32 {
        i32::from_ne_bytes(0x8000_4001_u32.to_ne_bytes())
    }

    #[test]
    fn package_sids_proved_on_the_level_of_the_call() {
        // SAFETY: it does what the function does.
        let sid = unsafe { package_sid_by(derive, "App_1ä") };
        assert_eq!(sid.unwrap(), [1, 2, 0, 0, 0, 0, 0, 15, 2, 0, 0, 0, 77, 0, 0, 0]);
        assert_eq!(ASKED.take(), "App_1ä".encode_utf16().collect::<Vec<_>>());
        // SAFETY: the same.
        let nul = unsafe { package_sid_by(derive, "App\0_1") };
        assert_eq!(nul.map_err(|failure| failure.reason), Err(Reason::BadName));
        assert!(ASKED.take().is_empty());
        // SAFETY: the same, but for a system that gives nothing.
        let nothing = unsafe { package_sid_by(derive_nothing, "App_1") };
        assert_eq!(nothing.map_err(|failure| failure.reason), Err(Reason::Other));
        // SAFETY: this is how the function refuses.
        let refused = unsafe { package_sid_by(derive_refused, "App_1") };
        assert_eq!(refused, Err(Failure { code: Some(87), ..Failure::new(Reason::BadName) }));
        // SAFETY: the same.
        let missing = unsafe { package_sid_by(derive_unimplemented, "App_1") };
        assert_eq!(missing, Err(Failure { code: Some(-0x7FFF_BFFF), ..Failure::new(Reason::Other) }));
    }
}
