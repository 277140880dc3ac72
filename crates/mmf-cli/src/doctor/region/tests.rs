use super::clauses;

#[test]
fn access_rights_become_lines() {
    assert_eq!(clauses("owner ann; ann may read; no other user may"), ["ann may read", "no other user may"]);
    assert_eq!(clauses("no owner; no user may open it"), ["no owner", "no user may open it"]);
}
