//! Regions without a name are handed to children and to running processes.

use std::process::{Command, Stdio};
use std::sync::Mutex;

use mmf::handoff::{self, CommandExt, Ticket};
use mmf::{ErrorKind, ReadOnly, SharedMemory};
use testkit::{Peer, Role, command_for_role, open_handles, unique_name, wait_until};

const WORKER: &str = "handoff::role_worker";
/// A length that nothing else has, which distinguishes these regions from other mappings of a process.
const LEN: u64 = 11 * 65536;

fn memory(value: u64) -> SharedMemory {
    let memory = SharedMemory::anonymous(LEN).unwrap();
    memory.view().unwrap().write(&value, 0).unwrap();
    memory
}

fn value(memory: &SharedMemory) -> u64 {
    memory.view().unwrap().read(0).unwrap()
}

/// Starts a worker and hands one region to it.
fn worker(label: &str, memory: &SharedMemory<impl mmf::view::Access>) -> Peer {
    let child = command_for_role(WORKER, &[]).hand_off(label, memory).unwrap().spawn().unwrap();
    Peer::adopt("worker", child)
}

#[track_caller]
fn ask(peer: &mut Peer, line: &str) -> String {
    peer.say(line);
    peer.hear()
}

#[track_caller]
fn expect(peer: &mut Peer, line: &str, answer: &str) {
    assert_eq!(ask(peer, line), answer, "to {line}");
}

/// The number of regions that this process holds, received or not.
#[track_caller]
fn expect_held(peer: &mut Peer, count: u64) {
    if !cfg!(target_vendor = "apple") {
        expect(peer, "held", &count.to_string());
    }
}

enum Held {
    Writable(SharedMemory),
    ReadOnly(SharedMemory<ReadOnly>),
}

impl Held {
    fn read(&self, at: usize) -> u64 {
        match self {
            Held::Writable(memory) => memory.view().unwrap().read(at).unwrap(),
            Held::ReadOnly(memory) => memory.view().unwrap().read(at).unwrap(),
        }
    }
}

/// Executes the commands it reads, one a line, and reports each result.
pub(crate) fn role_worker(role: &mut Role) {
    let mut held: Vec<Held> = Vec::new();
    let mut grandchildren: Vec<Peer> = Vec::new();
    loop {
        let line = role.hear();
        let words: Vec<&str> = line.split(' ').collect();
        let kind = |error: mmf::Error| format!("{:?}", error.kind());
        let mut keep = |result: Result<Held, mmf::Error>| match result {
            Ok(memory) => {
                held.push(memory);
                "ok".to_owned()
            }
            Err(error) => kind(error),
        };
        let answer = match words[..] {
            ["receive", label] => keep(handoff::receive(label).map(Held::Writable)),
            ["receive-read-only", label] => keep(handoff::receive_read_only(label).map(Held::ReadOnly)),
            ["redeem", text] => {
                keep(text.parse().and_then(|ticket: Ticket| ticket.redeem()).map(Held::Writable))
            }
            ["redeem-read-only", text] => {
                keep(text.parse().and_then(|ticket: Ticket| ticket.redeem_read_only()).map(Held::ReadOnly))
            }
            ["drop"] => {
                held.clear();
                "ok".to_owned()
            }
            ["read", index] => held[index.parse::<usize>().unwrap()].read(0).to_string(),
            ["write", index, value] => match &held[index.parse::<usize>().unwrap()] {
                Held::Writable(memory) => {
                    memory.view().unwrap().write(&value.parse::<u64>().unwrap(), 0).unwrap();
                    "ok".to_owned()
                }
                Held::ReadOnly(_) => "it is read-only".to_owned(),
            },
            ["len", index] => match &held[index.parse::<usize>().unwrap()] {
                Held::Writable(memory) => memory.len().to_string(),
                Held::ReadOnly(memory) => memory.len().to_string(),
            },
            ["widen", index] => match &held[index.parse::<usize>().unwrap()] {
                Held::Writable(_) => "it is writable".to_owned(),
                Held::ReadOnly(memory) => here::widen(memory).to_owned(),
            },
            ["labels"] => handoff::labels().join(","),
            ["width"] => usize::BITS.to_string(),
            ["held"] => here::regions_held().to_string(),
            ["ticket", index, process] => match &held[index.parse::<usize>().unwrap()] {
                Held::Writable(memory) => memory.ticket_for(process.parse().unwrap()).unwrap().to_string(),
                Held::ReadOnly(memory) => memory.ticket_for(process.parse().unwrap()).unwrap().to_string(),
            },
            ["in-threads", count] => in_threads(count.parse().unwrap()),
            // To a child of its own, which gets the rest of the line.
            ["hand-on", index, program, label] => {
                let mut command = if program == "self" {
                    command_for_role(WORKER, &[])
                } else {
                    piped(testkit::command_for(program).arg("--play-role").arg(WORKER))
                };
                let child = match &held[index.parse::<usize>().unwrap()] {
                    Held::Writable(memory) => command.hand_off(label, memory).unwrap().spawn(),
                    Held::ReadOnly(memory) => command.hand_off(label, memory).unwrap().spawn(),
                };
                grandchildren.push(Peer::adopt("grandchild", child.unwrap()));
                "ok".to_owned()
            }
            ["child", index, ref rest @ ..] => {
                ask(&mut grandchildren[index.parse::<usize>().unwrap()], &rest.join(" "))
            }
            _ => panic!("unknown command {line:?}"),
        };
        role.say(answer);
    }
}

fn piped(command: &mut Command) -> Command {
    let mut piped = Command::new(command.get_program());
    piped.args(command.get_args());
    piped.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    piped
}

pub(crate) fn a_child_receives() {
    let memory = memory(41);
    let mut peer = worker("frames", &memory);
    expect(&mut peer, "labels", "frames");
    expect(&mut peer, "receive frames", "ok");
    expect(&mut peer, "len 0", &memory.len().to_string());
    expect(&mut peer, "read 0", "41");
    expect(&mut peer, "write 0 42", "ok");
    assert_eq!(value(&memory), 42);
    // Only once.
    expect(&mut peer, "receive frames", "NotFound");
    expect(&mut peer, "receive-read-only FRAMES", "NotFound");
    // A label that does not exist, and one that is invalid.
    expect(&mut peer, "receive others", "NotFound");
    expect(&mut peer, "receive a=b", "InvalidName");
    // A writable region can be received read-only.
    let mut reader = worker("frames", &memory);
    expect(&mut reader, "receive-read-only frames", "ok");
    expect(&mut reader, "read 0", "42");
    peer.finish();
    reader.finish();
    assert_eq!(value(&memory), 42);
}

pub(crate) fn read_only_stays_read_only() {
    if cfg!(target_vendor = "apple") {
        testkit::skip("the rights of an unnamed region cannot be reduced here");
    }
    let memory = memory(7);
    let read_only = memory.clone().into_read_only().unwrap();
    let mut peer = worker("frames", &read_only);
    expect(&mut peer, "receive frames", "NotWritable");
    expect(&mut peer, "receive-read-only frames", "ok");
    expect(&mut peer, "read 0", "7");
    memory.view().unwrap().write(&8_u64, 0).unwrap();
    expect(&mut peer, "read 0", "8");
    // What it hands on is read-only as well.
    expect(&mut peer, "hand-on 0 self next", "ok");
    expect(&mut peer, "child 0 receive next", "NotWritable");
    expect(&mut peer, "child 0 receive-read-only next", "ok");
    expect(&mut peer, "child 0 read 0", "8");
    peer.finish();
    // A process with the right to write keeps it, and can hand it on.
    let mut writer = worker("frames", &memory);
    expect(&mut writer, "receive frames", "ok");
    expect(&mut writer, "write 0 9", "ok");
    assert_eq!(value(&memory), 9);
    writer.finish();
}

