//! Rules: they derive findings from facts, and from nothing else.

use super::cause::Cause;
use super::facts::{Facts, PrivilegeState, Question};
use super::finding::{Finding, Severity};
use super::remedy::Remedy;
use crate::error::{ErrorKind, Operation};
use crate::name::Namespace;
use crate::security::{Account, Principal};
use crate::sys::{
    Confinement, Failure, FaultSign, Limits, MapLimits, MemoryGroup, NameState, Reason, Space, StorageProblem,
};

const CREATE_GLOBAL: &str = "SeCreateGlobalPrivilege";

/// Returns all findings that follow from the facts.
pub(crate) fn judge(question: Question<'_>, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some((kind, message)) = &facts.name_problem {
        return vec![invalid(*kind, message)];
    }
    // In the order of the calls themselves: the request is checked before what exists.
    if question.operation != Operation::Open {
        preferences(question, facts, &mut findings);
    }
    // Whatever the name is, nothing can be there.
    if let Some(space) = facts.space {
        if let Some(trouble @ (StorageProblem::Missing | StorageProblem::NotDirectory)) = space.problem {
            findings.push(place(space.place, trouble));
            return findings;
        }
    }
    if facts.here.state == NameState::NoPlace {
        findings.push(no_place(facts));
        return findings;
    }
    let there = !matches!(facts.here.state, NameState::Nothing | NameState::Stale { removable: true });
    match question.operation {
        Operation::Create if there => findings.push(taken(question, facts)),
        Operation::Create => make(question, facts, &mut findings),
        Operation::OpenOrCreate if !there => make(question, facts, &mut findings),
        _ => open(question, facts, &mut findings),
    }
    findings
}

/// The directory of named regions cannot be searched.
fn no_place(facts: &Facts) -> Finding {
    let place = facts.space.map_or("/dev/shm", |space| space.place);
    let cause = Cause::Directory { path: place, problem: "cannot be searched by this user" };
    Finding::error(cause)
        .with_kind(ErrorKind::PermissionDenied)
        .cure(Remedy::Other { instruction: "let an administrator set its mode to 1777" })
}

/// A problem of the directory of named regions.
pub(crate) fn place(place: &'static str, trouble: StorageProblem) -> Finding {
    let (problem, kind) = match trouble {
        StorageProblem::Missing => ("does not exist", ErrorKind::Unsupported),
        StorageProblem::NotDirectory => ("is not a directory", ErrorKind::Unsupported),
        StorageProblem::ReadOnly => ("is mounted read-only", ErrorKind::PermissionDenied),
        StorageProblem::Denied => ("is not writable by this user", ErrorKind::PermissionDenied),
        StorageProblem::NoFiles => ("has no inodes left", ErrorKind::OutOfMemory),
    };
    let finding = Finding::error(Cause::Directory { path: place, problem }).with_kind(kind);
    match trouble {
        StorageProblem::Denied => {
            finding.cure(Remedy::Other { instruction: "let an administrator set its mode to 1777" })
        }
        StorageProblem::ReadOnly => {
            finding.cure(Remedy::Other { instruction: "mount -o remount,rw /dev/shm" })
        }
        StorageProblem::Missing | StorageProblem::NotDirectory => finding
            .cure(Remedy::Other { instruction: "mount -t tmpfs -o mode=1777 tmpfs /dev/shm" })
            .cure(Remedy::HandOff),
        StorageProblem::NoFiles => finding.cure(Remedy::EnlargeMount),
    }
}

/// Explains why names cannot be listed, if the directory is the cause.
pub(crate) fn listing(space: Option<Space>, failure: Failure) -> Option<Finding> {
    let space = space?;
    match (space.problem, failure.reason) {
        (Some(trouble @ (StorageProblem::Missing | StorageProblem::NotDirectory)), _) => {
            Some(place(space.place, trouble))
        }
        (_, Reason::Denied) => {
            let problem = "cannot be listed by this user";
            let finding = Finding::error(Cause::Directory { path: space.place, problem });
            let finding = finding.with_kind(ErrorKind::PermissionDenied);
            Some(finding.cure(Remedy::Other { instruction: "let an administrator set its mode to 1777" }))
        }
        _ => None,
    }
}

