use std::io;

use super::{Error, ErrorKind, Operation};
use crate::sys::{Failure, Reason};

fn missing() -> Error {
    Error::new(Operation::Open, ErrorKind::NotFound).with_subject(r"Local\x")
}

#[test]
fn one_line_without_a_cure_and_the_cure_below_it() {
    let error = missing();
    let line = r#"cannot open the shared memory region "Local\x": no region has this name"#;
    assert_eq!(error.to_string(), line);
    assert_eq!(format!("{error:#}").lines().next(), Some(line));
    assert!(format!("{error:#}").contains("\n    do: start the program that creates it"), "{error:#}");
    assert_eq!(format!("{error:?}"), format!("{error:#}"));
    assert!(format!("{:?}", Some(&error)).contains("do:"));
}

#[test]
fn a_detail_takes_the_place_of_the_general_cure() {
    let error = missing().with_detail("it has gone");
    assert!(error.to_string().ends_with("no region has this name: it has gone"), "{error}");
    assert_eq!(format!("{error:#}"), error.to_string());
    assert_eq!(error.advice(), None);
    let error = error.with_cure("create\nit");
    assert!(format!("{error:#}").ends_with("it has gone\n    do: create\\nit"), "{error:#}");
    assert_eq!(error.advice().as_deref(), Some("create\\nit"));
}

#[test]
fn conversions_keep_the_code_of_the_system() {
    // EIO, EINTR, and their counterparts on Windows; one that a kind of its own stands for.
    let (unknown, interrupted) = if cfg!(windows) { (1117, 10004) } else { (5, 4) };
    let kind_of = |code| match io::Error::from_raw_os_error(code).kind() {
        // Loops that retry interrupted calls would never end. (Not every version of std has it for Windows.)
        io::ErrorKind::Interrupted => io::ErrorKind::Other,
        kind => kind,
    };
    for (reason, code, kind) in [
        (Reason::Other, unknown, kind_of(unknown)),
        (Reason::Other, interrupted, kind_of(interrupted)),
        (Reason::Denied, 13, io::ErrorKind::PermissionDenied),
    ] {
        let failure = Failure { code: Some(code), ..Failure::new(reason) };
        let text = Error::of_failure(Operation::Open, failure).to_string();
        let error = io::Error::from(Error::of_failure(Operation::Open, failure));
        assert_eq!(error.kind(), kind);
        assert_eq!(error.to_string(), text);
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        assert_eq!(inner.and_then(Error::raw_os_error), Some(code));
        assert_eq!(error.downcast::<Error>().ok().and_then(|error| error.raw_os_error()), Some(code));
    }
}