pub(crate) fn read_only_cannot_be_widened() {
    if cfg!(target_vendor = "apple") {
        testkit::skip("the rights of an unnamed region cannot be reduced here");
    }
    here::as_a_plain_user("handoff::role_widen");
}

pub(crate) fn role_widen(role: &mut Role) {
    let memory = memory(7);
    let read_only = memory.clone().into_read_only().unwrap();
    assert_eq!(here::widen(&read_only), "refused");
    let mut peer = worker("frames", &read_only);
    expect(&mut peer, "receive-read-only frames", "ok");
    expect(&mut peer, "widen 0", "refused");
    let ticket = read_only.ticket_for(peer.id()).unwrap().to_string();
    expect(&mut peer, &format!("redeem {ticket}"), "NotWritable");
    // A ticket is text, so it can be edited to claim more.
    let claims = ticket.strip_suffix(":r").unwrap().to_owned() + ":rw";
    let answer = ask(&mut peer, &format!("redeem {claims}"));
    assert!(matches!(&*answer, "NotWritable" | "InvalidTicket" | "PermissionDenied"), "{answer}");
    expect(&mut peer, &format!("redeem-read-only {ticket}"), "ok");
    expect(&mut peer, "widen 1", "refused");
    peer.finish();
    memory.view().unwrap().write(&8_u64, 0).unwrap();
    role.say("well");
}

pub(crate) fn several_regions_and_children() {
    let regions: Vec<SharedMemory> = (0..5).map(|index| memory(100 + index)).collect();
    let mut peers: Vec<Peer> = Vec::new();
    for _ in 0..3 {
        let mut command = command_for_role(WORKER, &[]);
        let mut handing = command.hand_off("m0", &regions[0]).unwrap();
        for (index, memory) in regions.iter().enumerate().skip(1) {
            handing = handing.hand_off(&format!("m{index}"), memory).unwrap();
        }
        peers.push(Peer::adopt("worker", handing.spawn().unwrap()));
    }
    for peer in &mut peers {
        expect(peer, "labels", "m0,m1,m2,m3,m4");
        // In another order than they were handed over.
        for (place, index) in [3, 0, 4, 1, 2].iter().enumerate() {
            expect(peer, &format!("receive m{index}"), "ok");
            expect(peer, &format!("read {place}"), &(100 + index).to_string());
        }
        expect_held(peer, 5);
    }
    expect(&mut peers[1], "write 0 77", "ok");
    expect(&mut peers[2], "read 0", "77");
    assert_eq!(value(&regions[3]), 77);
    for peer in peers {
        peer.finish();
    }
}

pub(crate) fn labels() {
    let memory = memory(1);
    let mut command = command_for_role(WORKER, &[]);
    let long = "x".repeat(65);
    for label in ["", "a b", "a=b", "ä", "a\0", "a/b", &long] {
        let error = command.hand_off(label, &memory).unwrap_err();
        assert_eq!(
            (error.kind(), error.operation()),
            (ErrorKind::InvalidName, mmf::error::Operation::HandOff)
        );
    }
    let error = command.hand_off("frames", &memory).unwrap().hand_off("Frames", &memory).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
    assert!(format!("{error:#}").contains("twice"), "{error}");
    // The receiver ignores case as well.
    let mut peer = worker("Frames_and-1", &memory);
    expect(&mut peer, "labels", "Frames_and-1");
    expect(&mut peer, "receive FRAMES_AND-1", "ok");
    expect(&mut peer, "receive Frames_and-1", "NotFound");
    // If it hands on another region under the same label in different case, its child receives that one.
    expect(&mut peer, "hand-on 0 self frames_AND-1", "ok");
    assert!(ask(&mut peer, "child 0 labels").eq_ignore_ascii_case("frames_and-1"));
    expect(&mut peer, "child 0 receive Frames_and-1", "ok");
    expect(&mut peer, "child 0 read 0", "1");
    peer.finish();
    // Without any hand-off, the message names the call that is missing.
    let error = handoff::receive("nothing").unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::NotFound, mmf::error::Operation::Receive));
    assert!(format!("{error:#}").contains("hand_off"), "{error}");
}

pub(crate) fn the_command_is_unchanged() {
    let (one, two) = (memory(1), memory(2));
    let mut command = command_for_role(WORKER, &[]);
    command.env("OTHER", "kept");
    let mut first = Peer::adopt("first", command.hand_off("frames", &one).unwrap().spawn().unwrap());
    // Without a hand-off, the command hands over nothing.
    let mut second = Peer::adopt("second", command.spawn().unwrap());
    // A command that is never spawned leaves nothing behind.
    drop(command.hand_off("frames", &one).unwrap());
    let mut third = Peer::adopt("third", command.hand_off("frames", &two).unwrap().spawn().unwrap());
    expect(&mut second, "labels", "");
    expect(&mut second, "receive frames", "NotFound");
    expect_held(&mut second, 0);
    for (peer, value) in [(&mut first, "1"), (&mut third, "2")] {
        expect_held(peer, 1);
        expect(peer, "receive frames", "ok");
        expect(peer, "read 0", value);
    }
    assert!(command.get_envs().any(|(name, value)| name == "OTHER" && value.is_some()));
    assert!(command.get_envs().all(|(name, value)| name == "OTHER" || value.is_none()));
    for peer in [first, second, third] {
        peer.finish();
    }
    // The same label for two commands at the same time.
    let (mut a, mut b) = (command_for_role(WORKER, &[]), command_for_role(WORKER, &[]));
    let (a, b) = (a.hand_off("frames", &one).unwrap(), b.hand_off("frames", &two).unwrap());
    let (b, a) = (b.spawn().unwrap(), a.spawn().unwrap());
    for (child, value) in [(a, "1"), (b, "2")] {
        let mut peer = Peer::adopt("worker", child);
        expect(&mut peer, "receive frames", "ok");
        expect(&mut peer, "read 0", value);
        peer.finish();
    }
}

pub(crate) fn an_empty_environment() {
    let memory = memory(3);
    let mut command = command_for_role(WORKER, &[]);
    command.env_clear();
    for name in ["PATH", "SystemRoot", "WINEPREFIX", "HOME", "QEMU_LD_PREFIX"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let mut peer = Peer::adopt("worker", command.hand_off("frames", &memory).unwrap().spawn().unwrap());
    expect(&mut peer, "receive frames", "ok");
    expect(&mut peer, "read 0", "3");
    peer.finish();
}

pub(crate) fn commands_that_cannot_start() {
    let memory = memory(3);
    let mut command = Command::new("/there/is/no/such/program");
    let plain = command.spawn().unwrap_err();
    let error = command.hand_off("frames", &memory).unwrap().spawn().unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (plain.kind(), plain.raw_os_error()));
    assert!(command.get_envs().all(|(_, value)| value.is_none()));
    let status =
        command_for_role("handoff::role_nothing", &[]).hand_off("a", &memory).unwrap().status().unwrap();
    assert!(status.success());
}

/// Never receives what it is given.
pub(crate) fn role_nothing(_: &mut Role) {}

