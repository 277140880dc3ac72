use super::*;

#[test]
fn names_and_ids_translate() {
    for (kind, name) in [(Kind::User, "root"), (Kind::Group, name_of(Kind::Group, 0).unwrap().as_str())] {
        assert_eq!(id_of(kind, name).unwrap(), Some(0));
        assert_eq!(name_of(kind, 0).unwrap(), name);
        assert_eq!(id_of(kind, "no user has this name").unwrap(), None);
        assert_eq!(id_of(kind, "with a\0nul").unwrap(), None);
        assert_eq!(name_of(kind, 3_999_999_999), None);
    }
}
