use super::*;

#[test]
fn texts() {
    for text in
        ["me", "everyone", "authenticated", "interactive", "administrators", "services", "system", "packages"]
    {
        let Ok(who) = text.parse::<Principal>();
        assert!(!matches!(who, Principal::User(_)), "{text}");
        assert_eq!(who.to_string(), text);
    }
    for (text, who) in [
        ("ann", Principal::user("ann")),
        (r"HOST\ann", Principal::user(r"HOST\ann")),
        ("group:staff", Principal::group("staff")),
        ("package:App_1", Principal::package("App_1")),
    ] {
        assert_eq!((text.parse(), who.to_string().as_str()), (Ok(who.clone()), text));
    }
}

#[test]
fn levels() {
    for level in [
        IntegrityLevel::Untrusted,
        IntegrityLevel::Low,
        IntegrityLevel::Medium,
        IntegrityLevel::High,
        IntegrityLevel::System,
    ] {
        assert_eq!((IntegrityLevel::from_rid(level.rid()), level.to_string().parse()), (level, Ok(level)));
        assert_eq!(IntegrityLevel::from_rid(level.rid() + 0x100), level, "in between");
    }
}