/// Returns whether a cause is more precise than the code of the system.
pub(crate) fn overrides(finding: &Finding) -> bool {
    matches!(finding.cause, Cause::Directory { .. } | Cause::Unfinished { .. } | Cause::Limit { .. })
}

/// Explains a failure that no other fact explains.
pub(crate) fn otherwise(question: Question<'_>, facts: &Facts, failure: Failure) -> Option<Finding> {
    if failure.reason == Reason::NoLocks {
        let what = "file locks on /dev/shm, which track holders, or has no memory for one more".to_owned();
        return Some(Finding::error(Cause::Unsupported { what }).cure(Remedy::HandOff));
    }
    match (failure.reason, &facts.confinement) {
        // The name is free, or its rights would do.
        (Reason::Denied, Some(confinement)) => Some(refused_elsewhere(Some(question), confinement)),
        (Reason::NoMemory, _) if cfg!(unix) => {
            Some(facts.group.filter(|group| is_full(*group)).map_or_else(unexplained_memory, group_is_full))
        }
        _ => None,
    }
}

/// Explains why a region without a name could not be created. No grant is needed for that.
pub(crate) fn anonymous(
    failure: Failure,
    confinement: &Confinement,
    group: Option<MemoryGroup>,
) -> Option<Finding> {
    match (failure.reason, failure.figure) {
        (Reason::Denied, _) => Some(refused_elsewhere(None, confinement)),
        (Reason::NoMemory, None) => {
            Some(group.filter(|group| is_full(*group)).map_or_else(unexplained_memory, group_is_full))
        }
        _ => None,
    }
}

fn unexplained_memory() -> Finding {
    Finding::error(Cause::Unexplained {
        checked: "storage is left and no limit of this process is reached; a quota of this user, a \
            limit of a control group above or the kernel's own memory may be used up",
    })
    .cure(Remedy::FreeMemory)
}

/// A limit of which less than this is left counts as reached: the kernel charges in batches.
const BATCH: u64 = 64 * 4096;

fn is_full(group: MemoryGroup) -> bool {
    group.limit.saturating_sub(group.used) < BATCH
}

fn group_is_full(MemoryGroup { used, limit }: MemoryGroup) -> Finding {
    Finding::error(Cause::ControlGroup { used, limit }).cure(Remedy::RaiseGroupLimit)
}

fn refused_elsewhere(question: Option<Question<'_>>, confinement: &Confinement) -> Finding {
    let Confinement { label, snap, seccomp, container } = confinement.clone();
    let finding = Finding::error(Cause::RefusedByPolicy { label, snap: snap.clone(), seccomp, container });
    let finding = match (snap, question) {
        (Some(snap), Some(question)) => {
            let name = format!(r"Global\snap.{snap}.{}", question.name.text());
            finding.cure(Remedy::UseSandboxName { name })
        }
        _ => finding,
    };
    finding.cure(Remedy::AllowInPolicy).cure(Remedy::HandOff)
}

/// The facts about a page that could not be accessed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FaultFacts {
    pub(crate) sign: FaultSign,
    /// Where the byte is in the region.
    pub(crate) offset: u64,
    pub(crate) page: u64,
    /// The current length of the region, if known.
    pub(crate) len: Option<u64>,
    pub(crate) is_file: bool,
    /// What is left of what its pages are made of.
    pub(crate) space: Option<Space>,
    pub(crate) group: Option<MemoryGroup>,
}

