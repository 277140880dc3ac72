//! From look to look: what has become faster or slower, and who has come and gone.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use mmf::inspect::{ObjectInfo, ObjectKind, ObjectState, ParticipantId, ParticipantInfo, SegmentInfo};

/// One look, and what it says of the time since the one before.
pub(super) struct Look {
    pub(super) info: SegmentInfo,
    /// What the participants' programs are called, by token; also of those who are dead, if they were seen alive.
    pub(super) programs: BTreeMap<ParticipantId, String>,
    /// When it was, from the first one on.
    pub(super) at: Duration,
    /// None at the first one.
    pub(super) changes: Option<Changes>,
    paces: BTreeMap<u64, Pace>,
}

/// Tokens of those who have come and gone.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) came: Vec<ParticipantId>,
    pub(super) left: Vec<ParticipantId>,
    pub(super) died: Vec<ParticipantId>,
    /// The same, in words.
    pub(super) told: Vec<String>,
}

/// How fast something is counted up.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) per_second: f64,
    /// For how long nothing has been counted, as far as it was looked at.
    still: Duration,
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per_second {
            0.0 if self.still.as_secs() >= 1 => write!(f, "none for {} s", self.still.as_secs()),
            0.0 => f.write_str("none since the last look"),
            few if few < 100.0 => write!(f, "{few:.1} per second"),
            many => write!(f, "{many:.0} per second"),
        }
    }
}

impl Look {
    pub(super) fn pace(&self, object: u64) -> Option<Pace> {
        self.paces.get(&object).copied()
    }

    pub(super) fn called(&self, one: &ParticipantInfo) -> String {
        called(one, &self.programs)
    }
}

fn called(one: &ParticipantInfo, programs: &BTreeMap<ParticipantId, String>) -> String {
    match programs.get(&one.id) {
        Some(program) => format!("process {} ({program})", one.process.id),
        // There may be an unrelated process of this number here.
        None if one.process.is_in_other_pid_namespace() => {
            format!("process {} of another pid namespace", one.process.id)
        }
        None => format!("process {}", one.process.id),
    }
}

/// All looks so far, as far as they matter for the next one.
pub(super) struct Looks {
    before: Option<(SegmentInfo, Duration)>,
    programs: BTreeMap<ParticipantId, String>,
    /// When each count was first seen as it is.
    still: BTreeMap<u64, Duration>,
}

impl Looks {
    pub(super) fn new() -> Self {
        Looks { before: None, programs: BTreeMap::new(), still: BTreeMap::new() }
    }

    pub(super) fn take(&mut self, info: SegmentInfo, at: Duration) -> Look {
        for one in info.participants.iter().filter(|one| one.alive) {
            if !self.programs.contains_key(&one.id) {
                self.programs.extend(one.process.program().map(|program| (one.id, program)));
            }
        }
        let mut look =
            Look { programs: self.programs.clone(), at, changes: None, paces: BTreeMap::new(), info };
        if let Some((before, then)) = self.before.replace((look.info.clone(), at)) {
            look.changes = Some(changes(&before, &look.info, &self.programs));
            look.paces = self.paces(&before, &look.info, then, at);
            self.programs.retain(|token, _| look.info.participant(*token).is_some());
        }
        look
    }

    fn paces(
        &mut self,
        before: &SegmentInfo,
        info: &SegmentInfo,
        then: Duration,
        at: Duration,
    ) -> BTreeMap<u64, Pace> {
        let seconds = at.saturating_sub(then).as_secs_f64();
        // (A peer decides how many there are, so none is searched for in a list.)
        let before: BTreeMap<u64, &ObjectInfo> =
            before.objects.iter().map(|former| (former.offset, former)).collect();
        let counted = |object: &ObjectInfo| {
            let former = before.get(&object.offset)?;
            let more = more(former, object)?;
            let still = self.still.entry(object.offset).or_insert(then);
            if more > 0 {
                *still = at;
            }
            let per_second = if seconds > 0.0 { number(more) / seconds } else { 0.0 };
            Some((object.offset, Pace { per_second, still: at.saturating_sub(*still) }))
        };
        let paces: BTreeMap<u64, Pace> = info.objects.iter().filter_map(counted).collect();
        // A peer may make up new ones again and again.
        self.still.retain(|object, _| paces.contains_key(object));
        paces
    }
}

#[allow(clippy::cast_precision_loss, reason = "to be shown with a few digits")]
fn number(count: u64) -> f64 {
    count as f64
}

/// How much further a count is, if it is one and goes up.
fn more(before: &ObjectInfo, now: &ObjectInfo) -> Option<u64> {
    match (&before.state, &now.state) {
        (ObjectState::Latest { published: before, .. }, ObjectState::Latest { published: now, .. }) => {
            now.checked_sub(*before)
        }
        // Its count starts again from 0 at some time.
        (ObjectState::Word { value: before, .. }, ObjectState::Word { value: value_now, .. })
            if now.kind == ObjectKind::EventCount =>
        {
            Some(u64::from(value_now.wrapping_sub(*before))).filter(|more| *more <= u64::from(u32::MAX / 2))
        }
        _ => None,
    }
}

fn changes(before: &SegmentInfo, now: &SegmentInfo, programs: &BTreeMap<ParticipantId, String>) -> Changes {
    let mut changes = Changes::default();
    for one in &now.participants {
        match before.participant(one.id) {
            None => {
                changes.came.push(one.id);
                changes.told.push(format!("{} came", called(one, programs)));
                if !one.alive {
                    changes.died.push(one.id);
                    changes.told.push(format!("{} died", called(one, programs)));
                }
            }
            Some(former) if former.alive && !one.alive => {
                changes.died.push(one.id);
                changes.told.push(format!("{} died", called(one, programs)));
            }
            Some(_) => {}
        }
    }
    // (The place of a dead one is given to somebody else: that is no news.)
    for former in before.participants.iter().filter(|former| former.alive) {
        if now.participant(former.id).is_none() {
            changes.left.push(former.id);
            changes.told.push(format!("{} left", called(former, programs)));
        }
    }
    changes
}
