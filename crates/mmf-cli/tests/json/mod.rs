//! `docs/json.md` and the documents that the commands print: both have the same fields.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mmf::{Segment, SharedMemory};
use serde_json::Value;
use testkit::{Peer, Test, unique_name, wait_until};

use crate::common::{command, run};
use crate::{create, temporary_file};

pub const TESTS: &[Test] = &[("the_json_page_is_complete", the_page_is_complete)];

/// A row of a table.
struct Row {
    kind: String,
    /// Whether this system may never print the field.
    is_optional: bool,
}

/// The tables of the page by section, and the rows that were printed.
struct Page {
    sections: BTreeMap<String, BTreeMap<String, Row>>,
    printed: BTreeSet<(String, String)>,
}

impl Page {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/json.md");
        let text = std::fs::read_to_string(path).unwrap();
        let mut sections: BTreeMap<String, BTreeMap<String, Row>> = BTreeMap::new();
        let mut section = String::new();
        for line in text.lines() {
            if line.starts_with('#') {
                line.trim_start_matches('#').trim().clone_into(&mut section);
            }
            let Some(row) = line.strip_prefix("| `") else { continue };
            let cells: Vec<&str> = row.split(" | ").collect();
            let [field, kind, meaning] = cells[..] else { panic!("not three cells: {line}") };
            let is_optional = meaning.contains("(Windows)");
            let row = Row { kind: kind.to_owned(), is_optional };
            let field = field.trim_end_matches('`').to_owned();
            assert!(
                sections.entry(section.clone()).or_default().insert(field, row).is_none(),
                "twice: {line}"
            );
        }
        Page { sections, printed: BTreeSet::new() }
    }

    /// Requires the fields of a document and those of a section to be the same.
    #[track_caller]
    fn check(&mut self, section: &str, document: &Value) {
        let fields = document.as_object().unwrap_or_else(|| panic!("{section}: {document}"));
        let has_all = !matches!(section, "state" | "stage");
        // The fields of the variants are in `docs/codes.md`.
        let is_open = matches!(section, "cause" | "remedy");
        let rows = self.sections.get(section).unwrap_or_else(|| panic!("no section {section:?}"));
        for field in rows.keys().filter(|_| has_all) {
            assert!(fields.contains_key(field), "{section}: no {field} in {document}");
        }
        for (field, value) in fields {
            let row = self.sections[section].get(field);
            if is_open && row.is_none() {
                continue;
            }
            let row = row.unwrap_or_else(|| panic!("{section}: {field} is not documented: {document}"));
            let kinds = row.kind.clone();
            let fits = kinds.split(" or ").any(|kind| self.fits(kind, value));
            assert!(fits, "{section}: {field} is documented as {kinds}, but is {value}");
            self.printed.insert((section.to_owned(), field.clone()));
        }
    }

    #[track_caller]
    fn fits(&mut self, kind: &str, value: &Value) -> bool {
        if let Some(of) = kind.strip_prefix("list of ") {
            return value.as_array().is_some_and(|list| list.iter().all(|one| self.fits(of, one)));
        }
        if let Some(link) = kind.strip_prefix('[') {
            let is_object = value.is_object();
            if is_object {
                self.check(link.split(']').next().unwrap(), value);
            }
            return is_object;
        }
        match kind {
            "null" => value.is_null(),
            "text" => value.is_string(),
            "integer" => value.is_u64() || value.is_i64(),
            // A number without a value in JSON.
            "number" => value.is_number() || value.is_null(),
            "boolean" => value.is_boolean(),
            _ => panic!("unknown type {kind:?}"),
        }
    }

    /// Requires every row to have been printed.
    fn finish(self) {
        let rows = self.sections.iter().flat_map(|(section, rows)| {
            rows.iter().filter(|(_, row)| !row.is_optional).map(move |(field, _)| (section, field))
        });
        let missing: Vec<_> =
            rows.filter(|(s, f)| !self.printed.contains(&((*s).clone(), (*f).clone()))).collect();
        assert!(missing.is_empty(), "documented, but never printed: {missing:?}");
    }
}