pub(crate) fn grandchildren_receive() {
    let memory = memory(5);
    // Through a shell that does not use the library.
    let child = here::through_a_shell().hand_off("frames", &memory).unwrap().spawn().unwrap();
    let mut peer = Peer::adopt("grandchild", child);
    expect(&mut peer, "receive frames", "ok");
    expect(&mut peer, "read 0", "5");
    expect(&mut peer, "write 0 6", "ok");
    assert_eq!(value(&memory), 6);
    // Handed on by a child.
    expect(&mut peer, "hand-on 0 self next", "ok");
    expect(&mut peer, "child 0 labels", "next");
    expect(&mut peer, "child 0 receive next", "ok");
    expect(&mut peer, "child 0 write 0 7", "ok");
    assert_eq!(value(&memory), 7);
    expect(&mut peer, "child 0 hand-on 0 self last", "ok");
    // What its parent has received is not passed on by itself.
    expect(&mut peer, "child 0 child 0 receive next", "NotFound");
    expect(&mut peer, "child 0 child 0 receive last", "ok");
    expect(&mut peer, "child 0 child 0 read 0", "7");
    peer.finish();
}

pub(crate) fn both_widths() {
    let Some(program) = std::env::var_os("MMF_TEST_PEER") else {
        testkit::skip("MMF_TEST_PEER names no build for the other word size; ci/test-windows.sh builds one");
    };
    let memory = memory(u64::MAX - 1);
    let mut command = piped(testkit::command_for(&program).arg("--play-role").arg(WORKER));
    let mut peer = Peer::adopt("other width", command.hand_off("frames", &memory).unwrap().spawn().unwrap());
    assert_ne!(ask(&mut peer, "width"), usize::BITS.to_string());
    expect(&mut peer, "receive frames", "ok");
    expect(&mut peer, "read 0", &(u64::MAX - 1).to_string());
    expect(&mut peer, "write 0 12", "ok");
    assert_eq!(value(&memory), 12);
    // And back: its child has our word size again.
    let ours = std::env::current_exe().unwrap();
    expect(&mut peer, &format!("hand-on 0 {} back", ours.display()), "ok");
    expect(&mut peer, "child 0 width", &usize::BITS.to_string());
    expect(&mut peer, "child 0 receive back", "ok");
    expect(&mut peer, "child 0 write 0 13", "ok");
    assert_eq!(value(&memory), 13);
    // With tickets, in both directions.
    let ticket = memory.ticket_for(peer.id()).unwrap();
    expect(&mut peer, &format!("redeem {ticket}"), "ok");
    let ticket: Ticket = ask(&mut peer, &format!("ticket 1 {}", std::process::id())).parse().unwrap();
    assert_eq!(value(&ticket.redeem().unwrap()), 13);
    peer.finish();
}

/// Its child inherits the standard streams, so the test talks to the child.
#[allow(clippy::zombie_processes, reason = "this process ends before its child")]
pub(crate) fn role_parent(role: &mut Role) {
    let memory = memory(66);
    let mut command = command_for_role(WORKER, &[]);
    command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let _child = command.hand_off("frames", &memory).unwrap().spawn().unwrap();
    if role.argument(0) == "stays" {
        role.say("spawned");
        std::thread::sleep(testkit::WATCHDOG);
    }
}

pub(crate) fn the_giver_ends_at_once() {
    let mut peer = Peer::start("handoff::role_parent", &["ends"]);
    // (The worker in between has ended or will, with everything it held.)
    expect(&mut peer, "receive frames", "ok");
    expect(&mut peer, "read 0", "66");
    assert!(peer.wait().success());
}

pub(crate) fn the_giver_is_killed() {
    let mut peer = Peer::start("handoff::role_parent", &["stays"]);
    peer.expect("spawned");
    peer.kill();
    expect(&mut peer, "receive frames", "ok");
    expect(&mut peer, "read 0", "66");
}

pub(crate) fn receivers_are_killed() {
    let name = unique_name("handed");
    for receives_first in [false, true] {
        let memory = SharedMemory::create(&name, LEN).unwrap();
        memory.view().unwrap().write(&5_u64, 0).unwrap();
        let mut peer = worker("frames", &memory);
        if receives_first {
            expect(&mut peer, "receive frames", "ok");
        } else {
            expect(&mut peer, "labels", "frames");
        }
        peer.kill();
        // The region was never received, and its name disappears.
        assert_eq!(value(&memory), 5);
        assert_eq!(SharedMemory::open(&name).unwrap().len(), memory.len());
        drop(memory);
        wait_until("the name disappears", || {
            SharedMemory::open(&name).is_err_and(|error| error.kind() == ErrorKind::NotFound)
        });
    }
    // A child that ended before the parcel was filled.
    let memory = memory(3);
    for _ in 0..20 {
        let child =
            command_for_role("handoff::role_nothing", &[]).hand_off("frames", &memory).unwrap().spawn();
        assert!(child.unwrap().wait().unwrap().success());
    }
    assert_eq!(value(&memory), 3);
}

pub(crate) fn a_child_keeps_the_name() {
    if cfg!(target_vendor = "apple") {
        testkit::skip("holders are not counted here");
    }
    let name = unique_name("kept");
    let memory = SharedMemory::create(&name, LEN).unwrap();
    memory.view().unwrap().write(&5_u64, 0).unwrap();
    let mut peer = worker("frames", &memory);
    // The child counts as a holder before it has received the region,
    drop(memory);
    assert!(SharedMemory::open(&name).is_ok());
    // and afterwards.
    expect(&mut peer, "receive frames", "ok");
    assert_eq!(value(&SharedMemory::open(&name).unwrap()), 5);
    let mut other = Peer::start("handoff::role_worker", &[]);
    let ticket = ask(&mut peer, &format!("ticket 0 {}", other.id()));
    expect(&mut other, &format!("redeem {ticket}"), "ok");
    peer.finish();
    assert_eq!(value(&SharedMemory::open(&name).unwrap()), 5);
    expect(&mut other, "drop", "ok");
    assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    other.finish();
}

/// Several threads receive the same labels: each label goes to exactly one thread.
fn in_threads(count: u64) -> String {
    let received = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let received = &received;
            scope.spawn(move || {
                for index in 0..count {
                    let index = (index + thread) % count;
                    match handoff::receive(&format!("m{index}")) {
                        Ok(memory) => received.lock().unwrap().push((index, memory)),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
                    }
                }
            });
        }
    });
    let mut received = received.into_inner().unwrap();
    received.sort_by_key(|(index, _)| *index);
    let is_whole = received.len() as u64 == count
        && received
            .iter()
            .zip(0..)
            .all(|((index, memory), place)| *index == place && value(memory) == 100 + place);
    if is_whole { "well".to_owned() } else { format!("{received:?}") }
}

pub(crate) fn threads_receive_at_once() {
    let regions: Vec<SharedMemory> = (0..6).map(|index| memory(100 + index)).collect();
    let mut command = command_for_role(WORKER, &[]);
    let mut handing = command.hand_off("m0", &regions[0]).unwrap();
    for (index, memory) in regions.iter().enumerate().skip(1) {
        handing = handing.hand_off(&format!("m{index}"), memory).unwrap();
    }
    let mut peer = Peer::adopt("worker", handing.spawn().unwrap());
    expect(&mut peer, "in-threads 6", "well");
    peer.finish();
}

