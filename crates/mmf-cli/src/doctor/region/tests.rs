use super::clauses;

#[test]
fn a_sentence_becomes_lines() {
    assert_eq!(clauses("owner ann; ann may read; nobody else may"), ["ann may read", "nobody else may"]);
    assert_eq!(clauses("no owner; nobody may open it"), ["no owner", "nobody may open it"]);
}
