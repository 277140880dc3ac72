#![allow(clippy::unwrap_used, reason = "a test")]

use super::*;
use crate::diagnosis::{Diagnosis, Remedy};

/// Returns the names that an error proposes.
fn proposed(name: &str) -> Vec<String> {
    let error = Name::new(name).unwrap_err();
    let remedies = error.diagnosis().into_iter().flat_map(Diagnosis::remedies);
    let names = remedies.filter_map(|remedy| match remedy {
        Remedy::WriteName { name, .. } => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

#[test]
fn mistyped_names_get_the_intended_name_proposed() {
    let cases: &[(&str, &[&str])] = &[
        (r"Global\\HWiNFO_SENS_SM2", &[r"Global\HWiNFO_SENS_SM2"]),
        (r"Local\\\\x", &[r"Local\x"]),
        (r"global\x", &[r"Global\x"]),
        (r"LOCAL\\x", &[r"Local\x"]),
        (r"\Sessions\1\BaseNamedObjects\telemetry", &[r"Local\telemetry"]),
        (r"\BaseNamedObjects\telemetry", &[r"Global\telemetry"]),
        (r"\Sessions\1\BaseNamedObjects\Global\x", &[r"Global\x"]),
        (r"Session\1\x", &[r"Local\x", r"Global\x"]),
        (r"Global\Local\x", &[r"Local\x", r"Global\x"]),
        (r"\x", &[r"Local\x"]),
        (r"a\b", &[r"Local\a-b"]),
        (r"Global\a\b", &[r"Global\a-b"]),
        ("Global/x", &[r"Global\x"]),
        ("local/x", &[r"Local\x"]),
        (" x", &[r"Local\x"]),
        ("Global\\x\u{200b}", &[r"Global\x"]),
        ("x\u{202e}y", &[r"Local\xy"]),
        ("x\u{7f}", &[r"Local\x"]),
        ("Global\telemetry", &[r"Global\telemetry"]),
        ("Global\name", &[r"Global\name"]),
        ("Local\robot", &[r"Local\robot"]),
        ("Global\x08ar", &[r"Global\bar"]),
        (r"\\", &[]),
        (" ", &[]),
        (r"Global\\", &[]),
    ];
    for (wrong, right) in cases {
        let found = proposed(wrong);
        let first: Vec<&str> = found.iter().map(String::as_str).collect();
        // (Further proposals may follow.)
        assert_eq!(&first[..right.len().min(first.len())], *right, "{wrong:?}: {found:?}");
        assert_eq!(found.is_empty(), right.is_empty(), "{wrong:?}: {found:?}");
    }
    let error = format!("{:#}", Name::new("Global\telemetry").unwrap_err());
    assert!(error.contains(r#"write r"Global\telemetry" (the r matters)"#), "{error}");
    assert!(!error.contains('\t'), "{error:?}");
}

#[test]
#[cfg(unix)]
fn paths_of_files_get_their_names_proposed() {
    let user = crate::sys::account::user();
    for (wrong, right) in [
        ("/dev/shm/telemetry".to_owned(), Some(r"Global\telemetry")),
        ("/telemetry".to_owned(), Some(r"Global\telemetry")),
        (format!("/dev/shm/mmf.{user}.x"), Some(r"Local\x")),
        (format!("/mmf.{user}.x"), Some(r"Local\x")),
        (format!(r"Global\mmf.{user}.x"), Some(r"Local\x")),
        (format!("/dev/shm/mmf.{}.x", user + 1), None),
        ("/dev/shm/a/b".to_owned(), None),
        ("/dev/shm/".to_owned(), None),
        ("a/b".to_owned(), Some(r"Local\a-b")),
    ] {
        assert_eq!(proposed(&wrong).first().map(String::as_str), right, "{wrong}");
    }
}

#[test]
fn every_proposal_is_accepted() {
    let pieces = [
        r"\",
        r"\\",
        "/",
        "Local",
        "Global",
        "local",
        "GLOBAL",
        "Session",
        "Sessions",
        "BaseNamedObjects",
        "1",
        "x",
        ".",
        "..",
        " ",
        "\t",
        "\0",
        "\u{1b}",
        "\u{202e}",
        "\u{feff}",
        "/dev/shm/",
        "mmf.0.",
        "mmf.1.",
        "\u{fc}",
        "telemetry",
        "\n",
    ];
    // A generator with a fixed seed: the same names in each run.
    let mut state = 0x9e37_79b9_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut proposals = 0;
    for _ in 0..20_000 {
        let name: String = (0..1 + next(6)).map(|_| pieces[next(pieces.len())]).collect();
        if Name::new(&name).is_ok() {
            continue;
        }
        for right in proposed(&name) {
            let read = Name::new(&right).unwrap_or_else(|error| panic!("{name:?}: {error}"));
            assert_eq!(read.to_string(), right, "{name:?}");
            proposals += 1;
        }
    }
    assert!(proposals > 10_000, "{proposals}");
}

#[test]
fn from_parts_accepts_names_of_other_programs() {
    for text in ["a\tb", " x ", "x\u{202e}", "\u{200b}"] {
        let name = Name::from_parts(Namespace::Global, text).unwrap();
        assert_eq!(name.text(), text);
        assert_eq!(Name::new(&name.to_string()).unwrap_err().kind(), ErrorKind::InvalidName);
    }
}