/// Explains why a page could not be accessed. There is always a finding.
pub(crate) fn fault(facts: FaultFacts) -> Vec<Finding> {
    let FaultFacts { sign, offset, page, len, is_file, space, group } = facts;
    let mut findings = Vec::new();
    // The rest of the last page can be accessed, but is not part of the region.
    let start = offset - offset % page.max(1);
    let full = space.filter(|space| space.left < page || sign == FaultSign::NoStorage);
    match (sign, len) {
        (FaultSign::BadMemory, _) => {
            findings.push(Finding::error(Cause::BadMemory).cure(Remedy::Other {
                instruction: "check the kernel's log (journalctl -k), and restart the programs that share \
                    the region",
            }));
        }
        (FaultSign::Device, _) => findings
            .push(Finding::error(Cause::Device).cure(Remedy::Other {
                instruction: "check the system's log and the connection to the disk",
            })),
        (_, Some(len)) if start >= len => {
            findings.push(Finding::error(Cause::Truncated { len }).cure(Remedy::Reopen));
        }
        (FaultSign::Inaccessible, _) => {
            findings.push(Finding::error(Cause::Inaccessible).cure(Remedy::Reopen))
        }
        (FaultSign::Unbacked | FaultSign::NoStorage, _) => {
            findings.extend(full.map(|space| is_used_up(&space, is_file)));
            findings.extend(group.filter(|group| is_full(*group)).map(group_is_full));
        }
    }
    if findings.is_empty() {
        let checked = match (is_file, len.is_some()) {
            (_, false) => "its current length cannot be determined",
            (true, _) => {
                "the byte is inside the file and the disk has space now; the disk or the network may \
                    have failed, this user's quota may be used up, or the file was shorter or the disk \
                    full for a moment"
            }
            (false, _) if cfg!(windows) => {
                "the byte is inside the region, and the system reports nothing else"
            }
            (false, _) => {
                "the byte is inside the region and storage is left now; a limit of a control group or \
                    a quota may be reached, or the region was shorter or the storage full for a moment"
            }
        };
        findings.push(Finding::error(Cause::Unexplained { checked }).cure(Remedy::Retry));
    }
    findings.into_iter().map(|finding| finding.with_kind(ErrorKind::Fault)).collect()
}

/// No storage is left for pages.
fn is_used_up(space: &Space, is_file: bool) -> Finding {
    let limit = (space.limit != u64::MAX).then_some(space.limit);
    let finding = Finding::error(Cause::Full { of: space.place, left: space.left, limit });
    if is_file {
        return finding.cure(Remedy::FreeDisk);
    }
    let finding = finding.cure(Remedy::FreeMemory);
    if space.is_mount { finding.cure(Remedy::EnlargeMount) } else { finding }
}

/// Explains why no storage is left for more pages. There is always a finding.
pub(crate) fn no_room(space: Option<Space>, page: u64, group: Option<MemoryGroup>) -> Vec<Finding> {
    let full = space.filter(|space| space.left < page).map(|space| is_used_up(&space, false));
    let group = group.filter(|group| is_full(*group)).map(group_is_full);
    let findings: Vec<Finding> = full.into_iter().chain(group).collect();
    if findings.is_empty() { vec![unexplained_memory().with_kind(ErrorKind::OutOfMemory)] } else { findings }
}

/// The facts about a mapping that the system has refused.
#[derive(Clone, Debug)]
pub(crate) struct MapFacts {
    pub(crate) failure: Failure,
    /// Bytes that were to be mapped.
    pub(crate) asked: u64,
    /// Whether pages are copied when they are written.
    pub(crate) is_private: bool,
    pub(crate) limits: MapLimits,
    pub(crate) group: Option<MemoryGroup>,
}