pub(crate) fn no_other_child_receives_it() {
    if cfg!(target_vendor = "apple") {
        testkit::skip("descriptors cannot be listed with their targets here");
    }
    let rounds = if testkit::under_wine() { 4 } else { 12 };
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            scope.spawn(move || {
                let regions = [memory(thread), memory(thread)];
                for round in 0..rounds {
                    let count = (thread + round) % 3;
                    let mut command = command_for_role(WORKER, &[]);
                    let child = match count {
                        0 => command.spawn(),
                        1 => command.hand_off("a", &regions[0]).unwrap().spawn(),
                        _ => command
                            .hand_off("a", &regions[0])
                            .unwrap()
                            .hand_off("b", &regions[1])
                            .unwrap()
                            .spawn(),
                    };
                    let mut peer = Peer::adopt("worker", child.unwrap());
                    if count > 0 {
                        // (On Windows, the handle exists only once the region is received.)
                        expect(&mut peer, "receive a", "ok");
                        expect(&mut peer, "read 0", &thread.to_string());
                    }
                    if count > 1 {
                        expect(&mut peer, "receive b", "ok");
                    }
                    expect_held(&mut peer, count);
                    peer.finish();
                }
            });
        }
    });
}

pub(crate) fn tickets() {
    if cfg!(target_vendor = "apple") {
        testkit::skip("there are no tickets here");
    }
    let memory = memory(21);
    let (mut one, mut two) = (Peer::start(WORKER, &[]), Peer::start(WORKER, &[]));
    let ticket = memory.ticket_for(one.id()).unwrap();
    assert!(ticket.is_writable() && ticket.len() == memory.len());
    assert_eq!(ticket.to_string().parse::<Ticket>().unwrap(), ticket);
    assert!(ticket.to_string().bytes().all(|byte| byte.is_ascii_graphic()));
    if cfg!(windows) {
        expect(&mut two, &format!("redeem {ticket}"), "InvalidTicket");
    }
    expect(&mut one, &format!("redeem {ticket}"), "ok");
    expect(&mut one, "write 0 22", "ok");
    assert_eq!(value(&memory), 22);
    if cfg!(windows) {
        expect(&mut one, &format!("redeem {ticket}"), "InvalidTicket");
    }
    // Between two other processes, and back to this one.
    let text = ask(&mut one, &format!("ticket 0 {}", two.id()));
    expect(&mut two, &format!("redeem {text}"), "ok");
    expect(&mut two, "read 0", "22");
    let text = ask(&mut two, &format!("ticket 0 {}", std::process::id()));
    let back = text.parse::<Ticket>().unwrap().redeem().unwrap();
    back.view().unwrap().write(&23_u64, 0).unwrap();
    assert_eq!(value(&memory), 23);
    // For reading only.
    let read_only = SharedMemory::anonymous(LEN).unwrap().into_read_only().unwrap();
    let ticket = read_only.ticket_for(one.id()).unwrap();
    assert!(!ticket.is_writable());
    expect(&mut one, &format!("redeem {ticket}"), "NotWritable");
    expect(&mut one, &format!("redeem-read-only {ticket}"), "ok");
    // The giver drops the region too early, or has ended.
    let ticket = {
        let gone = SharedMemory::anonymous(LEN).unwrap();
        gone.ticket_for(one.id()).unwrap()
    };
    expect(&mut one, &format!("redeem {ticket}"), if cfg!(windows) { "ok" } else { "InvalidTicket" });
    let text = ask(&mut two, &format!("ticket 0 {}", one.id()));
    two.kill();
    expect(&mut one, &format!("redeem {text}"), if cfg!(windows) { "ok" } else { "InvalidTicket" });
    // To a process that does not exist.
    let error = memory.ticket_for(two.id()).unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::NotFound, mmf::error::Operation::HandOff),
        "{error}"
    );
    for text in ["", "1:nonsense:1:rw", "1:fd:0:0:0:1:rw", "1:parcel:Local\\x:4096:rw"] {
        let error = text.parse::<Ticket>().and_then(|ticket| ticket.redeem()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTicket, "{error}");
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::InvalidData);
    }
    one.finish();
}

/// Pseudo-random numbers, the same in each run: xorshift.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

