//! The root of the crate holds the items that almost every program needs. All others are in modules by topic.

/// Returns the items that `lib.rs` re-exports.
fn root() -> Vec<String> {
    let source = include_str!("../../src/lib.rs");
    let mut items = Vec::new();
    // (Statements of the root start a line; those of hidden modules are indented.)
    for statement in source.split("\npub use ").skip(1) {
        let path = statement.split_once(';').map_or(statement, |(path, _)| path);
        let names = path.rsplit_once("::").map_or(path, |(_, names)| names);
        let names = path.split_once('{').map_or(names, |(_, names)| names.trim_end_matches('}'));
        items.extend(names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
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