/// Explains why a view could not be mapped; no finding where the code of the system is explanation enough.
pub(crate) fn mapping(facts: &MapFacts) -> Vec<Finding> {
    let MapFacts { failure, asked, is_private, limits, group } = facts;
    let asked = *asked;
    let in_use = |name, (used, limit): (u64, u64)| {
        Finding::error(Cause::LimitInUse { name, used, asked, limit }).cure(Remedy::RaiseLimit { name })
    };
    let exceeds = |(used, limit): &(u64, u64)| used.saturating_add(asked) > *limit;
    let mut findings = Vec::new();
    match failure.reason {
        // The kernel locks all that this process maps, and the process may not lock so much.
        Reason::Limit => {
            findings.extend(limits.locked.filter(exceeds).map(|locked| in_use("RLIMIT_MEMLOCK", locked)))
        }
        Reason::NoMemory | Reason::TooLarge => {
            // (One mapping more or less may have come or gone since.)
            if let Some((used, limit)) = limits.mappings.filter(|(used, limit)| used + 4 > *limit) {
                let name = "vm.max_map_count";
                let finding = Finding::error(Cause::LimitInUse { name, used, asked: 1, limit });
                findings.push(finding.cure(Remedy::DropViews).cure(Remedy::RaiseLimit { name }));
            }
            findings.extend(
                limits
                    .address_space
                    .filter(exceeds)
                    .map(|space| in_use("RLIMIT_AS", space).cure(Remedy::MapParts)),
            );
            findings.extend(limits.locked.filter(exceeds).filter(|(used, _)| *used > 0).map(|locked| {
                Finding { severity: Severity::Note, kind: None, ..in_use("RLIMIT_MEMLOCK", locked) }
            }));
            if *is_private {
                findings.extend(limits.data.filter(exceeds).map(|data| in_use("RLIMIT_DATA", data)));
                let none_left = |of, (left, limit)| {
                    let finding = Finding::error(Cause::OutOfMemory { asked, left, limit, of });
                    finding.cure(Remedy::MapParts).cure(Remedy::FreeMemory)
                };
                let commit = limits.commit.filter(|(left, _)| asked > *left);
                findings.extend(
                    commit.map(|commit| none_left("the commit limit (vm.overcommit_memory is 2)", commit)),
                );
                let most = limits.most_private.filter(|most| asked > *most);
                findings.extend(
                    most.map(|most| none_left("RAM and swap (vm.overcommit_memory is 0)", (most, most))),
                );
            }
            if limits.gap.is_none_or(|gap| asked > gap) && (findings.is_empty() || limits.gap.is_some()) {
                let finding = Finding::error(Cause::AddressSpace { asked, largest: limits.gap });
                findings.push(finding.cure(Remedy::MapParts));
            }
            findings.extend(group.filter(|group| is_full(*group)).map(group_is_full));
            if findings.iter().all(|finding| finding.kind.is_none()) {
                findings.push(unexplained_memory().with_kind(ErrorKind::OutOfMemory));
            }
        }
        _ => {}
    }
    findings
}

/// Requests that cannot be fulfilled under any name.
fn preferences(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    let len = question.options.wanted_len().unwrap_or(0);
    if len == 0 {
        findings
            .push(invalid(ErrorKind::ZeroLength, "a region has at least one byte, and no len() was given"));
    } else if i64::try_from(len).is_err() {
        findings.push(invalid(ErrorKind::TooLarge, "no system supports so many bytes"));
    }
    if let Some(capacity) = question.options.wanted_capacity() {
        if i64::try_from(capacity).is_err() {
            findings.push(invalid(ErrorKind::TooLarge, "no system supports so many bytes"));
        } else if capacity < len {
            let asked = len;
            findings.push(
                Finding::error(Cause::BeyondCapacity { asked, capacity }).cure(Remedy::EnlargeCapacity),
            );
        }
    }
    for (kind, message) in [&facts.security_problem, &facts.pages_problem].into_iter().flatten() {
        findings.push(invalid(*kind, message));
    }
}

/// Explains why a region cannot be created under a name that is taken.
fn taken(question: Question<'_>, facts: &Facts) -> Finding {
    match &facts.here.state {
        NameState::Other(kind) => other_kind(kind),
        NameState::Stale { .. } => abandoned(facts),
        // It must not be opened either.
        NameState::Strangers => {
            strangers(facts).with_kind(ErrorKind::AlreadyExists).cure(Remedy::ChooseOtherName)
        }
        NameState::Linked => linked(facts).with_kind(ErrorKind::AlreadyExists).cure(Remedy::ChooseOtherName),
        NameState::Unfinished { .. } => unfinished(question, facts),
        _ => {
            let here = &facts.here;
            if here.held == Some(false) {
                return possibly_abandoned(question, facts);
            }
            let finding = Finding::error(Cause::Exists { len: here.len, owner: owner(facts) });
            let finding = match (here.may_read, here.may_write) {
                // (What opening requires is reported by a check of opening; if even that is impossible,
                // nothing more is known.)
                (true, true) => finding.cure(Remedy::OpenExisting),
                (true, false) => finding.cure(Remedy::OpenReadOnly),
                (false, _) => {
                    finding.cure(Remedy::LetCreatorGrant { write: true, account: facts.caller.user.clone() })
                }
            };
            if trusted_namespace(question) { finding } else { finding.cure(Remedy::ChooseOtherName) }
        }
    }
}