/// Makes small changes to a text, up to a position.
fn forge(text: &str, end: usize, changes: usize, numbers: &mut Numbers) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..changes {
        let at = numbers.next(end.min(bytes.len()));
        let digit = b"0123456789"[numbers.next(10)];
        match numbers.next(8) {
            0 => bytes[at] = digit,
            1 => bytes[at] = b"abcdefrw:\\-. \x01~"[numbers.next(15)],
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, digit),
            4 => {
                let other = bytes.len().min(end) - 1;
                bytes.swap(at, other.min(at + 1));
            }
            5 => bytes.truncate(at + 1),
            // Increment or decrement a number, or replace it, possibly by that of an existing handle.
            _ => {
                let text = String::from_utf8(bytes).unwrap();
                let mut fields: Vec<String> = text.split(':').map(str::to_owned).collect();
                let index = numbers.next(fields.len().saturating_sub(2).max(1));
                if let Ok(number) = fields[index].parse::<u64>() {
                    let number = match numbers.next(4) {
                        0 => number.wrapping_add(1),
                        1 => number.wrapping_sub(1),
                        2 => numbers.next(64) as u64,
                        _ => numbers.0,
                    };
                    fields[index] = number.to_string();
                }
                bytes = fields.join(":").into_bytes();
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Objects of this process that a forged text may name, and a check that they are all still open.
struct Own {
    regions: Vec<SharedMemory>,
    file: std::fs::File,
}

impl Own {
    fn new() -> Self {
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        Own { regions: (0..20).map(|index| memory(1000 + index)).collect(), file }
    }

    fn check(&self) {
        for (memory, index) in self.regions.iter().zip(0..) {
            assert_eq!(value(memory), 1000 + index);
            assert_eq!(value(&memory.clone()), 1000 + index);
            here::check_handle(memory);
        }
        assert!(self.file.metadata().unwrap().len() > 0);
        assert_eq!(value(&memory(5)), 5);
    }
}

pub(crate) fn forged_values() {
    if cfg!(target_vendor = "apple") {
        testkit::skip("objects cannot be identified here");
    }
    let memory = memory(4711);
    let mut command = command_for_role("handoff::role_forged_values", &[]);
    let mut peer = Peer::adopt("forger", command.hand_off("real", &memory).unwrap().spawn().unwrap());
    peer.expect("well");
    peer.finish();
    assert_eq!(value(&memory), 4711);
}

const FORGERIES: usize = 5000;

pub(crate) fn role_forged_values(role: &mut Role) {
    let own = Own::new();
    let real = std::env::var("MMF_HANDOFF_real").unwrap();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    // Only as far as the length and the rights: understating those is valid.
    let end = real.rsplitn(3, ':').last().unwrap().len();
    let try_it = |index: usize, text: &str| {
        let label = format!("forged{index}");
        // SAFETY: this process has one thread, so no other accesses the environment.
        unsafe { std::env::set_var(format!("MMF_HANDOFF_{label}"), text) };
        let result = handoff::receive(&label);
        // SAFETY: this process has one thread, as above.
        unsafe { std::env::remove_var(format!("MMF_HANDOFF_{label}")) };
        result
    };
    for index in 0..FORGERIES {
        let text = forge(&real, end, 1 + index % 2, &mut numbers);
        if text == real || text.contains('\0') {
            continue;
        }
        let error = try_it(index, &text).expect_err(&text);
        assert!(matches!(error.kind(), ErrorKind::InvalidTicket | ErrorKind::NotWritable), "{text}: {error}");
    }
    // An object that this process has opened itself, described correctly in every field.
    for (index, memory) in own.regions.iter().enumerate() {
        if let Some(text) = here::true_note(memory) {
            let error = try_it(FORGERIES + 1 + index, &text).expect_err(&text);
            assert_eq!(error.kind(), ErrorKind::InvalidTicket, "{text}: {error}");
        }
    }
    // More than the region's length.
    let much = format!("{}:{}:rw", &real[..end], u64::MAX);
    let before = open_handles();
    assert_eq!(try_it(FORGERIES, &much).unwrap_err().kind(), ErrorKind::InvalidTicket);
    if cfg!(windows) {
        // The region can still be received. (A descriptor is taken first and checked then.)
        assert_eq!(open_handles(), before);
        assert_eq!(value(&handoff::receive("real").unwrap()), 4711);
    }
    own.check();
    role.say("well");
}

pub(crate) fn forged_tickets() {
    if cfg!(target_vendor = "apple") {
        testkit::skip("there are no tickets here");
    }
    let memory = memory(4711);
    let mut peer = Peer::start("handoff::role_forged_tickets", &[]);
    peer.say(&memory.ticket_for(peer.id()).unwrap().to_string());
    peer.expect("well");
    peer.finish();
    assert_eq!(value(&memory), 4711);
}

pub(crate) fn role_forged_tickets(role: &mut Role) {
    let own = Own::new();
    let real = role.hear();
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut refused = 0;
    for _ in 0..FORGERIES {
        // (One change only: on Linux, another descriptor's number with its object is another valid ticket.)
        let text = forge(&real, real.len(), 1, &mut numbers);
        if text == real {
            continue;
        }
        match text.parse::<Ticket>().and_then(|ticket| ticket.redeem_read_only()) {
            // The length or the rights may be understated (Linux).
            Ok(memory) => assert_eq!(memory.view().unwrap().read::<u64>(0).unwrap(), 4711, "{text}"),
            Err(error) => {
                refused += 1;
                assert_eq!(error.kind(), ErrorKind::InvalidTicket, "{text}: {error}");
            }
        }
    }
    assert!(refused > FORGERIES / 2);
    assert_eq!(value(&real.parse::<Ticket>().unwrap().redeem().unwrap()), 4711);
    own.check();
    role.say("well");
}

pub(crate) fn nothing_leaks() {
    if cfg!(target_vendor = "apple") {
        testkit::skip("there are no tickets here");
    }
    let mut peer = Peer::start("handoff::role_leak_check", &[]);
    peer.expect("well");
    peer.finish();
}

pub(crate) fn role_leak_check(role: &mut Role) {
    // ARM64 programs run under an emulator here.
    let emulated = cfg!(target_arch = "aarch64")
        && (testkit::under_wine() || std::env::var_os("MMF_TEST_RUNNER").is_some());
    let memory = memory(9);
    let read_only = SharedMemory::anonymous(LEN).unwrap().into_read_only().unwrap();
    let by_ticket = |count: usize| {
        for _ in 0..count {
            let ticket = memory.ticket_for(std::process::id()).unwrap();
            assert_eq!(value(&ticket.redeem().unwrap()), 9);
        }
        let ticket = read_only.ticket_for(std::process::id()).unwrap();
        assert_eq!(ticket.clone().redeem().unwrap_err().kind(), ErrorKind::NotWritable);
        assert_eq!(ticket.redeem_read_only().unwrap().len(), read_only.len());
    };
    let by_spawning = |count: usize| {
        for index in 0..count {
            let mut command = Command::new(std::env::current_exe().unwrap());
            if std::env::var_os("MMF_TEST_RUNNER").is_some() {
                command = testkit::command_for(std::env::current_exe().unwrap());
            }
            command.args(["--play-role", "handoff::role_receive_both"]);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let handing = command.hand_off("a", &memory).unwrap().hand_off("b", &read_only).unwrap();
            assert!(handing.status().unwrap().success());
            // And a command that is not found, one that is not spawned, and a region that is not received.
            let mut nowhere = Command::new("/there/is/no/such/program");
            assert!(nowhere.hand_off("a", &memory).unwrap().spawn().is_err());
            drop(nowhere.hand_off("a", &memory).unwrap());
            if index % 8 == 0 {
                let mut command = command_for_role("handoff::role_nothing", &[]);
                assert!(command.hand_off("a", &memory).unwrap().status().unwrap().success());
            }
        }
    };
    by_ticket(20);
    by_spawning(2);
    let before = (open_handles(), testkit::mapped_views());
    by_ticket(if emulated { 500 } else { 10_000 });
    by_spawning(if emulated { 40 } else { 200 });
    // (The system now and then keeps a few of its own.)
    let after = (open_handles(), testkit::mapped_views());
    assert!(after.0 <= before.0 + 4 && after.1 <= before.1, "from {before:?} to {after:?}");
    role.say("well");
}

pub(crate) fn role_receive_both(_: &mut Role) {
    let memory = handoff::receive("a").unwrap();
    assert_eq!(value(&memory), 9);
    assert_eq!(handoff::receive_read_only("b").unwrap().len(), memory.len());
    assert_eq!(here::regions_held(), 1, "the second region is still held");
}

#[cfg(unix)]
mod here {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    use mmf::os::unix::SharedMemoryExt;

    use super::*;

    pub(crate) fn widen(memory: &SharedMemory<ReadOnly>) -> &'static str {
        let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
        let opened = std::fs::OpenOptions::new().read(true).write(true).open(path);
        if opened.is_ok() { "widened" } else { "refused" }
    }

    /// The number of descriptors of regions in this process, inherited or its own.
    pub(crate) fn regions_held() -> usize {
        let directory = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = directory.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        let is_memory = |target: &std::path::PathBuf| {
            let text = target.to_string_lossy();
            text.starts_with("/memfd:mmf") || text.starts_with("/dev/shm/")
        };
        targets.filter(is_memory).count()
    }

    pub(crate) fn check_handle(memory: &SharedMemory) {
        // SAFETY: F_GETFD has no memory preconditions.
        assert_ne!(unsafe { libc::fcntl(memory.as_raw_fd(), libc::F_GETFD) }, -1);
    }

    pub(crate) fn through_a_shell() -> Command {
        let worker = command_for_role(WORKER, &[]);
        let mut command = Command::new("sh");
        // (Not as its last command, so that the shell does not become the worker itself.)
        command.args(["-c", r#""$0" "$@"; exit $?"#]).arg(worker.get_program()).args(worker.get_args());
        piped(&mut command)
    }

    pub(crate) fn c_worker() -> Command {
        if std::env::var_os("MMF_TEST_RUNNER").is_some() {
            testkit::skip("the C compiler is for another processor");
        }
        static PROGRAM: std::sync::OnceLock<Option<std::path::PathBuf>> = std::sync::OnceLock::new();
        let program = PROGRAM.get_or_init(|| {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/frames_worker.c");
            let program =
                Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("frames_worker-{}", std::process::id()));
            let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
            let made = compiler.args(["-O1", "-Wall", "-Wextra", "-o"]).arg(&program).arg(source).status();
            made.is_ok_and(|status| status.success()).then_some(program)
        });
        let Some(program) = program else { testkit::skip("there is no C compiler here") };
        Command::new(program)
    }

    pub(crate) fn python_worker() -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/handoff_peer.py");
        if !Command::new("python3").arg("-V").output().is_ok_and(|output| output.status.success()) {
            testkit::skip("there is no Python here");
        }
        let mut command = Command::new("python3");
        command.arg(script);
        command
    }

    /// Compiles the C# program and runs it with Mono.
    pub(crate) fn mono_worker(folder: &Path) -> Command {
        if !cfg!(target_os = "linux") {
            testkit::skip("there is no /proc here");
        }
        let runs = |program: &str| {
            Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
        };
        if !runs("mcs") || !runs("mono") {
            testkit::skip(
                "there is no Mono here (Debian: mono-mcs, mono-runtime, libmono-system-core4.0-cil)",
            );
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/handoff_peer.cs");
        let program = folder.join("handoff_peer.exe");
        let mut out = std::ffi::OsString::from("-out:");
        out.push(&program);
        let compiled = Command::new("mcs").arg("-r:System.Core").arg(out).arg(source).output().unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
        let mut command = Command::new("mono");
        command.arg(program);
        command
    }

    pub(crate) fn as_a_plain_user(role: &str) {
        if !cfg!(target_os = "linux") {
            testkit::skip("there is no /proc here");
        }
        // The superuser can open anything for writing.
        // SAFETY: geteuid() has no preconditions and cannot fail.
        if unsafe { libc::geteuid() } == 0 {
            let mut played = crate::users::play(crate::users::ANN, crate::users::ANN, role, &[]);
            played.peer.expect("well");
            assert!(played.peer.wait().success());
        } else {
            let mut peer = Peer::start(role, &[]);
            peer.expect("well");
            peer.finish();
        }
    }

    pub(crate) fn to_other_users() {
        use crate::users::{ANN, play_with};
        crate::users::need_root();
        let memory = memory(3);
        let start = |command: &mut Command| command.hand_off("frames", &memory).unwrap().spawn().unwrap();
        let mut ann = play_with(ANN, ANN, WORKER, &[], start);
        expect(&mut ann.peer, "receive frames", "ok");
        expect(&mut ann.peer, "write 0 4", "ok");
        assert_eq!(value(&memory), 4);
        // Tickets work between processes of one user only, in both directions.
        let ticket = memory.ticket_for(ann.peer.id()).unwrap();
        let answer = ask(&mut ann.peer, &format!("redeem {ticket}"));
        assert!(matches!(&*answer, "InvalidTicket" | "PermissionDenied"), "{answer}");
        let text = ask(&mut ann.peer, &format!("ticket 0 {}", std::process::id()));
        let error = text.parse::<Ticket>().unwrap().redeem().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTicket, "{error}");
        // A receiver of a named region must be allowed to open the name.
        let named = SharedMemory::create(unique_name("ann"), LEN).unwrap();
        let start = |command: &mut Command| command.hand_off("frames", &named).unwrap().spawn().unwrap();
        let mut ann = play_with(ANN, ANN, WORKER, &[], start);
        expect(&mut ann.peer, "receive frames", "PermissionDenied");
    }

    /// Returns the note that the environment would contain if this descriptor had been inherited.
    pub(crate) fn true_note(memory: &SharedMemory) -> Option<String> {
        let (device, inode) = identity(memory);
        Some(format!("1:fd:{}:{device}:{inode}:{LEN}:rw", memory.as_raw_fd()))
    }

    fn identity(fd: &impl AsFd) -> (u64, u64) {
        let metadata = std::fs::File::from(fd.as_fd().try_clone_to_owned().unwrap()).metadata().unwrap();
        (metadata.dev(), metadata.ino())
    }

    pub(crate) fn tickets_for_something_else() {
        if !cfg!(target_os = "linux") {
            testkit::skip("there are no tickets here");
        }
        let ticket_with = |fd: BorrowedFd<'_>, rights: &str| {
            let stat =
                std::fs::read_to_string(format!("/proc/self/task/{}/stat", std::process::id())).unwrap();
            let started = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().to_owned();
            let (device, inode) = identity(&fd);
            let inode_of = |path: &str| std::fs::metadata(path).map_or(1, |file| file.ino());
            let (pids, times) = (inode_of("/proc/self/ns/pid"), inode_of("/proc/self/ns/time"));
            let text = format!(
                "1:proc:{}:{started}:{pids}:{times}:{}:{device}:{inode}:1:{rights}",
                std::process::id(),
                fd.as_raw_fd()
            );
            text.parse::<Ticket>().unwrap()
        };
        let memory = memory(5);
        assert_eq!(value(&ticket_with(memory.as_fd(), "rw").redeem().unwrap()), 5);
        // Everything is stated correctly, but it is a file on disk, a device, a pipe, a directory or a
        // socket. No call blocks.
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let device = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
        let folder = std::fs::File::open("/dev/shm").unwrap();
        let (socket, _far) = UnixStream::pair().unwrap();
        let mut ends = [0; 2];
        // SAFETY: the pointer is to two live integers, which the call fills.
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
        // SAFETY: the call returned these descriptors, and nothing else owns them.
        let [pipe, _writer] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        for (ticket, what) in [
            (ticket_with(file.as_fd(), "r"), "file"),
            (ticket_with(device.as_fd(), "r"), "device"),
            (ticket_with(folder.as_fd(), "r"), "folder"),
            (ticket_with(socket.as_fd(), "r"), "socket"),
            (ticket_with(pipe.as_fd(), "r"), "pipe"),
        ] {
            let error = ticket.redeem_read_only().expect_err(what);
            assert_eq!(error.kind(), ErrorKind::InvalidTicket, "{what}: {error}");
        }
        // More rights than the giver has, even if the redeeming process could open it with them.
        let read_only = memory.clone().into_read_only().unwrap();
        assert_eq!(ticket_with(read_only.as_fd(), "rw").redeem().unwrap_err().kind(), ErrorKind::NotWritable);
        assert!(ticket_with(read_only.as_fd(), "r").redeem_read_only().is_ok());
    }

    pub(crate) fn forged_parcels() {
        testkit::skip("there are no parcels here");
    }

    pub(crate) fn role_forged_parcels(_: &mut Role) {}

    pub(crate) fn a_giver_that_never_delivers() {
        testkit::skip("here, a child has the region from its start");
    }

    pub(crate) fn role_never_delivers(_: &mut Role) {}

    pub(crate) fn over_a_socket() {
        let memory = memory(31);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut command = command_for_role("handoff::role_socket", &[]);
        command.stdin(OwnedFd::from(theirs));
        let mut peer = Peer::adopt("receiver", command.spawn().unwrap());
        drop(command);
        memory.send_over(&ours).unwrap();
        peer.expect("31");
        wait_until("the value is written", || value(&memory) == 32);
        // A read-only region cannot be received as writable.
        let name = unique_name("sent");
        let named = SharedMemory::create(&name, LEN).unwrap();
        if cfg!(target_vendor = "apple") {
            named.send_over(&ours).unwrap();
        } else {
            named.into_read_only().unwrap().send_over(&ours).unwrap();
        }
        peer.expect(if cfg!(target_vendor = "apple") { "well" } else { "NotWritable" });
        // A name disappears with its last holder, even one that received the region over a socket.
        SharedMemory::create(unique_name("x"), LEN).unwrap().send_over(&ours).unwrap();
        peer.expect("well");
        // Another message, or none.
        std::io::Write::write_all(&mut &ours, b"x").unwrap();
        peer.expect("InvalidTicket");
        drop(ours);
        peer.expect("InvalidTicket");
        assert!(peer.wait().success());
        if cfg!(target_os = "linux") {
            assert_eq!(SharedMemory::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
        }
    }

    pub(crate) fn role_socket(role: &mut Role) {
        let socket = std::io::stdin();
        let memory = <SharedMemory>::receive_over(&socket).unwrap();
        role.say(value(&memory).to_string());
        memory.view().unwrap().write(&32_u64, 0).unwrap();
        for _ in 0..4 {
            let answer = <SharedMemory>::receive_over(&socket);
            role.say(answer.map_or_else(|error| format!("{:?}", error.kind()), |_| "well".to_owned()));
        }
    }

    pub(crate) fn too_much_over_a_socket() {
        let memory = memory(1);
        // (An emulator requests more descriptors than it passes on, and keeps open those that the kernel
        // would have closed.)
        let most = if std::env::var_os("MMF_TEST_RUNNER").is_some() { 5 } else { 12 };
        for count in [2, 5, most] {
            let (sender, receiver) = UnixStream::pair().unwrap();
            let pipes: Vec<(UnixStream, UnixStream)> =
                (0..count).map(|_| UnixStream::pair().unwrap()).collect();
            let mut fds: Vec<i32> = pipes.iter().map(|(_, far)| far.as_raw_fd()).collect();
            fds[0] = memory.as_raw_fd();
            send_all(&sender, &fds);
            let error = <SharedMemory>::receive_over(&receiver).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidTicket);
            // The descriptors were closed: once ours are closed too, the other ends detect it.
            for (near, far) in pipes {
                drop(far);
                near.set_read_timeout(Some(testkit::WATCHDOG)).unwrap();
                assert_eq!(std::io::Read::read(&mut &near, &mut [0]).unwrap(), 0);
            }
        }
        // An object that is no region.
        let (sender, receiver) = UnixStream::pair().unwrap();
        send_all(&sender, &[receiver.as_raw_fd()]);
        let error = <SharedMemory>::receive_over(&receiver).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSharedMemory);
        // The receiving end is closed: an error, and no signal.
        drop(receiver);
        assert!(memory.send_over(&sender).is_err());
    }

    fn send_all(socket: &UnixStream, fds: &[i32]) {
        let mut byte = *b"m";
        let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let mut room = [0_u64; 32];
        let len = u32::try_from(size_of_val(fds)).unwrap();
        // SAFETY: `msghdr` is a plain C structure, for which all-zero bytes are a valid value.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = room.as_mut_ptr().cast();
        // SAFETY: CMSG_SPACE() only computes.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(len) } as _;
        // SAFETY: the control buffer is large enough for a header.
        let head = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        // SAFETY: the header and its data are inside the control buffer, which is large enough.
        unsafe {
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(len) as _;
            libc::CMSG_DATA(head).cast::<i32>().copy_from_nonoverlapping(fds.as_ptr(), fds.len());
        }
        // SAFETY: the socket is open, and the message and its buffers are live.
        assert_eq!(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, 0) }, 1);
    }
}

