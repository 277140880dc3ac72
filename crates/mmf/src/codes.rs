//! The stable numbers and identifiers of errors and findings.
//!
//! Other languages match on them, so they are written down in `docs/codes.md`, and a test compares that page
//! with these tables in both directions. A number is never used twice, not even after its variant is gone,
//! and 0 is never used. Each table is one exhaustive `match`: a variant without a row does not compile.

use crate::diagnosis::{Action, Cause, PrivilegeState, Remedy, Severity};
use crate::error::{ErrorKind, Operation};

macro_rules! codes {
    ($type:ident { $($code:literal $id:literal $variant:ident $({ $($field:ident),* })?,)* }) => {
        impl $type {
            /// Returns the number of the variant. It never changes and is never reused; 0 is never used.
            #[must_use]
            pub const fn code(&self) -> u32 {
                match self {
                    $($type::$variant { .. } => $code,)*
                }
            }

            /// Returns the identifier of the variant: lower case, words separated by underscores. It never
            /// changes.
            #[must_use]
            pub const fn id(&self) -> &'static str {
                match self {
                    $($type::$variant { .. } => $id,)*
                }
            }
        }

        #[cfg(test)]
        impl Table for $type {
            const NAME: &'static str = stringify!($type);
            const ROWS: &'static [Row] =
                &[$(Row {
                    code: $code,
                    id: $id,
                    variant: stringify!($variant),
                    fields: &[$($(stringify!($field)),*)?],
                },)*];
        }

        #[cfg(feature = "serde")]
        impl crate::serialize::Fields for $type {
            #[allow(unused_variables, reason = "where no variant has fields")]
            fn each<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                match self {
                    $($type::$variant $({ $($field),* })? => {
                        $($(map.serialize_entry(stringify!($field), $field)?;)*)?
                    })*
                }
                Ok(())
            }
        }
    };
}

codes! {
    ErrorKind {
            1 "empty_name" EmptyName,
            2 "name_too_long" NameTooLong,
            3 "invalid_name" InvalidName,
            4 "not_found" NotFound,
            5 "already_exists" AlreadyExists,
            6 "not_shared_memory" NotSharedMemory,
            7 "permission_denied" PermissionDenied,
            8 "not_writable" NotWritable,
            9 "zero_length" ZeroLength,
            10 "too_large" TooLarge,
            11 "too_small" TooSmall,
            12 "out_of_memory" OutOfMemory,
            13 "out_of_bounds" OutOfBounds,
            14 "misaligned" Misaligned,
            15 "fault" Fault,
            16 "unsupported" Unsupported,
            17 "unexpected_owner" UnexpectedOwner,
            18 "unexpected_length" UnexpectedLength,
            19 "unknown_account" UnknownAccount,
            20 "invalid_security" InvalidSecurity,
            21 "limit_reached" LimitReached,
            22 "busy" Busy,
            23 "invalid_ticket" InvalidTicket,
            24 "beyond_capacity" BeyondCapacity,
            25 "storage_full" StorageFull,
            26 "no_large_pages" NoLargePages,
            27 "no_such_node" NoSuchNode,
            28 "in_use" InUse,
            29 "not_a_file" NotAFile,
            30 "changed_during_copy" ChangedDuringCopy,
            31 "cancelled" Cancelled,
            32 "not_a_segment" NotASegment,
            33 "not_ready" NotReady,
            34 "incompatible" Incompatible,
            35 "corrupted" Corrupted,
            36 "full" Full,
            37 "timed_out" TimedOut,
            38 "not_recoverable" NotRecoverable,
            39 "other" Other,
            40 "invalid_option" InvalidOption,
    }
}

codes! {
    Operation {
            1 "name" Name,
            2 "create" Create,
            3 "open" Open,
            4 "open_or_create" OpenOrCreate,
            5 "adopt" Adopt,
            6 "into_read_only" IntoReadOnly,
            7 "map" Map,
            8 "read" Read,
            9 "write" Write,
            10 "fill" Fill,
            11 "copy" Copy,
            12 "atomic" Atomic,
            13 "subview" Subview,
            14 "seek" Seek,
            15 "flush" Flush,
            16 "prefetch" Prefetch,
            17 "lock_pages" LockPages,
            18 "list" List,
            19 "security" Security,
            20 "hand_off" HandOff,
            21 "receive" Receive,
            22 "grow" Grow,
            23 "refresh" Refresh,
            24 "open_file" OpenFile,
            25 "create_file" CreateFile,
            26 "query_pages" QueryPages,
            27 "save" Save,
            28 "load" Load,
            29 "restore" Restore,
            30 "object" Object,
            31 "acquire" Acquire,
            32 "wait" Wait,
            33 "inspect" Inspect,
            34 "examine" Examine,
    }
}

codes! {
    Severity {
            1 "note" Note,
            2 "warning" Warning,
            3 "error" Error,
    }
}