/// A region that this user cannot open, and that no visible process holds.
fn possibly_abandoned(question: Question<'_>, facts: &Facts) -> Finding {
    let (owner, since) = (owner(facts), facts.here.changed);
    let unheld = facts.here.held == Some(false);
    let remedy = Remedy::LetOwnerRemove { owner: owner.clone(), name: question.name.to_string() };
    let finding = Finding::error(Cause::PossiblyStale { owner, since, unheld }).cure(remedy);
    finding.cure(Remedy::ChooseOtherName)
}

/// A name without a length.
fn unfinished(question: Question<'_>, facts: &Facts) -> Finding {
    let here = &facts.here;
    let lasts = facts.holders.is_some();
    let holders = facts.holders.as_ref().map(|holders| holders.known.clone());
    let complete = facts.holders.as_ref().is_some_and(|holders| holders.complete);
    let is_used = holders.as_ref().is_some_and(|known| !known.is_empty());
    let cause = Cause::Unfinished { since: here.changed, owner: owner(facts), holders, complete };
    let kind =
        if question.operation == Operation::Create { ErrorKind::AlreadyExists } else { ErrorKind::NotReady };
    let mut finding = Finding::error(cause).with_kind(kind);
    if !lasts || is_used {
        finding = finding.cure(Remedy::Retry);
    }
    if cfg!(windows) {
        finding = finding.cure(Remedy::Other {
            instruction: "let its creator commit its pages (VirtualAlloc with MEM_COMMIT), or create it \
            without SEC_RESERVE",
        });
    } else if let (Some(path), true) = (here.path.clone(), !is_used) {
        finding = finding.cure(Remedy::RemoveFile { path });
    }
    finding.cure(Remedy::ChooseOtherName)
}

/// Whether other users cannot create names in the namespace.
fn trusted_namespace(question: Question<'_>) -> bool {
    matches!(question.name.namespace(), Namespace::Private(_))
}

fn owner(facts: &Facts) -> Option<Account> {
    if facts.here.owner_is_unmapped {
        return None;
    }
    facts.security.as_ref().and_then(crate::security::Security::owner)
}

fn other_kind(kind: &str) -> Finding {
    Finding::error(Cause::OtherType { kind: kind.to_owned() }).cure(Remedy::ChooseOtherName)
}

fn abandoned(facts: &Facts) -> Finding {
    let owner = owner(facts);
    let finding = Finding::error(Cause::StaleNotRemovable { owner: owner.clone() });
    let finding = match owner {
        Some(who) => finding.cure(Remedy::RunAs { account: who }),
        None => finding,
    };
    finding.cure(Remedy::ChooseOtherName)
}

/// Finds what prevents creating a region under a free name.
fn make(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    let before = findings.len();
    let len = question.options.wanted_len().unwrap_or(0);
    if *question.name.namespace() == Namespace::Global {
        global(facts, findings);
    }
    if let Some(space) = &facts.space {
        let (place, mount) = (space.place, space.is_mount);
        if let Some(trouble) = space.problem {
            findings.push(self::place(place, trouble));
        } else {
            let room = room(len, space, mount.then_some(Remedy::EnlargeMount));
            let needs = facts.promised.map(|promised| promised.saturating_add(len));
            let more = needs.filter(|needs| *needs > space.left && room.is_none());
            findings.extend(room);
            findings.extend(more.map(|needs| overcommitted(needs, space)));
        }
    }
    if let Some(most) = facts.limits.file_size {
        if len > most {
            findings.push(limit("RLIMIT_FSIZE", most, Some(len)));
        }
    }
    if findings[before..].iter().all(|finding| finding.kind.is_none()) && before == 0 {
        findings.push(Finding::note(Cause::Free));
    }
}

/// Whether this many more bytes are left.
fn room(asked: u64, space: &Space, enlarge: Option<Remedy>) -> Option<Finding> {
    let Space { place: of, left, limit, .. } = *space;
    if asked > left {
        let finding = Finding::error(Cause::OutOfMemory { asked, left, limit, of });
        let finding = ask_for_less(finding, left).cure(Remedy::FreeMemory);
        return Some(enlarge.into_iter().fold(finding, Finding::cure));
    }
    (asked > left / 10 * 9).then(|| {
        Finding::new(Severity::Warning, Cause::NearlyFull { asked, left, of }).cure(Remedy::FreeMemory)
    })
}

