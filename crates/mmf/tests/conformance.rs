//! The conformance suite: the promises of the library, one test each, on every system and processor.
//!
//! Where a promise is about processes, the other process is this program again, in a role; or a program of another
//! language.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_imports,
    clippy::cast_possible_truncation,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test"
)]

#[path = "conformance/causes.rs"]
mod causes;
#[path = "conformance/diagnosis.rs"]
mod diagnosis;
#[path = "conformance/disk.rs"]
mod disk;
#[path = "conformance/errors.rs"]
mod errors;
#[path = "conformance/faults.rs"]
mod faults;
#[path = "conformance/files.rs"]
mod files;
#[path = "conformance/foreign.rs"]
mod foreign;
#[path = "conformance/growth.rs"]
mod growth;
#[path = "conformance/handlers.rs"]
mod handlers;
#[path = "conformance/handoff.rs"]
mod handoff;
#[path = "conformance/identity.rs"]
mod identity;
#[path = "conformance/inspect.rs"]
mod inspect;
#[path = "conformance/lifetime.rs"]
mod lifetime;
#[path = "conformance/locks.rs"]
mod locks;
#[path = "conformance/mounts.rs"]
mod mounts;
#[path = "conformance/options.rs"]
mod options;
#[path = "conformance/owners.rs"]
mod owners;
#[path = "conformance/pages.rs"]
mod pages;
#[path = "conformance/presence.rs"]
mod presence;
#[path = "conformance/security.rs"]
mod security;
#[path = "conformance/segment.rs"]
mod segment;
#[path = "conformance/sharing.rs"]
mod sharing;
#[path = "conformance/spaces.rs"]
mod spaces;
#[path = "conformance/surface.rs"]
mod surface;
#[path = "conformance/system.rs"]
mod system;
#[cfg(unix)]
#[path = "conformance/users.rs"]
mod users;
#[path = "conformance/views.rs"]
mod views;
#[path = "conformance/windows.rs"]
mod windows;

/// Pairs of a function's path, as its name, and the function.
macro_rules! named {
    ($($module:ident: $($function:ident)*;)*) => {
        &[$($((concat!(stringify!($module), "::", stringify!($function)), $module::$function as _)),*),*]
    };
}

