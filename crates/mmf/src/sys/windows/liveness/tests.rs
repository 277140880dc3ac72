use super::*;

#[test]
fn the_creation_time_in_the_list_distinguishes_processes() {
    let own = identity().started;
    assert_ne!(own, 0);
    assert!(matches!(state_by_list(own, Some(own)), ProcessState::Alive(None)));
    assert!(matches!(state_by_list(0, Some(own)), ProcessState::Alive(None)));
    assert!(matches!(state_by_list(own, Some(own + 1)), ProcessState::Ended));
    assert!(matches!(state_by_list(own, None), ProcessState::Unknown));
}

#[test]
fn a_foreign_event_keeps_no_participant_out() {
    let mut id = [0xa5; 16];
    id[..4].copy_from_slice(&std::process::id().to_le_bytes());
    let objects = SegmentObjects::new(None, None, id);
    let slots = Slots::new(&objects);
    let claimer = || SlotClaimer { objects: objects.clone(), claimed: RefCell::default() };
    let (first, second) = (claimer(), claimer());
    assert_eq!(slots.event_exists(1), Some(false));
    assert_eq!((first.claim(1), slots.event_exists(1)), (Claimed::Held, Some(true)));
    // The event may belong to a participant, so another slot is preferred. If all are taken, the slot is
    // claimed without the kernel.
    assert_eq!((second.claim(1), second.claim(2)), (Claimed::Taken, Claimed::Held));
    first.release(1);
    assert_eq!((second.claim(1), slots.event_exists(1)), (Claimed::Held, Some(true)));
    let hold = second.keep().unwrap();
    assert_eq!(slots.event_exists(1), Some(true));
    drop(hold);
    assert_eq!(slots.event_exists(1), Some(false));
}