/// Suggests a smaller length, unless nothing is left at all.
fn ask_for_less(finding: Finding, most: u64) -> Finding {
    if most > 0 { finding.cure(Remedy::AskForLess { most }) } else { finding }
}

/// More is promised than is left.
fn overcommitted(needs: u64, space: &Space) -> Finding {
    let cause = Cause::Overcommitted { needs, left: space.left, of: space.place };
    let finding = Finding::new(Severity::Warning, cause).cure(Remedy::FreeMemory);
    if space.is_mount { finding.cure(Remedy::EnlargeMount) } else { finding }
}

/// Whether a region of `len` bytes could grow to `asked`. `space` is known on some systems only.
pub(crate) fn growth(
    asked: u64,
    len: u64,
    capacity: u64,
    space: Option<Space>,
    limits: Limits,
) -> Vec<Finding> {
    if asked <= len {
        return vec![Finding::note(Cause::Growable)];
    }
    let mut findings = Vec::new();
    if asked > capacity {
        findings
            .push(Finding::error(Cause::BeyondCapacity { asked, capacity }).cure(Remedy::EnlargeCapacity));
    }
    if let Some(most) = limits.file_size.filter(|most| asked > *most) {
        findings.push(limit("RLIMIT_FSIZE", most, Some(asked)));
    }
    if let Some(space) = space {
        findings.extend(room(asked - len, &space, space.is_mount.then_some(Remedy::EnlargeMount)));
    }
    if findings.is_empty() {
        findings.push(Finding::note(Cause::Growable));
    }
    findings
}

/// What creating a `Global\` name requires on Windows.
fn global(facts: &Facts, findings: &mut Vec<Finding>) {
    if facts.caller.app_container {
        findings.push(Finding::error(Cause::AppContainer).cure(Remedy::HandOff).cure(Remedy::UseLocalName));
        return;
    }
    match facts.caller.create_global {
        PrivilegeState::Missing => findings.push(
            Finding::error(Cause::PrivilegeMissing { privilege: CREATE_GLOBAL })
                .cure(Remedy::UseLocalName)
                .cure(Remedy::Elevate)
                .cure(Remedy::GrantPrivilege { privilege: CREATE_GLOBAL }),
        ),
        PrivilegeState::Disabled => {
            findings.push(Finding::note(Cause::PrivilegeDisabled { privilege: CREATE_GLOBAL }));
        }
        PrivilegeState::Enabled | PrivilegeState::NotNeeded => {}
    }
}

fn invalid(kind: ErrorKind, message: &str) -> Finding {
    Finding::error(Cause::Invalid { kind, message: message.to_owned() }).cure(Remedy::CorrectInput)
}

pub(crate) fn limit(name: &'static str, limit: u64, asked: Option<u64>) -> Finding {
    let finding = Finding::error(Cause::Limit { name, limit, asked }).cure(Remedy::RaiseLimit { name });
    if asked.is_some() { ask_for_less(finding, limit) } else { finding }
}

/// Finds what prevents opening a region.
fn open(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    match &facts.here.state {
        NameState::Nothing => missing(question, facts, findings),
        NameState::Stale { removable: false } if question.operation != Operation::Open => {
            findings.push(abandoned(facts));
        }
        NameState::Stale { .. } => {
            missing(question, facts, findings);
            let removable = facts.here.state == NameState::Stale { removable: true };
            let finding = if removable { Finding::note(Cause::Stale) } else { abandoned(facts) };
            findings.push(Finding { severity: Severity::Note, kind: None, ..finding });
        }
        NameState::Other(kind) => findings.push(other_kind(kind)),
        NameState::Unfinished { .. } => findings.push(unfinished(question, facts)),
        NameState::Hidden => {
            if *question.name.namespace() == Namespace::Global && facts.caller.app_container {
                findings.push(Finding::error(Cause::AppContainer).cure(Remedy::HandOff));
            }
            findings.extend(refused(question, facts));
        }
        NameState::Strangers => findings.push(strangers(facts)),
        NameState::Linked => findings.push(linked(facts)),
        NameState::NoPlace => findings.push(no_place(facts)),
        NameState::Memory => {
            if !facts.here.may_read || (question.write && !facts.here.may_write) {
                findings.extend(refused(question, facts));
            }
            if facts.here.held == Some(false) {
                let finding = possibly_abandoned(question, facts);
                findings.push(Finding { severity: Severity::Note, kind: None, ..finding });
            }
            if let (Some(len), Some(allocated), Some(space)) =
                (facts.here.len, facts.here.allocated, &facts.space)
            {
                let needs = len.saturating_sub(allocated);
                if needs > space.left {
                    findings.push(overcommitted(needs, space));
                }
            }
            sizes(question, facts, findings);
            trust(question, facts, findings);
            replaceable(question, facts, findings);
            if findings.iter().all(|finding| finding.kind.is_none()) {
                findings.push(Finding::note(Cause::Usable { len: facts.here.len, write: question.write }));
            }
        }
    }
}

