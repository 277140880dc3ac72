use super::*;
use crate::sys::descriptor;

#[test]
fn only_the_current_user_can_access_a_saved_file() {
    let path = std::env::temp_dir().join(format!("mmf-unit-{}", std::process::id()));
    let draft = Draft::begin(&path, true).unwrap();
    draft.write_at(0, b"x").unwrap();
    draft.finish(1, true).unwrap();
    let file = File::open(&path).unwrap();
    let bytes = descriptor::of(file.as_handle()).unwrap();
    let text = descriptor::to_sddl(&bytes).unwrap();
    fs::remove_file(&path).unwrap();
    let owner = text.strip_prefix("O:").and_then(|rest| rest.split("G:").next()).unwrap();
    let entries: Vec<_> = text.split('(').skip(1).map(|entry| entry.split(')').next().unwrap()).collect();
    assert!(entries.contains(&format!("A;;FA;;;{owner}").as_str()), "{text}");
    // (Wine stores a file mode instead of a list, and adds an entry for the system.)
    let is_expected =
        |entry: &&str| entry.ends_with(owner) || (testkit::under_wine() && entry.ends_with("SY"));
    assert!(entries.iter().all(is_expected), "{text}");
}
