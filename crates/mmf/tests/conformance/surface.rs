//! The root of the crate holds the items that almost every program needs. All others are in modules by topic.

/// Returns the items that `lib.rs` re-exports, without those that are hidden.
fn root() -> Vec<String> {
    let source = include_str!("../../src/lib.rs");
    let mut items = Vec::new();
    let mut hidden = false;
    for statement in
        source.lines().filter(|line| !line.starts_with("//")).collect::<Vec<_>>().join("\n").split(';')
    {
        let statement = statement.trim();
        hidden |= statement.contains("#[doc(hidden)]");
        let Some(at) = statement.find("pub use ") else { continue };
        if !std::mem::take(&mut hidden) {
            let path = &statement[at + "pub use ".len()..];
            let names = path.rsplit_once("::").map_or(path, |(_, names)| names);
            let names = path.split_once('{').map_or(names, |(_, names)| names.trim_end_matches('}'));
            items.extend(names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
        }
    }
    items.sort_unstable();
    items
}

pub(crate) fn the_root_has_sixteen_items() {
    let expected = [
        "CopyOnWrite",
        "Disposition",
        "Error",
        "ErrorKind",
        "Name",
        "Namespace",
        "OpenOptions",
        "ReadOnly",
        "ReadWrite",
        "Result",
        "Segment",
        "SegmentOptions",
        "SharedMemory",
        "SharedType",
        "ToName",
        "View",
    ];
    assert_eq!(root(), expected);
}

testkit::registry! {
    surface
    tests {
        the_root_has_sixteen_items
    }
    roles {
    }
}