fn missing(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    let mut finding = Finding::error(Cause::Missing);
    let other = facts.elsewhere.as_ref().or(facts.spelled.as_ref()).or(facts.similar.as_ref());
    if let Some(name) = other.cloned() {
        finding = finding.cure(Remedy::OpenName { name });
    }
    findings.push(finding.cure(Remedy::StartCreator));
    if let Some(name) = &facts.elsewhere {
        findings.push(Finding::note(Cause::OtherNamespace { name: name.clone() }));
    } else if let Some(name) = &facts.spelled {
        findings.push(Finding::note(Cause::OtherCase { name: name.clone() }));
    } else if let Some(name) = &facts.similar {
        findings.push(Finding::note(Cause::SimilarName { name: name.clone() }));
    } else if facts.caller.app_container {
        findings.push(Finding::note(Cause::AppContainer).cure(Remedy::HandOff));
    } else if let (Namespace::Local, Some((inside, outside))) =
        (question.name.namespace(), facts.user_numbers)
    {
        let cause = Cause::OtherUserNamespace { inside, outside };
        findings.push(Finding::note(cause).cure(Remedy::UseGlobalName));
    } else if *question.name.namespace() == Namespace::Local {
        findings.push(
            Finding::note(Cause::LocalScope { session: facts.caller.session }).cure(Remedy::UseGlobalName),
        );
    }
}

/// Explains why an existing region denies the requested access.
fn refused(question: Question<'_>, facts: &Facts) -> Vec<Finding> {
    if let Some((name, most)) = facts.limit {
        return vec![limit(name, most, None)];
    }
    let read_works = facts.here.may_read;
    let wants_write = question.write && read_works;
    let kind = if wants_write { ErrorKind::NotWritable } else { ErrorKind::PermissionDenied };
    // The list would allow it, but the system does not: the integrity level is evaluated before the list.
    // (What a sandbox may do does not depend on the list alone.)
    let sandboxed = facts.caller.app_container || facts.caller.restricted;
    if let (Some((reads, writes)), Some(yours), false) =
        (facts.list_allows, facts.caller.integrity, sandboxed)
    {
        let label = facts.security.as_ref().and_then(crate::security::Security::label);
        let (object, no_read_up) = label.unwrap_or((crate::security::IntegrityLevel::Medium, false));
        let to_blame = if wants_write { writes } else { reads && no_read_up };
        if to_blame && object > yours {
            let finding = Finding::error(Cause::Integrity { object, process: yours }).with_kind(kind);
            let finding = finding.cure(Remedy::LetCreatorLowerIntegrity { to: yours });
            return vec![if read_works { finding.cure(Remedy::OpenReadOnly) } else { finding }];
        }
    }
    let mut findings = Vec::new();
    let is_read_only = facts.space.is_some_and(|space| space.problem == Some(StorageProblem::ReadOnly));
    if let (Some(space), true) = (facts.space, wants_write && is_read_only) {
        let finding = place(space.place, StorageProblem::ReadOnly).with_kind(kind);
        findings
            .push(Finding { remedies: [vec![Remedy::OpenReadOnly], finding.remedies].concat(), ..finding });
    }
    let allowed = facts.list_allows.is_some_and(|(reads, writes)| if wants_write { writes } else { reads });
    if let (Some(confinement), true) = (&facts.confinement, allowed) {
        if findings.is_empty() {
            let finding = refused_elsewhere(Some(question), confinement).with_kind(kind);
            findings.push(if wants_write { finding.cure(Remedy::OpenReadOnly) } else { finding });
        }
        return findings;
    }
    let who = facts.caller.user.clone();
    let grant = Remedy::LetCreatorGrant { write: question.write, account: who };
    let cause = if facts.here.state == NameState::Hidden && facts.security.is_none() {
        Cause::Hidden
    } else {
        Cause::NotGranted {
            write: wants_write,
            user: facts.caller.user.clone(),
            security: facts.security.clone().map(Box::new),
        }
    };
    let mut finding = Finding::error(cause).with_kind(kind);
    if wants_write {
        finding = finding.cure(Remedy::OpenReadOnly);
    }
    finding = finding.cure(grant);
    findings.push(match owner(facts) {
        Some(owner) if facts.caller.user.as_ref() != Some(&owner) => {
            finding.cure(Remedy::RunAs { account: owner })
        }
        _ => finding,
    });
    findings
}