#[cfg(windows)]
mod here {
    use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

    use mmf::os::windows::SharedMemoryExt;
    use windows_sys::Win32::Foundation::{
        DUPLICATE_SAME_ACCESS, DuplicateHandle, FILETIME, GetHandleInformation,
    };
    use windows_sys::Win32::System::Memory::FILE_MAP_WRITE;
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessTimes};

    use super::*;

    pub(crate) fn widen(memory: &SharedMemory<ReadOnly>) -> &'static str {
        let mut wider = std::ptr::null_mut();
        // SAFETY: the call has no preconditions.
        let process = unsafe { GetCurrentProcess() };
        let handle = memory.as_raw_handle();
        // SAFETY: the handles are open, and the pointer is to a live handle variable.
        let done = unsafe { DuplicateHandle(process, handle, process, &mut wider, FILE_MAP_WRITE, 0, 0) };
        if done == 0 { "refused" } else { "widened" }
    }

    /// The number of handles to this test's regions in this process.
    pub(crate) fn regions_held() -> usize {
        // SAFETY: the call has no preconditions.
        let process = unsafe { GetCurrentProcess() };
        let is_memory = |number: &usize| {
            let handle = std::ptr::without_provenance_mut(*number);
            let mut copy = std::ptr::null_mut();
            // SAFETY: for a number that is no handle, the call returns an error.
            let done =
                unsafe { DuplicateHandle(process, handle, process, &mut copy, 0, 0, DUPLICATE_SAME_ACCESS) };
            if done == 0 {
                return false;
            }
            // SAFETY: the call returned this handle, and nothing else owns it.
            let copy = unsafe { OwnedHandle::from_raw_handle(copy) };
            SharedMemory::<ReadOnly>::from_handle(copy).is_ok_and(|memory| memory.len() == LEN)
        };
        (4..4096).step_by(4).filter(is_memory).count()
    }

    pub(crate) fn check_handle(memory: &SharedMemory) {
        let mut flags = 0;
        // SAFETY: the call checks whether the handle is open, and the pointer is to a live variable.
        assert_ne!(unsafe { GetHandleInformation(memory.as_raw_handle(), &mut flags) }, 0);
    }

    pub(crate) fn through_a_shell() -> Command {
        let worker = command_for_role(WORKER, &[]);
        let mut command = Command::new("cmd");
        command.arg("/c").arg(worker.get_program()).args(worker.get_args());
        piped(&mut command)
    }

    /// The program of `examples/frames_worker.c`, built by the environment of the tests.
    pub(crate) fn c_worker() -> Command {
        let Some(program) = std::env::var_os("MMF_TEST_C_WORKER") else {
            testkit::skip(
                "MMF_TEST_C_WORKER names no build of examples/frames_worker.c; ci/test-windows.sh builds one",
            );
        };
        Command::new(program)
    }

    pub(crate) fn python_worker() -> Command {
        testkit::skip("Python is tested on Unix; on Windows the C program makes the same calls");
    }

    pub(crate) fn mono_worker(_: &std::path::Path) -> Command {
        testkit::skip("Mono is tested on Linux");
    }

    pub(crate) fn as_a_plain_user(role: &str) {
        let mut peer = Peer::start(role, &[]);
        peer.expect("well");
        peer.finish();
    }

    fn started() -> u64 {
        let [mut started, mut a, mut b, mut c] = [FILETIME::default(); 4];
        // SAFETY: the call has no preconditions.
        let process = unsafe { GetCurrentProcess() };
        // SAFETY: the pointers are to live variables, which the call fills.
        assert_ne!(unsafe { GetProcessTimes(process, &mut started, &mut a, &mut b, &mut c) }, 0);
        (u64::from(started.dwHighDateTime) << 32) | u64::from(started.dwLowDateTime)
    }

    /// Returns a section that looks like a parcel and is correct except for its origin.
    fn parcel(digits: &str, memory: u64, own: impl FnOnce(u64) -> u64, state: u32) -> (String, SharedMemory) {
        let name = format!(r"Local\mmf.handoff.{digits}");
        let section = SharedMemory::create(&name, 64).unwrap();
        let view = section.view().unwrap();
        view.write_all_at(b"MMFP", 0).unwrap();
        let number = section.as_raw_handle().addr() as u64;
        for (at, word) in [(4, 1), (12, 3), (40, std::process::id()), (44, std::process::id()), (8, state)] {
            view.write(&word, at).unwrap();
        }
        for (at, long) in [(16, memory), (24, own(number)), (32, LEN), (48, started()), (56, started())] {
            view.write(&long, at).unwrap();
        }
        (name, section)
    }

    fn digits(index: usize) -> String {
        format!("{:016x}{index:016x}", u64::from(std::process::id()) << 20)
    }

    pub(crate) fn forged_parcels() {
        let mut peer = Peer::start("handoff::role_forged_parcels", &[]);
        peer.expect("well");
        peer.finish();
    }

    pub(crate) fn role_forged_parcels(role: &mut Role) {
        let own = Own::new();
        let secret = own.regions[3].as_raw_handle().addr() as u64;
        let before = open_handles();
        let mut index = 0;
        let mut refused = |memory: u64, proof: &dyn Fn(u64) -> u64, open_more: bool| {
            index += 1;
            let (name, section) = parcel(&digits(index), memory, proof, 1);
            // Even while this process has the section open, and the parcel names that handle.
            let more = open_more.then(|| SharedMemory::open(&name).unwrap());
            let note = format!("1:parcel:{name}:{LEN}:rw");
            let error = note.parse::<Ticket>().unwrap().redeem().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidTicket, "{error}");
            let label = format!("forged{index}");
            // SAFETY: this process has one thread, so no other accesses the environment.
            unsafe { std::env::set_var(format!("MMF_HANDOFF_{label}"), &note) };
            assert_eq!(handoff::receive(&label).unwrap_err().kind(), ErrorKind::InvalidTicket);
            drop((section, more));
        };
        refused(secret, &|number| number, false);
        refused(secret, &|number| number, true);
        refused(secret, &|_| secret, false);
        refused(secret, &|_| 0, false);
        refused(secret, &|_| u64::MAX, false);
        refused(u64::MAX, &|number| number, false);
        refused(0xffff_ffff, &|_| 0xffff_ffff, false);
        for number in (0..1200).step_by(4) {
            refused(secret, &|_| number, false);
        }
        // Empty, or corrupted.
        for (index, bytes) in [&b""[..], b"MMFP", b"MMFP\x02", b"MMFP\x01\0\0\0\x01"].into_iter().enumerate()
        {
            let name = format!(r"Local\mmf.handoff.{}", digits(0x1_0000 + index));
            let section = SharedMemory::create(&name, 1 << 20).unwrap();
            section.view().unwrap().write_all_at(bytes, 0).unwrap();
            let ticket: Ticket = format!("1:parcel:{name}:{LEN}:rw").parse().unwrap();
            assert_eq!(ticket.redeem().unwrap_err().kind(), ErrorKind::InvalidTicket);
        }
        own.check();
        assert!(open_handles() <= before + 1);
        role.say("well");
    }

    pub(crate) fn a_giver_that_never_delivers() {
        let mut giver = Peer::start("handoff::role_never_delivers", &[]);
        let name = giver.hear();
        let mut command = command_for_role(WORKER, &[]);
        command.env("MMF_HANDOFF_frames", format!("1:parcel:{name}:{LEN}:rw"));
        let mut peer = Peer::adopt("receiver", command.spawn().unwrap());
        // As a ticket it is refused at once.
        expect(&mut peer, &format!("redeem 1:parcel:{name}:{LEN}:rw"), "InvalidTicket");
        peer.say("receive frames");
        std::thread::sleep(std::time::Duration::from_millis(300));
        giver.kill();
        assert_eq!(peer.hear(), "InvalidTicket");
        expect(&mut peer, "receive frames", "InvalidTicket");
        peer.finish();
    }

    pub(crate) fn role_never_delivers(role: &mut Role) {
        let (name, _section) = parcel(&digits(0), 4, |_| 8, 0);
        role.say(name);
        role.stay();
    }

    pub(crate) fn true_note(_: &SharedMemory) -> Option<String> {
        None
    }

    pub(crate) fn tickets_for_something_else() {
        testkit::skip("forged_parcels tests what parcels can name");
    }

    pub(crate) fn to_other_users() {
        testkit::skip("this system has a single user");
    }

    pub(crate) fn over_a_socket() {
        testkit::skip("sockets carry no handles here");
    }

    pub(crate) fn too_much_over_a_socket() {
        over_a_socket();
    }

    pub(crate) fn role_socket(_: &mut Role) {}
}

