use super::*;

#[test]
fn claims() {
    let slot_state = SlotState::new(u32::MAX, LAST_GENERATION, true, Phase::Joining);
    assert_eq!((slot_state.process(), slot_state.generation()), (u32::MAX, LAST_GENERATION));
    assert!(slot_state.kernel());
    assert_eq!(slot_state.phase(), Phase::Joining);
    let present = slot_state.with_phase(Phase::Present);
    assert_eq!((present.phase(), present.generation()), (Phase::Present, LAST_GENERATION));
    assert_eq!(SlotState(0).phase(), Phase::Free);
}

#[test]
fn texts() {
    let mut bytes = [0; 64];
    put_text(&mut bytes, "größe");
    assert_eq!(text_of(&bytes), Some("größe"));
    bytes[0] = 64;
    assert_eq!(text_of(&bytes), None);
    bytes[..2].copy_from_slice(&[1, 0xff]);
    assert_eq!(text_of(&bytes), None);
    assert_eq!(text_of(&[]), None);
}

#[test]
fn a_fingerprint_of_the_first_version() {
    // Computed by another program. It must never change.
    assert_eq!(fingerprint(1, 0, 8, 8, "u64"), 0x4606_31bc_f24d_67e1);
}
