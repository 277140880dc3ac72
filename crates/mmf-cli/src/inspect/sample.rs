//! Samples of a segment: rates, and participants that have joined, left or died since the previous one.

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mmf::inspect::{
    ObjectInfo, ObjectKind, ObjectState, ParticipantId, ParticipantInfo, SegmentInfo, SegmentStage,
};
use mmf::{ReadOnly, Segment, SharedMemory};

use crate::output::Failure;

/// How long to wait for a segment that is being created, which takes microseconds.
const READY_WITHIN: Duration = Duration::from_secs(1);

/// The exit status if a part of the segment is damaged, or it was declared broken.
const DAMAGED: u8 = 3;

/// A sample, and the changes since the previous one.
pub(super) struct Sample {
    pub(super) info: SegmentInfo,
    /// The participants' programs, by participant id; also of a dead one, if it was seen alive.
    pub(super) programs: BTreeMap<ParticipantId, String>,
    /// The time since the first sample.
    pub(super) elapsed: Duration,
    /// `None` for the first sample.
    pub(super) changes: Option<Changes>,
    rates: BTreeMap<u64, Rate>,
}

/// The ids of participants that have joined, left and died.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) joined: Vec<ParticipantId>,
    pub(super) left: Vec<ParticipantId>,
    pub(super) died: Vec<ParticipantId>,
    /// The same in words.
    pub(super) lines: Vec<String>,
}

/// How fast a count goes up.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    pub(super) per_second: f64,
    /// For how long it has not gone up, as far as it was sampled.
    idle: Duration,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per_second {
            0.0 if self.idle.as_secs() >= 1 => write!(f, "none for {} s", self.idle.as_secs()),
            0.0 => f.write_str("none since the last sample"),
            few if few < 100.0 => write!(f, "{few:.1} per second"),
            many => write!(f, "{many:.0} per second"),
        }
    }
}

impl Sample {
    pub(super) fn rate(&self, object: u64) -> Option<Rate> {
        self.rates.get(&object).copied()
    }

    pub(super) fn describe(&self, one: &ParticipantInfo) -> String {
        describe(one, &self.programs)
    }

    /// Whether the segment is ready and nothing in it is damaged.
    pub(super) fn is_intact(&self) -> bool {
        self.info.damage.is_empty() && self.info.stage == SegmentStage::Ready
    }

    pub(super) fn exit_status(&self) -> ExitCode {
        if self.is_intact() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) }
    }
}

fn describe(one: &ParticipantInfo, programs: &BTreeMap<ParticipantId, String>) -> String {
    match programs.get(&one.id) {
        Some(program) => format!("process {} ({program})", one.process.id),
        // An unrelated process may have this id here.
        None if one.process.is_in_other_pid_namespace() => {
            format!("process {} of another pid namespace", one.process.id)
        }
        None => format!("process {}", one.process.id),
    }
}

/// Takes samples, and keeps of the previous ones what the next one needs.
pub(super) struct Sampler {
    region: SharedMemory<ReadOnly>,
    start: Instant,
    previous: Option<(SegmentInfo, Duration)>,
    programs: BTreeMap<ParticipantId, String>,
    /// For each count, when it was first seen with its present value.
    unchanged_since: BTreeMap<u64, Duration>,
}

impl Sampler {
    pub(super) fn new(region: SharedMemory<ReadOnly>) -> Self {
        Sampler {
            region,
            start: Instant::now(),
            previous: None,
            programs: BTreeMap::new(),
            unchanged_since: BTreeMap::new(),
        }
    }

    pub(super) fn sample(&mut self) -> Result<Sample, Failure> {
        let info = inspect(&self.region)?;
        let elapsed = if self.previous.is_some() { self.start.elapsed() } else { Duration::ZERO };
        Ok(self.compare(info, elapsed))
    }

    fn compare(&mut self, info: SegmentInfo, elapsed: Duration) -> Sample {
        for one in info.participants.iter().filter(|one| one.alive) {
            if !self.programs.contains_key(&one.id) {
                self.programs.extend(one.process.program().map(|program| (one.id, program)));
            }
        }
        let mut sample =
            Sample { programs: self.programs.clone(), elapsed, changes: None, rates: BTreeMap::new(), info };
        if let Some((previous, then)) = self.previous.replace((sample.info.clone(), elapsed)) {
            sample.changes = Some(changes(&previous, &sample.info, &self.programs));
            sample.rates = self.rates(&previous, &sample.info, then, elapsed);
            self.programs.retain(|id, _| sample.info.participant(*id).is_some());
        }
        sample
    }