/// A `Local\` name of this user that another user has taken (Unix).
fn strangers(facts: &Facts) -> Finding {
    let expected = facts.caller.user.clone().unwrap_or_else(|| Account::unknown(&Principal::CurrentUser));
    wrong_owner(expected, owner(facts))
}

fn sizes(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    let (Some(asked), Some(len)) = (question.options.wanted_len(), facts.here.len) else { return };
    if len < asked {
        findings.push(too_small(asked, len));
    }
}

pub(crate) fn too_small(asked: u64, len: u64) -> Finding {
    Finding::error(Cause::TooSmall { asked, len }).cure(Remedy::AcceptLength)
}

/// A region that has more than one name.
fn linked(facts: &Facts) -> Finding {
    let links = facts.here.linked.clone().unwrap_or_default();
    of_linked(links.count, links.found)
}

pub(crate) fn of_linked(names: u64, found: Vec<String>) -> Finding {
    Finding::error(Cause::HardLinked { names, found }).cure(Remedy::DoNotUse).cure(Remedy::Other {
        instruction: "let the region's owner find out which name is the original (ls -li /dev/shm), and \
            remove the others",
    })
}

/// Where any user can give names to other regions, an expected owner cannot be guaranteed.
fn replaceable(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    let expects = question.options.expected_owner().is_some();
    if facts.here.replaceable && (expects || *question.name.namespace() == Namespace::Local) {
        let finding = of_replaceable();
        findings.push(if expects {
            finding
        } else {
            Finding { severity: Severity::Warning, kind: None, ..finding }
        });
    }
}

pub(crate) fn of_replaceable() -> Finding {
    Finding::error(Cause::Replaceable { path: "/dev/shm" })
        .cure(Remedy::Other { instruction: "let an administrator set its mode to 1777" })
}

fn trust(question: Question<'_>, facts: &Facts, findings: &mut Vec<Finding>) {
    if question.options.expects_trust() && facts.here.linked.is_some() {
        findings.push(linked(facts));
    }
    if let (Some(expected), Some(len)) = (question.options.expected_len(), facts.here.len) {
        if !question.options.is_expected_len(len) {
            findings.push(wrong_len(expected, len));
        }
    }
    if let Some((kind, message)) = &facts.owner_problem {
        findings.push(invalid(*kind, message));
        return;
    }
    match (&facts.expected_owner, question.options.expected_owner()) {
        (Some((false, expected)), _) => findings.push(wrong_owner(expected.clone(), owner(facts))),
        (None, Some(who)) => {
            let expected = Account::unknown(who);
            findings.push(wrong_owner(expected, None));
        }
        _ => {}
    }
}

pub(crate) fn wrong_len(expected: u64, len: u64) -> Finding {
    Finding::error(Cause::UnexpectedLength { expected, len }).cure(Remedy::DoNotUse)
}

pub(crate) fn wrong_owner(expected: Account, owner: Option<Account>) -> Finding {
    Finding::error(Cause::UnexpectedOwner { expected, owner }).cure(Remedy::DoNotUse)
}

#[cfg(test)]
mod tests;
