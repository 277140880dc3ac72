use super::*;

#[test]
fn the_limit_of_the_system_is_reported_only_if_it_is_reached() {
    let commit = |left| Some(limits::Commit { left, limit: 1 << 30 });
    let full = LastError(win::ERROR_COMMITMENT_LIMIT);
    let reason = |failure: Failure| (failure.reason, failure.figure);
    assert_eq!(reason(out_of_commit(full, 8192, commit(4096))), (Reason::NoMemory, Some(4096)));
    assert_eq!(reason(out_of_commit(full, 8192, commit(8192))), (Reason::NoMemory, None));
    assert_eq!(reason(out_of_commit(full, 8192, None)), (Reason::NoMemory, None));
    let denied = LastError(win::ERROR_ACCESS_DENIED);
    assert_eq!(reason(out_of_commit(denied, 8192, commit(0))), (Reason::Denied, None));
}