    fn rates(
        &mut self,
        previous: &SegmentInfo,
        info: &SegmentInfo,
        then: Duration,
        now: Duration,
    ) -> BTreeMap<u64, Rate> {
        let seconds = now.saturating_sub(then).as_secs_f64();
        // (A map and not a search in a list, because a peer decides how many objects there are.)
        let previous: BTreeMap<u64, &ObjectInfo> =
            previous.objects.iter().map(|object| (object.offset, object)).collect();
        let rate = |object: &ObjectInfo| {
            let increase = increase(previous.get(&object.offset)?, object)?;
            let unchanged_since = self.unchanged_since.entry(object.offset).or_insert(then);
            if increase > 0 {
                *unchanged_since = now;
            }
            let per_second = if seconds > 0.0 { to_float(increase) / seconds } else { 0.0 };
            Some((object.offset, Rate { per_second, idle: now.saturating_sub(*unchanged_since) }))
        };
        let rates: BTreeMap<u64, Rate> = info.objects.iter().filter_map(rate).collect();
        // A peer may add new objects again and again.
        self.unchanged_since.retain(|object, _| rates.contains_key(object));
        rates
    }
}

#[allow(clippy::cast_precision_loss, reason = "shown with a few digits")]
fn to_float(count: u64) -> f64 {
    count as f64
}

/// Returns the increase of an object's count, if it has a count and it did not go down.
fn increase(previous: &ObjectInfo, now: &ObjectInfo) -> Option<u64> {
    match (&previous.state, &now.state) {
        (ObjectState::Latest { published: before, .. }, ObjectState::Latest { published: after, .. }) => {
            after.checked_sub(*before)
        }
        // This count wraps around.
        (ObjectState::Word { value: before, .. }, ObjectState::Word { value: after, .. })
            if now.kind == ObjectKind::EventCount =>
        {
            Some(u64::from(after.wrapping_sub(*before))).filter(|more| *more <= u64::from(u32::MAX / 2))
        }
        _ => None,
    }
}

fn changes(previous: &SegmentInfo, now: &SegmentInfo, programs: &BTreeMap<ParticipantId, String>) -> Changes {
    let mut changes = Changes::default();
    for one in &now.participants {
        match previous.participant(one.id) {
            None => {
                changes.joined.push(one.id);
                changes.lines.push(format!("{} joined", describe(one, programs)));
                if !one.alive {
                    changes.died.push(one.id);
                    changes.lines.push(format!("{} died", describe(one, programs)));
                }
            }
            Some(before) if before.alive && !one.alive => {
                changes.died.push(one.id);
                changes.lines.push(format!("{} died", describe(one, programs)));
            }
            Some(_) => {}
        }
    }
    // (That the slot of a dead participant is reused is not a change to report.)
    for before in previous.participants.iter().filter(|before| before.alive) {
        if now.participant(before.id).is_none() {
            changes.left.push(before.id);
            changes.lines.push(format!("{} left", describe(before, programs)));
        }
    }
    changes
}

/// Inspects the segment; waits a moment for one that is being created.
fn inspect(region: &SharedMemory<ReadOnly>) -> Result<SegmentInfo, Failure> {
    let start = Instant::now();
    loop {
        let stage = Segment::stage_of(region)?;
        if matches!(stage, SegmentStage::Creating { alive: true, .. }) && start.elapsed() < READY_WITHIN {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        return Segment::inspect_memory(region).map_err(|error| explain(error, &stage));
    }
}

fn explain(error: mmf::Error, stage: &SegmentStage) -> Failure {
    let failure = Failure::from(error);
    match stage {
        SegmentStage::NotASegment => {
            failure.with("; mmf info, mmf dump and mmf watch show it as a plain region")
        }
        SegmentStage::Blank => failure.with(
            "; mmf info, mmf dump and mmf watch show it as a plain region; \
             if it should be a segment, start the program that creates it",
        ),
        _ => failure,
    }
}
