use super::*;

#[test]
fn a_process_that_exits_with_the_code_of_a_running_one_has_ended() {
    let mut child = std::process::Command::new("cmd").args(["/c", "exit 259"]).spawn().expect("cmd");
    let handles = Handles::of_child(&child).expect("its handles");
    assert_eq!(child.wait().expect("its end").code(), Some(259));
    assert!(handles.has_ended() && !handles.owner.is_alive());
    let own = Process::current().expect("this process");
    assert!(own.is_alive() && !Process { started: own.started + 1, ..own }.is_alive());
}

#[test]
fn the_list_of_processes_contains_creation_times() {
    let own = Process::current().expect("this process");
    assert_eq!(listed_start(own.id), Ok(Some(own.started)));
    // (Ids are multiples of four.)
    assert_eq!(listed_start(3), Ok(None));
}