fn main() {
    let tests = named! {
        sharing: create_and_open_in_another_process writes_are_seen_both_ways read_only_process_cannot_write_to_the_pages
            open_or_create_says_which_it_was only_one_of_many_creates atomics_add_up_across_processes
            processes_of_both_widths_share names_are_case_sensitive local_is_the_default local_and_global_are_different
            names_of_all_lengths;
        lifetime: the_name_goes_with_the_last_holder another_holder_keeps_it_alive a_view_keeps_the_name
            a_killed_holder_leaves_nothing a_killed_last_holder_does_not_block_open_or_create bytes_outlive_the_memory
            clones_are_holders many_killed_holders nothing_leaks_in_a_thousand_rounds list_finds_what_is_there
            a_new_memory_is_zero only_our_own_object_is_removed listing_does_not_disturb cut_down_to_nothing;
        surface: the_root_has_sixteen_items;
        options: options_of_existing_regions_are_refused_where_one_is_created
            options_of_new_regions_are_refused_where_one_is_opened expectations_apply_to_what_is_opened
            lengths_and_capacities_are_the_least_of_what_is_opened large_pages_are_had_or_refused_with_a_reason
            options_of_files;
        views: any_offset_and_any_length many_at_once typed_values unaligned_values fill_and_copy overlapping_copies
            copies_of_every_length slices cursor_reads_writes_and_seeks atomics_of_every_width atomics_race_in_threads
            unsafe_slices read_only_view_of_a_writable_one large_copies;
        errors: names_that_are_none missing_name existing_name wrong_lengths too_large not_enough_memory out_of_bounds
            misaligned_atomics smaller_than_asked_for names_of_other_kinds messages_name_the_cure failing_leaks_nothing
            converts_to_io_error;
        faults: an_inaccessible_page a_read_only_page uncommitted_memory in_many_threads_at_once in_atomics
            with_another_handler_before with_another_handler_after outside_the_view_ends_the_process
            a_private_buffer_ends_the_process truncated_by_another_process a_mapped_file_truncated_by_another_process truncated_again_and_again_during_copies
            a_sent_signal_is_not_ours panics_still_unwind;
        handlers: the_default_action_comes_later a_handler_that_does_not_pass_on_comes_later
            a_handler_that_passes_on_comes_later a_handler_for_one_call_gets_one_call two_handlers_come_later a_handler_that_comes_again_makes_no_cycle
            handlers_come_while_faults_happen more_handlers_than_can_be_taken_over
            a_replaced_handler_can_be_left_alone copies_need_no_handler a_former_handler_has_its_own_stack
            an_overflowed_stack_is_still_reported blocked_signals_are_reported a_forked_child_has_the_guard
            a_plugin_is_unloaded two_libraries_do_not_take_turns faulthandler_comes_later
            a_jvm_was_there_or_comes_later;
        foreign: c_opens_ours we_open_c python_opens_ours we_open_python foreign_objects_are_never_removed
            an_unsized_object_is_not_ready read_only_grants no_grants;
        system: handles_in_and_out handles_that_are_none read_only_handles_stay_read_only into_read_only_is_for_good
            taken_read_only_is_for_good
            flush_prefetch_and_lock only_this_user_may_open children_inherit_nothing
            other_users_cannot_reopen_a_descriptor;
        security: the_default_is_the_current_user grants_are_read_back unnamed_memory_has_it_too unknown_accounts
            owners_are_expected what_cannot_be_said_is_not_granted grants_to_users_and_groups
            the_lifetime_is_kept_with_grants words_and_umask labels_and_squatted_names owners_on_this_system
            securities_of_others_memories users_in_granted_groups;
        diagnosis: nothing_there in_the_other_namespace in_another_spelling there_already smaller_than_asked
            questions_without_sense more_than_there_is asking_changes_nothing examined the_machine private_names
            another_kind not_granted an_unfinished_one left_by_killed_programs without_a_privilege left_by_another_user
            limits_of_the_process locked_memory_is_limited where_memories_live no_place_for_memories
            wishes_that_cannot_be_had directories_pass_nothing_on;
        causes: a_page_that_this_process_has_closed a_full_place a_full_disk a_place_that_does_not_do
            a_place_that_is_read_only_here unfinished_for_good left_over_and_closed_to_this_user
            who_may_only_read_is_told_to mappings_are_limited a_mistyped_name_is_shown;
        handoff: a_child_receives read_only_stays_read_only read_only_cannot_be_widened
            several_memories_and_several_children labels the_command_stays_as_it_was an_empty_environment
            what_cannot_be_started grandchildren_receive both_widths the_giver_ends_at_once the_giver_is_killed
            receivers_are_killed a_child_keeps_the_name threads_receive_at_once no_other_child_gets_it tickets
            forged_values forged_tickets forged_parcels a_giver_that_never_delivers nothing_leaks over_a_socket
            too_much_over_a_socket c_receives python_receives mono_receives to_other_users tickets_for_something_else;
        growth: in_place without_a_name not_beyond_the_capacity not_without_a_capacity a_capacity_that_makes_no_sense
            whoever_opens_it_learns_the_capacity without_a_name_it_is_learnt_as_well
            old_views_follow_ten_thousand_times several_grow_at_once killed_growers killed_makers
            far_more_than_the_machine_has slices_and_parts_stay_as_they_are growing_leaks_nothing cut_by_a_peer
            foreign_objects_are_followed a_full_place;
        identity: a_planted_link_is_refused links_planted_at_the_last_moment links_to_what_a_killed_owner_has_left
            foreign_regions_with_links others_regions_are_left_alone a_place_without_the_sticky_bit
            a_mount_over_a_name the_umask_takes_nothing_away unfinished_under_a_umask users_without_a_number
            local_names_in_a_container names_that_lead_elsewhere readers_do_not_tell_the_capacity
            an_absurd_capacity only_readers_are_left holders_are_seen an_exclusive_lock_is_named
            exits_release_names forked_daemons_release_names files_over_a_socket one_length;
        files: the_same_types_over_a_file shared_with_another_process three_verbs copies_on_write an_empty_file
            growing_lengthens_the_file larger_than_the_address_space rights_and_kinds a_file_that_is_closed_to_us
            cut_by_another_process a_full_disk handed_to_a_child flushed_bytes_are_in_the_file;
        pages: ordinary_ones large_ones_without_a_name large_ones_with_a_name
            large_ones_where_the_mount_has_them a_preflight_knows large_ones_do_not_grow
            more_large_ones_than_there_are nodes;
        disk: round_trips read_only_memories_are_saved options_hold_for_what_is_loaded holes_stay_holes
            restoring_clears_what_is_a_hole pictures_of_many_gibibytes progress_is_told cancelled_in_the_middle
            files_are_replaced_or_kept only_this_user_may_open_the_file killed_savers_leave_no_half_files
            paths_that_lead_nowhere files_longer_than_the_memory files_that_become_shorter
            nothing_leaks_to_or_from_disk by_views_alone reserved_memory memories_cut_by_another_process
            memories_cut_again_and_again a_full_disk no_pages_left_for_what_is_loaded limits_on_files
            places_of_others;
        segment: processes_share_objects processes_of_both_widths_share_segments what_does_not_match_is_refused what_is_no_segment_is_refused options_that_do_not_apply_are_refused one_of_many_makes_it a_maker_that_dies_is_replaced an_opener_waits_for_the_maker participants_die_at_every_step observers_look_and_leave_no_trace segments_without_a_name the_format_stays_as_it_is
            the_format_of_every_kind_stays_as_it_is the_first_version_is_opened_and_used deaths_of_the_first_version_are_told every_word_overwritten overwritten_while_used cut_off_while_used a_forked_child_is_somebody_else;
        inspect: a_whole_one_has_no_damage objects_around_a_damaged_entry_are_shown a_damaged_header_is_made_up_for
            every_word_can_be_hostile many_hostile_words_at_once looking_while_it_is_overwritten
            zeros_are_not_taken_for_a_death no_more_is_listed_than_a_bound the_maker_is_named wakeups_for_the_dead_do_not_pile_up;
        presence: owners_in_other_namespaces numbers_of_other_namespaces makers_in_other_namespaces read_locks_decide_nothing
            children_do_not_keep_their_parents_alive a_child_of_the_same_number_is_no_holder slots_in_large_pages closing_all_descriptors no_descriptor_left no_address_left
            stopped_processes_are_alive processes_without_their_first_thread joining_in_two_pid_namespaces
            without_the_kernel_in_other_namespaces locks_lost_by_all claims_that_change_all_the_time
            tickets_from_other_namespaces;
        locks: a_mutex_excludes a_writer_excludes deadlines_and_tries the_next_one_is_told_of_a_death a_dead_writer_and_dead_readers a_panic_leaves_a_mark killed_at_every_step_of_a_mutex who_gives_a_lock_up_dies_before_waking killed_at_every_step_of_an_rwlock nobody_starves readers_and_writers_do_not_starve_each_other events_wake_others waiters_for_events_die who_sets_an_event_dies_before_waking the_latest_value_outlives_its_writer latest_values_are_whole once_is_once locks_of_ones_own who_has_what_can_be_seen many_threads_of_few_participants words_that_change_all_the_time who_has_no_time_leaves_the_news_of_a_death who_is_hidden_is_not_dead;
        windows: object_names_cannot_be_derived_from_each_other foreign_events_keep_no_participant_out
            readers_can_neither_wait_nor_wake objects_are_owned_by_their_creator a_section_of_a_file_has_one_length
            a_reserved_section_without_pages_is_unfinished listed_names_can_be_opened;
        owners: copies_in_a_forked_child_own_nothing copies_in_a_cloned_child_own_nothing
            a_forked_child_sees_its_parent_die words_of_readers_never_wrap_around since_is_of_this_locking
            the_dead_held_it_since_this_locking a_panic_is_not_a_death errors_of_objects_name_the_object
            a_segment_uses_what_it_has_grown_by several_grow_a_segment_at_once only_room_is_taken_for_room
            readers_do_not_take_wakeups_away;
    };
    let roles = named! {
        sharing: role_open_and_check role_answer role_scribble role_create_or_open role_count role_share;
        lifetime: role_hold role_leak_check role_open_or_create;
        faults: role_handler_before role_handler_after role_outside role_private_buffer role_sent_signal
            role_truncate;
        handlers: role_default role_mute role_one_call role_chaining role_two role_again role_race role_exhaust role_leave
            role_kernel role_stack role_overflow role_fork;
        system: role_other_user role_list_handles;
        security: role_try role_umask role_squatted;
        diagnosis: role_refused role_make_and_stay role_unprivileged role_is_in_the_way role_limited role_lock role_mount
            role_no_place role_inherit;
        causes: role_full role_full_disk role_place role_read_only role_create_and_stay role_ask role_in_the_way
            role_read role_map;
        handoff: role_worker role_nothing role_parent role_widen role_forged_values role_forged_tickets
            role_forged_parcels role_never_delivers role_leak_check role_receive_both role_socket;
        growth: role_receive role_follow role_grow role_grow_on role_make role_cut role_fill;
        identity: role_owner role_link role_link_on role_create_and_drop role_next role_other role_not_sticky
            role_mount_over role_umask role_unfinished role_without_a_number role_in_a_container role_read_locks
            role_hold role_look role_lock_exclusively role_exit role_daemon role_serve_files;
        files: role_write role_cut role_fill role_receive;
        pages: role_mount;
        disk: role_save_here role_save role_full_disk role_no_pages role_limited role_another_user;
        segment: role_share role_open_or_create role_open_late role_make_until role_join_until role_observe role_scribble role_fork;
        spaces: role_in;
        presence: role_own role_try role_own_and_fork role_fork_the_same_number role_own_and_close role_no_descriptor role_no_address
            role_leave_first_thread role_join_until role_join_and_say role_lose_hold role_give role_redeem;
        inspect: role_wait role_follow role_count_spurious;
        locks: role_count role_hold role_work role_give_up role_compete role_one_sided role_echo role_wait_until role_set role_publish_until role_check_values role_once role_own role_hidden;
        windows: role_squat role_hold_until_killed;
        owners: role_fork role_orphan role_lock_again role_panic role_hold role_grow role_add role_die_growing role_be_woken
            role_eat;
    };
    testkit::run(tests, roles);
}