pub(crate) use here::{
    a_giver_that_never_delivers, forged_parcels, over_a_socket, role_forged_parcels, role_never_delivers,
    role_socket, tickets_for_something_else, to_other_users, too_much_over_a_socket,
};

/// Returns a region for some rows of the picture that the workers in `examples` and `peers` draw.
fn some_rows() -> SharedMemory {
    SharedMemory::anonymous(3840 * 4 * 16).unwrap()
}

fn check_rows(memory: &SharedMemory) {
    let view = memory.view().unwrap();
    for (x, y) in [(0, 0), (1000, 3), (3839, 15)] {
        let pixel = view.read::<[u8; 4]>((y * 3840 + x) * 4).unwrap();
        let [low_x, low_y] = [x, y].map(|number: usize| number.to_le_bytes()[0]);
        assert_eq!(pixel, [low_x, low_y, low_x ^ low_y, 255], "pixel {x}, {y}");
    }
}

fn draws(command: &mut Command) {
    let memory = some_rows();
    command.stdin(Stdio::null());
    for _ in 0..2 {
        memory.view().unwrap().fill(0, 0..3840 * 4 * 16).unwrap();
        assert!(command.hand_off("frames", &memory).unwrap().status().unwrap().success());
        check_rows(&memory);
    }
    // Without a hand-off it reports that, and exits.
    assert!(!command.stderr(Stdio::null()).status().unwrap().success());
}

