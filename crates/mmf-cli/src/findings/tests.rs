use mmf::SharedMemory;

use super::{headline, plain};

const NAME: &str = r"Global\mmf-findings-never-created";

#[test]
fn an_error_is_a_headline_and_findings() {
    let error = SharedMemory::open(NAME).unwrap_err();
    let (head, diagnosis) = (headline(&error), error.diagnosis().unwrap());
    assert!(head.contains(NAME) && !head.contains('\n'), "{head}");
    assert!(plain(diagnosis, 0, false).contains("do: start the program that creates it first"));
}
