use mmf::diagnosis::Cause;
use mmf::{OpenOptions, SharedMemory};

use super::{documents, headline, plain, word};

const NAME: &str = r"Global\mmf-findings-never-created";

#[test]
fn words_have_no_fields() {
    assert_eq!(word(&Cause::Missing), "Missing");
    assert_eq!(word(&mmf::security::Principal::user("x")), "User");
}

#[test]
fn an_error_is_a_headline_and_findings() {
    let error = SharedMemory::open(NAME).unwrap_err();
    let (head, diagnosis) = (headline(&error), error.diagnosis().unwrap());
    assert!(head.contains(NAME) && !head.contains('\n'), "{head}");
    assert!(plain(diagnosis, 0, false).contains("do: start the program that creates it first"));
}

#[test]
fn documents_have_identifiers_and_texts() {
    let diagnosis = OpenOptions::new().check_open(NAME);
    let document = serde_json::to_value(documents(diagnosis.findings())).unwrap();
    assert_eq!(document[0]["severity"], "Error");
    assert_eq!(document[0]["error_kind"], "NotFound");
    assert_eq!(document[0]["cause"], "Missing");
    assert_eq!(document[0]["remedies"][0]["remedy"], "StartCreator");
    assert!(document[0]["text"].is_string() && document[0]["remedies"][0]["text"].is_string());
}
