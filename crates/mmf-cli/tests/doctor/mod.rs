//! `mmf doctor`, and the other commands' output about access rights and refusals.

use serde_json::{Value, json};
use testkit::{Test, skip, unique_name, wait_until};

use crate::common::{Outcome, command, finish, listed, run};
use crate::{create, shown};

pub const TESTS: &[Test] = &[
    ("doctor_describes_the_machine", machine),
    ("doctor_provokes_a_fault", provokes_a_fault),
    ("doctor_finds_blocked_signals", blocked_signals),
    ("doctor_describes_a_region", region),
    ("doctor_explains_a_missing_region", missing),
    ("doctor_finds_the_other_namespace", other_namespace),
    ("doctor_finds_another_kind", other_kind),
    ("doctor_finds_a_stale_region", abandoned),
    ("doctor_fails", fails),
    ("doctor_fits_the_terminal", fits_the_terminal),
    ("doctor_prints_colours_only_to_terminals", colours),
    ("control_characters_are_escaped", control_characters),
    ("create_grants", grants),
    ("create_refuses_bad_grants", bad_grants),
    ("create_takes_descriptors", descriptors),
    ("errors_have_findings", errors),
    ("another_user_gets_causes", another_user),
];

/// Runs the doctor, so wide that no line is wrapped.
fn doctor(arguments: &[&str]) -> Outcome {
    finish(command(["doctor"].iter().chain(arguments)).env("COLUMNS", "1000"), b"")
}

/// Returns the findings of a document: causes and remedies by their identifiers.
fn words(findings: &Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{findings}")).to_owned();
    let remedies = |finding: &Value| {
        finding["remedies"].as_array().unwrap().iter().map(|remedy| text(&remedy["id"])).collect()
    };
    let findings = findings.as_array().unwrap_or_else(|| panic!("{findings}")).iter();
    findings.map(|finding| (text(&finding["cause"]["id"]), remedies(finding))).collect()
}

fn can_create_global_names() -> bool {
    let machine = doctor(&["--json"]).succeeded().json();
    let mut capabilities = machine["capabilities"].as_array().unwrap().iter();
    capabilities.any(|one| one["action"] == "create_global" && one["diagnosis"]["ok"] == true)
}