codes! {
    Cause {
            1 "invalid" Invalid { kind, message },
            2 "missing" Missing,
            3 "other_namespace" OtherNamespace { name },
            4 "other_case" OtherCase { name },
            5 "local_scope" LocalScope { session },
            6 "other_type" OtherType { kind },
            7 "similar_name" SimilarName { name },
            8 "unfinished" Unfinished { since, owner, holders, complete },
            9 "stale" Stale,
            10 "stale_not_removable" StaleNotRemovable { owner },
            11 "possibly_stale" PossiblyStale { owner, since, unheld },
            12 "exists" Exists { len, owner },
            13 "hidden" Hidden,
            14 "too_small" TooSmall { asked, len },
            15 "not_granted" NotGranted { write, user, security },
            16 "refused_by_policy" RefusedByPolicy { label, snap, seccomp, container },
            17 "integrity" Integrity { object, process },
            18 "app_container" AppContainer,
            19 "privilege_missing" PrivilegeMissing { privilege },
            20 "privilege_disabled" PrivilegeDisabled { privilege },
            21 "out_of_memory" OutOfMemory { asked, left, limit, of },
            22 "full" Full { of, left, limit },
            23 "overcommitted" Overcommitted { needs, left, of },
            24 "control_group" ControlGroup { used, limit },
            25 "truncated" Truncated { len },
            26 "bad_memory" BadMemory,
            27 "inaccessible" Inaccessible,
            28 "device" Device,
            29 "unexplained" Unexplained { checked },
            30 "address_space" AddressSpace { asked, largest },
            31 "limit_in_use" LimitInUse { name, used, asked, limit },
            32 "beyond_capacity" BeyondCapacity { asked, capacity },
            33 "capacity_unknown" CapacityUnknown,
            34 "nearly_full" NearlyFull { asked, left, of },
            35 "directory" Directory { path, problem },
            36 "limit" Limit { name, limit, asked },
            37 "unexpected_owner" UnexpectedOwner { expected, owner },
            38 "hard_linked" HardLinked { names, found },
            39 "held_exclusively" HeldExclusively { process, program },
            40 "replaceable" Replaceable { path },
            41 "other_user_namespace" OtherUserNamespace { inside, outside },
            42 "unexpected_length" UnexpectedLength { expected, len },
            43 "unsupported" Unsupported { what },
            44 "usable" Usable { len, write },
            45 "free" Free,
            46 "growable" Growable,
    }
}

codes! {
    Remedy {
            1 "correct_input" CorrectInput,
            2 "start_creator" StartCreator,
            3 "open_name" OpenName { name },
            4 "use_global_name" UseGlobalName,
            5 "use_local_name" UseLocalName,
            6 "choose_other_name" ChooseOtherName,
            7 "open_existing" OpenExisting,
            8 "open_read_only" OpenReadOnly,
            9 "let_creator_grant" LetCreatorGrant { write, account },
            10 "let_creator_lower_integrity" LetCreatorLowerIntegrity { to },
            11 "run_as" RunAs { account },
            12 "elevate" Elevate,
            13 "grant_privilege" GrantPrivilege { privilege },
            14 "ask_for_less" AskForLess { most },
            15 "enlarge_capacity" EnlargeCapacity,
            16 "free_memory" FreeMemory,
            17 "enlarge_mount" EnlargeMount,
            18 "free_disk" FreeDisk,
            19 "raise_group_limit" RaiseGroupLimit,
            20 "reopen" Reopen,
            21 "write_name" WriteName { name, is_literal },
            22 "remove_file" RemoveFile { path },
            23 "let_owner_remove" LetOwnerRemove { owner, name },
            24 "allow_in_policy" AllowInPolicy,
            25 "use_sandbox_name" UseSandboxName { name },
            26 "drop_views" DropViews,
            27 "map_parts" MapParts,
            28 "raise_limit" RaiseLimit { name },
            29 "retry" Retry,
            30 "hand_off" HandOff,
            31 "accept_length" AcceptLength,
            32 "do_not_use" DoNotUse,
            33 "other" Other { instruction },
    }
}

codes! {
    Action {
            1 "create_local" CreateLocal,
            2 "create_global" CreateGlobal,
            3 "grant_to_users" GrantToUsers,
            4 "lock_memory" LockMemory,
            5 "private_namespaces" PrivateNamespaces,
    }
}

codes! {
    PrivilegeState {
            1 "enabled" Enabled,
            2 "disabled" Disabled,
            3 "missing" Missing,
            4 "not_needed" NotNeeded,
    }
}

#[cfg(test)]
pub(crate) struct Row {
    code: u32,
    id: &'static str,
    variant: &'static str,
    fields: &'static [&'static str],
}

#[cfg(test)]
pub(crate) trait Table {
    const NAME: &'static str;
    const ROWS: &'static [Row];
}

#[cfg(test)]
mod tests;
