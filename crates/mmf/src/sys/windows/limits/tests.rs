use super::*;

#[test]
fn the_free_commit_does_not_exceed_the_limit() {
    let commit = commit().unwrap();
    assert!(commit.left > 0 && commit.left <= commit.limit, "{commit:?}");
}

#[test]
fn large_pages_are_larger_than_ordinary_ones() {
    if let Some(len) = large_page_minimum() {
        let small = u64::from(api::get_system_info().dwPageSize);
        assert!(len.is_power_of_two() && len > small, "{len}");
    }
}