fn machine() {
    let text = doctor(&[]).succeeded().text();
    for part in
        ["this user\n  name ", "\nthis machine\n", "page size", "granularity", "\nwhat this user can do\n"]
    {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(text.contains("\n  yes  create Local\\ regions\n"), "{text}");
    assert!(!text.contains("the name is free"), "{text}");

    let document = doctor(&["--json"]).succeeded().json();
    let capabilities = document["capabilities"].as_array().unwrap();
    assert!(capabilities.len() >= 5, "{document}");
    for capability in capabilities {
        let answer = if capability["diagnosis"]["ok"] == true { "yes  " } else { "no   " };
        let line = format!("\n  {answer}{}\n", capability["text"].as_str().unwrap());
        assert!(text.contains(&line), "no {line:?} in {text}");
        for (finding, (cause, _)) in capability["diagnosis"]["findings"]
            .as_array()
            .unwrap()
            .iter()
            .zip(words(&capability["diagnosis"]["findings"]))
        {
            // The trial name is free, which the text does not report.
            assert!(cause == "free" || text.contains(finding["cause"]["text"].as_str().unwrap()), "{text}");
        }
    }
    assert!(document["page_size"].as_u64().unwrap().is_power_of_two(), "{document}");
    assert!(document["user"]["id"].is_string(), "{document}");
}

fn provokes_a_fault() {
    let document = doctor(&["--json"]).succeeded().json();
    let text = doctor(&[]).succeeded().text();
    let faults = &document["faults"];
    assert_eq!(faults["armed"], true, "{document}");
    assert_eq!(faults["handler"]["blocked"], false, "{document}");
    assert!(text.contains("\n  faults        are errors"), "{text}");
    if cfg!(windows) {
        assert_eq!(faults["handler"]["bus"], "not_needed", "{document}");
    } else {
        assert_eq!(faults["handler"]["bus"], "first", "{document}");
        assert_eq!(faults["caught"], true, "{document}");
    }
    // Whether the kernel can copy depends on system call filters and emulators; both answers must agree.
    let view = mmf::SharedMemory::anonymous(4096).unwrap().view().unwrap();
    assert_eq!(faults["kernel_copies"] == true, view.with_kernel_copies().is_ok(), "{document}");
}

/// The signal mask is inherited, so a program can have these signals blocked without having done anything.
fn blocked_signals() {
    let can_block = |program: &str| {
        let mut env = std::process::Command::new("env");
        env.args(["--block-signal=BUS", program]).output().is_ok_and(|output| output.status.success())
    };
    if !cfg!(target_os = "linux") || !can_block("true") {
        skip("env cannot start programs with a signal blocked here");
    }
    let mmf = command([""; 0]);
    for (option, armed) in [("--block-signal=BUS", false), ("--ignore-signal=BUS", true)] {
        let run = |json: bool| {
            let mut env = std::process::Command::new("env");
            env.env("COLUMNS", "1000").arg(option).arg(mmf.get_program()).arg("doctor");
            env.args(json.then_some("--json"));
            finish(&mut env, b"").succeeded()
        };
        let document = run(true).json();
        assert_eq!(document["faults"]["armed"], armed, "{document}");
        assert_eq!(document["faults"]["handler"]["blocked"], !armed, "{document}");
        let text = run(false).text();
        assert_eq!(text.contains("unblocked"), !armed, "{text}");
        assert_eq!(text.contains("one was provoked and caught"), armed, "{text}");
    }
}

fn region() {
    let name = &unique_name("mine");
    let _creator = create(name, &["64K"]);
    let text = doctor(&[name]).succeeded().text();
    assert!(
        text.starts_with(&format!("Local\\{name}\n  exists   yes\n  kind     shared memory\n")),
        "{text}"
    );
    for line in [
        "  length   65536 bytes (64 KiB)\n",
        "  owner    ",
        "  access   ",
        "  read     yes\n",
        "  write    yes\n",
    ] {
        assert!(text.contains(&format!("\n{line}")), "no {line:?} in {text}");
    }
    assert!(!text.contains("why:"), "{text}");
    assert_eq!(text.contains("\n  SDDL     "), cfg!(windows), "{text}");

    let document = doctor(&[name, "--json"]).succeeded().json();
    let all = ["exists", "may_read", "may_write"].map(|key| document[key].clone());
    assert_eq!(all, [json!(true), json!(true), json!(true)], "{document}");
    assert_eq!(document["diagnosis"]["ok"], true, "{document}");
    assert_eq!((&document["length"], &document["kind"]), (&json!(65_536), &json!("shared memory")));
    assert_eq!(document["owner"], run(["info", name, "--json"]).succeeded().json()["owner"]);
    assert_eq!(words(&document["diagnosis"]["findings"]), [("usable".to_owned(), vec![])]);
}

fn missing() {
    let name = &unique_name("missing");
    let outcome = doctor(&[name]);
    let text = outcome.text();
    assert!((outcome.status, outcome.err.as_str()) == (Some(1), ""), "{outcome:?}");
    assert!(
        text.starts_with(&format!(
            "Local\\{name}\n  exists   no\n    why: it was not created yet, or it was removed"
        )),
        "{text}"
    );
    assert!(text.contains("\n      do: start the program that creates it first"), "{text}");
    let outcome = doctor(&[name, "--json"]);
    let document = outcome.json();
    assert_eq!((outcome.status, &document["exists"]), (Some(1), &json!(false)));
    assert_eq!(
        words(&document["diagnosis"]["findings"])[0],
        ("missing".to_owned(), vec!["start_creator".to_owned()])
    );
}

fn other_namespace() {
    if !can_create_global_names() {
        skip("this user cannot create Global names");
    }
    let name = &unique_name("elsewhere");
    let global = &format!(r"Global\{name}");
    let _creator = create(global, &["4096"]);
    let outcome = doctor(&[name]);
    assert_eq!(outcome.status, Some(1));
    let text = outcome.text();
    assert!(text.contains(&format!("do: open {global}\n")), "{text}");
    assert!(text.contains(&format!("note: {global} exists in the other namespace\n")), "{text}");
    doctor(&[global]).succeeded();
}

fn other_kind() {
    if !cfg!(target_os = "linux") {
        skip("names are directory entries on Linux only");
    }
    let name = unique_name("folder");
    let path = format!("/dev/shm/{name}");
    if let Err(error) = std::fs::create_dir(&path) {
        skip(format!("{path} cannot be created: {error}"));
    }
    let global = format!(r"Global\{name}");
    let (text, json) = (doctor(&[&global]), doctor(&[&global, "--json"]));
    std::fs::remove_dir(&path).unwrap();
    assert_eq!((text.status, json.status), (Some(1), Some(1)));
    let (text, json) = (text.text(), json.json());
    assert!(text.contains("\n  kind     directory\n    why: the name belongs to a directory\n"), "{text}");
    assert_eq!(words(&json["diagnosis"]["findings"])[0].0, "other_type");
}

fn abandoned() {
    let name = &unique_name("abandoned");
    create(name, &["4096"]).kill();
    let full = format!(r"Local\{name}");
    wait_until("the region is gone or stale", || listed(&full).iter().all(|(_, stale)| *stale));
    let outcome = doctor(&[name]);
    assert_eq!(outcome.status, Some(1));
    let text = outcome.text();
    assert!(text.contains("it was not created yet") && !text.contains("\n  write "), "{text}");
    // The next open removes the stale region.
    run(["info", name]).failed(1, &["no region has this name"]);
}

fn fails() {
    doctor(&[r"global\x"]).failed(1, &[r"Global\x"]);
    doctor(&[""]).failed(1, &["empty"]);
    doctor(&["a", "b"]).failed(2, &["b"]);
    assert_eq!(doctor(&[r"a\b", "--json"]).json_error()["kind"], "invalid_name");
    let help = run(["doctor", "--help"]).succeeded().text();
    assert!(help.contains("exit status is 0 if you can open it for"), "{help}");
}

fn fits_the_terminal() {
    let name = &unique_name("narrow");
    let narrow = finish(command(["doctor", name]).env("COLUMNS", "60"), b"").text();
    let body = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert!(body(&narrow).iter().all(|line| line.chars().count() <= 60), "{narrow}");
    assert!(narrow.contains("\n      do: start the program") && narrow.contains("\n          "), "{narrow}");
    let wide = doctor(&[name]).text();
    let flow = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(flow(&narrow), flow(&wide));
    assert!(body(&wide).len() < body(&narrow).len(), "{wide}");
}

fn colours() {
    let name = &unique_name("colours");
    let _creator = create(name, &["4096"]);
    for arguments in [&["doctor"][..], &["doctor", name], &["doctor", "never created"], &["info", name]] {
        let (plain, json) = (run(arguments), run(arguments.iter().chain(&["--json"])));
        assert!(![plain.out, json.out].concat().contains(&0x1b), "{arguments:?}");
        assert!(!plain.err.contains('\x1b'), "{arguments:?}");
    }
    // Instead of a terminal.
    let forced = finish(command(["doctor", name]).env("CLICOLOR_FORCE", "1"), b"").succeeded().text();
    assert!(forced.contains("  read     \x1b[32myes\x1b[0m\n"), "{forced:?}");
    let denied = finish(command(["doctor", name]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1"), b"");
    assert!(!denied.succeeded().text().contains('\x1b'));
}

fn control_characters() {
    let text = unique_name("a\x1b[31mcontrol\r");
    // Such a name is refused for a new region and accepted for an existing one.
    run(["create", &text, "4096"]).failed(1, &["control character", "\\u{1b}[31m"]);
    let name = mmf::Name::from_parts(mmf::Namespace::Local, &text).unwrap();
    let region = mmf::SharedMemory::create(&name, 4096).unwrap();
    region.view().unwrap().write(b"text", 0).unwrap();
    let (full, printed) = (name.to_string(), format!("Local\\{}", shown(&text)));
    let listing = run(["ls"]).succeeded().text();
    assert!(listing.contains(&printed) && !listing.contains(['\x1b', '\r']), "{listing:?}");
    let document = run(["ls", "--json"]).succeeded();
    assert!(!document.out.contains(&0x1b));
    assert!(document.json()["regions"].as_array().unwrap().iter().any(|row| row["name"] == full));
    // As it is printed, and as the document contains it.
    for asked in [&printed, &full] {
        for arguments in [
            &["info", asked][..],
            &["info", asked, "--json"],
            &["doctor", asked],
            &["dump", asked, "--length", "4"],
            &["watch", asked, "--once"],
            &["write", asked, "--text", "text"],
            &["holders", asked],
        ] {
            if arguments[0] == "holders" && !cfg!(target_os = "linux") {
                continue; // no other system reports them
            }
            let outcome = run(arguments).succeeded();
            let out = outcome.text();
            assert!(!out.contains(['\x1b', '\r']), "{arguments:?}: {out:?}");
            assert_eq!(
                out.contains("control"),
                arguments[0] != "dump" && arguments[0] != "holders",
                "{out:?}"
            );
        }
    }
    let error = run(["info", &full.replace("control", "CONTROL")]).failed(1, &["\\u{1b}[31mCONTROL\\r"]).err;
    assert!(!error.contains(['\x1b', '\r']), "{error:?}");
}

fn grants() {
    let name = &unique_name("grants");
    let mut creator = create(name, &["4096", "--grant-read", "everyone", "--grant-write", "me"]);
    let rights = creator.hear();
    assert!(rights.starts_with("  owner ") && rights.contains("may read"), "{rights}");
    let info = run(["info", name]).succeeded().text();
    assert!(info.contains(&format!("\n  access   {}\n", rights.trim_start())), "{info}");
    let document = run(["info", name, "--json"]).succeeded().json();
    assert_eq!(document["security"], rights.trim_start());
    if cfg!(unix) {
        assert!(rights.ends_with("everyone else may read"), "{rights}");
    }
    let mut json = testkit::Peer::spawn(
        "create",
        &mut command(["create", &unique_name("grants"), "4096", "--grant-read", "everyone", "--json"]),
    );
    let created: Value = serde_json::from_str(&json.hear()).unwrap();
    assert_eq!(created["security"], document["security"]);
}

fn bad_grants() {
    let name = &unique_name("bad");
    let unknown = "mmf-no-such-user";
    for option in ["--grant-read", "--grant-write"] {
        run(["create", name, "4096", option, unknown]).failed(1, &["cannot create", unknown, "no such user"]);
        run(["create", name, "4096", option]).failed(2, &["PRINCIPAL"]);
    }
    let error = run(["create", name, "4096", "--grant-read", unknown, "--json"]).json_error();
    assert_eq!(error["kind"], "unknown_account");
    run(["create", name, "4096", "--sddl", "D:", "--grant-read", "me"])
        .failed(2, &["--sddl", "--grant-read"]);
    run(["create", name, "4096", "--integrity", "lowest"]).failed(2, &["lowest", "untrusted"]);
    assert_eq!(listed(&format!(r"Local\{name}")), []);
    let help = run(["create", "--help"]).succeeded().text();
    for word in
        ["me", "everyone", "administrators", "system", "authenticated", "interactive", "services", "packages"]
    {
        assert!(help.contains(&format!("\n  {word} ")), "no {word} in {help}");
    }
}

fn descriptors() {
    let name = &unique_name("sddl");
    if cfg!(unix) {
        run(["create", name, "4096", "--sddl", "D:(A;;GA;;;WD)"]).failed(1, &["Windows", "grant"]);
        run(["create", name, "4096", "--integrity", "low"]).failed(1, &["Windows", "integrity"]);
        return;
    }
    let mut creator = create(name, &["4096", "--sddl", "D:P(A;;GA;;;OW)(A;;GA;;;WD)"]);
    assert!(creator.hear().starts_with("  owner "));
    let sddl = doctor(&[name, "--json"]).succeeded().json()["sddl"].as_str().unwrap().to_owned();
    assert!(sddl.contains("D:") && sddl.contains(";;;WD)"), "{sddl}");
    run(["create", &unique_name("sddl"), "4096", "--sddl", "nonsense"]).failed(1, &["nonsense"]);
}

fn errors() {
    let name = &unique_name("findings");
    let error = run(["info", name, "--json"]).json_error();
    assert!(!error["message"].as_str().unwrap().contains('\n'), "{error}");
    assert_eq!(words(&error["findings"])[0], ("missing".to_owned(), vec!["start_creator".to_owned()]));
    let text = run(["info", name]).failed(
        1,
        &[
            name,
            "\n  why: it was not created yet, or it was removed with its last holder\n",
            "\n    do: start the program",
        ],
    );
    assert!(text.err.lines().next().unwrap().starts_with("mmf: cannot open"), "{text:?}");
    // An error without a diagnosis has none.
    assert_eq!(run(["info", "", "--json"]).json_error()["findings"], json!([]));
}

#[cfg(unix)]
fn another_user() {
    use std::fs::{Permissions, copy, set_permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    const OTHER: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    if std::fs::metadata(folder.path()).unwrap().uid() != 0 {
        skip("only the superuser can become another user");
    }
    // The program may be in a directory that the other user cannot access.
    let program = folder.path().join("mmf");
    copy(env!("CARGO_BIN_EXE_mmf"), &program).unwrap();
    for path in [folder.path(), &program] {
        set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let as_other = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir("/").env("COLUMNS", "1000").uid(OTHER).gid(OTHER);
        finish(&mut command, b"")
    };

    let global = &format!(r"Global\{}", unique_name("theirs"));
    let _creator = create(global, &["4096", "--grant-read", "everyone"]);
    let outcome = as_other(&["doctor", global]);
    let text = outcome.text();
    assert_eq!(outcome.status, Some(1), "{text}");
    assert!(text.contains("\n  read     yes\n  write    no\n    why: "), "{text}");
    assert!(text.contains(" may not write to it: see the access rights\n"), "{text}");
    assert!(text.contains("do: only read it, which is allowed") && text.contains("--grant-write"), "{text}");
    let document = as_other(&["doctor", global, "--json"]).json();
    assert_eq!(
        words(&document["diagnosis"]["findings"])[0].1,
        ["open_read_only", "let_creator_grant", "run_as"]
    );
    assert_eq!(words(&document["read_diagnosis"]["findings"])[0].0, "usable");
    let info = as_other(&["info", global]).succeeded().text();
    assert!(info.contains("\n  write    no\n           why: "), "{info}");
    assert!(info.contains("\n             do: only read it, which is allowed"), "{info}");
    let error = as_other(&["write", global, "--text", "x", "--json"]).json_error();
    assert_eq!(
        (&error["kind"], &words(&error["findings"])[0].0[..]),
        (&json!("not_writable"), "not_granted")
    );

    let private = &format!(r"Global\{}", unique_name("private"));
    let _creator = create(private, &["4096"]);
    let text = as_other(&["doctor", private]).text();
    assert!(text.contains("\n  read     no\n") && text.contains("--grant-read"), "{text}");
    assert!(text.contains("\n  write    no\n") && text.contains("--grant-write"), "{text}");
    let after_write = text.split("\n  write    no\n").nth(1).unwrap();
    assert!(
        after_write.contains("may not write to it") && !after_write.contains("may not read it"),
        "{text}"
    );
    let listing = as_other(&["ls", "--json"]).succeeded().json();
    let row = listing["regions"].as_array().unwrap().iter().find(|row| row["name"] == **private).unwrap();
    let error = row["error"].as_str().unwrap();
    assert!(error.contains("may not read it") && !error.contains('\n'), "{error}");
}

#[cfg(not(unix))]
fn another_user() {
    skip("a second user would have to log on");
}