pub(crate) fn c_receives() {
    draws(&mut here::c_worker());
}

pub(crate) fn python_receives() {
    let mut command = here::python_worker();
    draws(&mut command);
    if cfg!(target_vendor = "apple") {
        return;
    }
    let memory = some_rows();
    memory.view().unwrap().write_all_at(b"read", 0).unwrap();
    let read_only = memory.into_read_only().unwrap();
    assert!(command.hand_off("frames", &read_only).unwrap().status().unwrap().success());
}

/// Returns the lines of `docs/handoff.md` for C# on Linux.
pub(crate) fn mono_receives() {
    let folder = std::env::temp_dir().join(unique_name("mono"));
    std::fs::create_dir(&folder).unwrap();
    let _removed = Removed(folder.clone());
    let mut command = here::mono_worker(&folder);
    draws(&mut command);
    let memory = some_rows();
    memory.view().unwrap().write_all_at(b"read", 0).unwrap();
    let read_only = memory.into_read_only().unwrap();
    assert!(command.hand_off("frames", &read_only).unwrap().status().unwrap().success());
}

/// A directory that is removed at the end of the test.
struct Removed(std::path::PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

testkit::registry! {
    handoff
    tests {
        a_child_receives
        read_only_stays_read_only
        read_only_cannot_be_widened
        several_regions_and_children
        labels
        the_command_is_unchanged
        an_empty_environment
        commands_that_cannot_start
        grandchildren_receive
        both_widths
        the_giver_ends_at_once
        the_giver_is_killed
        receivers_are_killed
        a_child_keeps_the_name
        threads_receive_at_once
        no_other_child_receives_it
        tickets
        forged_values
        forged_tickets
        forged_parcels
        a_giver_that_never_delivers
        nothing_leaks
        over_a_socket
        too_much_over_a_socket
        c_receives
        python_receives
        mono_receives
        to_other_users
        tickets_for_something_else
    }
    roles {
        role_worker
        role_nothing
        role_parent
        role_widen
        role_forged_values
        role_forged_tickets
        role_forged_parcels
        role_never_delivers
        role_leak_check
        role_receive_both
        role_socket
    }
}
