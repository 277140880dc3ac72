use super::super::sid::WORLD;
use super::*;

#[test]
fn the_token_of_this_thread_is_consistent() {
    let token = token().unwrap();
    assert_eq!(sid::len(&token.user), Some(token.user.len()));
    assert_eq!(token.session, super::super::process::session().unwrap());
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
fn names_are_resolved_to_sids_and_back() {
    let user = token().unwrap().user;
    let name = name_of(&user).unwrap();
    println!("{name}");
    assert!(name.contains('\\'), "{name}");
    assert_eq!(sid_of(&name).unwrap(), user);
    let (_, short) = name.split_once('\\').unwrap();
    assert_eq!(sid_of(short).unwrap(), user);
    // The name is in the language of the system.
    let everyone = name_of(&WORLD).unwrap();
    assert!(!everyone.contains('\\'), "{everyone}");
    assert_eq!(sid_of(&everyone).unwrap(), WORLD);
}

#[test]
fn unknown_accounts_and_malformed_sids_have_no_name() {
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
fn package_sids_are_derived_by_systems_that_have_them() {
    let sid = package_sid("Example.App_8wekyb3d8bbwe");
    if api::get_proc_address("userenv.dll", c"DeriveAppContainerSidFromAppContainerName").is_none() {
        println!("this system has no app packages: only the error is tested");
        assert_eq!(sid.map_err(|failure| failure.reason), Err(Reason::Unsupported));
        return;
    }
    let sid = sid.unwrap();
    // S-1-15-2-…, with seven more sub-authorities.
    assert_eq!(sid[..12], [1, 8, 0, 0, 0, 0, 0, 15, 2, 0, 0, 0]);
    assert_eq!(sid.len(), 8 + 8 * 4);
}

#[test]
fn package_sids_fail_with_the_error_in_the_result() {
    let result = |code: u32| from_hresult(i32::from_ne_bytes(code.to_ne_bytes()));
    assert_eq!(result(0x8007_0057), Failure { code: Some(87), ..Failure::new(Reason::BadName) });
    assert_eq!(result(0x8000_4001), Failure { code: Some(-0x7FFF_BFFF), ..Failure::new(Reason::Other) });
    let nul = package_sid("App\0_1").map_err(|failure| failure.reason);
    assert_eq!(nul, Err(Reason::BadName));
}