fn the_page_is_complete() {
    if !cfg!(target_os = "linux") {
        testkit::skip("the page is compared with the output on Linux");
    }
    let mut page = Page::read();
    let json = |arguments: &[&str]| run(arguments.iter().chain(&["--json"])).json();
    let name = &unique_name("json");
    let (_folder, path) = temporary_file(b"content");

    page.check("mmf create", &json(&["create", &unique_name("json"), "4096", "--for", "0.01"]));
    page.check("mmf create", &json(&["load", &unique_name("json"), &path, "--for", "0.01"]));
    let _creator = create(name, &["4096"]);
    page.check("mmf save", &json(&["save", name, &path, "--force"]));
    page.check("mmf save", &json(&["load", name, &path, "--into"]));
    page.check("mmf info", &json(&["info", name]));
    page.check("mmf holders", &json(&["holders", name]));
    page.check("mmf ls", &json(&["ls"]));
    page.check("mmf dump", &json(&["dump", name, "--length", "4"]));
    page.check("mmf write", &json(&["write", name, "--text", "x"]));
    page.check("mmf demo", &json(&["demo", &path]));
    page.check("mmf doctor", &json(&["doctor", name]));
    page.check("mmf doctor", &json(&["doctor", &unique_name("json")]));
    page.check("mmf doctor without a name", &json(&["doctor"]));
    for arguments in [["info", &unique_name("json")], ["info", ""]] {
        let error = run(arguments.iter().chain(&["--json"])).err;
        page.check("errors", &serde_json::from_str(&error).unwrap());
    }
    watch(&mut page, name);
    inspect(&mut page);
    page.finish();
}

fn watch(page: &mut Page, name: &str) {
    page.check("mmf watch", &run(["watch", name, "--json", "--type", "f32"]).json());
    // A region of another program, which is truncated and grows while it is watched.
    let text = unique_name("json");
    let file = Path::new("/dev/shm").join(&text);
    std::fs::write(&file, [7; 8192]).unwrap();
    let mut arguments = vec!["watch", "--json", "--count", "0", "--interval", "10ms", "--offset", "4090"];
    let global = format!(r"Global\{text}");
    arguments.push(&global);
    let mut watch = Peer::spawn("watch", &mut command(arguments));
    watch.hear();
    let opened = std::fs::File::options().write(true).open(&file).unwrap();
    opened.set_len(4092).unwrap();
    wait_until("the bytes are cut off", || {
        let document: Value = serde_json::from_str(&watch.hear()).unwrap();
        page.check("mmf watch", &document);
        document["cut_off"][0].is_object() && document["bytes"][0].is_object()
    });
    std::fs::remove_file(&file).unwrap();
}

fn inspect(page: &mut Page) {
    let name = &unique_name("json-segment");
    let segment = Segment::create(name, 64 * 1024).unwrap();
    let lock = segment.rwlock::<u32>("table").unwrap();
    let _reading = lock.read().unwrap();
    segment.manual_reset_event("go").unwrap();
    segment.latest::<f64>("speed").unwrap();
    segment.event_count("changed").unwrap();
    segment.once_lock::<u32>("once").unwrap();
    segment.auto_reset_event("damaged").unwrap();
    let mut holder = Peer::start("hold", &[name]);
    holder.expect("holding");
    holder.kill();
    wait_until("the owner is dead", || {
        run(["inspect", name, "--json"]).json()["participants"][1]["alive"] == false
    });
    let mutex = segment.mutex::<u64>("state").unwrap();
    drop(mutex.lock().expect_err("the owner died"));
    let lines = run(["inspect", name, "--watch", "--count", "2", "--interval", "10ms", "--json"]).text();
    for line in lines.lines() {
        page.check("mmf inspect", &serde_json::from_str(line).unwrap());
    }
    let offset = segment.inspect().unwrap().objects[5].offset - 256;
    let start = usize::try_from(offset).unwrap();
    segment.memory().view().unwrap().fill(0xee, start..start + 256).unwrap();
    page.check("mmf inspect", &run(["inspect", name, "--json"]).json());

    // The claim of a creator that has not finished: see `docs/segment.md`.
    let name = &unique_name("json-unfinished");
    let region = SharedMemory::create(name, 64 * 1024).unwrap();
    let claim = u64::from(std::process::id()) << 32 | 2;
    region.view().unwrap().write(&claim, 48).unwrap();
    page.check("mmf info", &run(["info", name, "--json"]).json());
}
