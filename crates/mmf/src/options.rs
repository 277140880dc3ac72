//! How regions are created and opened: the options, the verbs, and the loop that retries when processes race
//! for a name.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::access::{Access, ReadOnly, ReadWrite, mode};
use crate::diagnosis::{self, Diagnosis, Question};
use crate::error::{Error, ErrorKind, Operation};
use crate::memory::SharedMemory;
use crate::name::{Name, ToName};
use crate::pages::LargePages;
use crate::right::Right;
use crate::security::{self, Account, Principal, Security};
use crate::sys::{self, Attempt, CreateParams, Failure, Mode, Object, ObjectName, Protection, Reason};

/// How long an operation is retried before it fails with [`ErrorKind::Busy`]. Each retry means that another
/// process was creating or removing the same name, which takes it a few system calls, unless it is preempted
/// meanwhile.
const RETRY_TIMEOUT: Duration = Duration::from_secs(2);
/// How many retries follow each other without a pause.
const RETRIES_WITHOUT_PAUSE: u32 = 50;

/// Whether a function such as [`OpenOptions::open_or_create`] created the region or opened an existing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// The region was created: all its bytes are zero.
    Created,
    /// The region existed and was opened.
    Opened,
}

/// Options for creating or opening a [`SharedMemory`].
///
/// There are three verbs: [`create`](OpenOptions::create) never opens, [`open`](OpenOptions::open) never
/// creates, and [`open_or_create`](OpenOptions::open_or_create) returns which of the two it did. For a
/// segment see [`SegmentOptions`](crate::SegmentOptions), for a file
/// [`FileOptions`](crate::file::FileOptions).
///
/// ```
/// use mmf::{Disposition, OpenOptions};
///
/// let options = OpenOptions::new().len(1 << 20);
/// let (memory, how) = options.open_or_create("doc-options-frames")?;
/// assert_eq!(how, Disposition::Created);
/// let (again, how) = options.open_or_create("doc-options-frames")?;
/// assert_eq!(how, Disposition::Opened);
/// # Ok::<(), mmf::Error>(())
/// ```
///
/// # What each option means to each verb
///
/// | option | [`create`], [`anonymous`], [`load`] | [`open`], [`open_read_only`] | [`open_or_create`] |
/// | --- | --- | --- | --- |
/// | [`len`](OpenOptions::len) | the length; required, except by `load` | the least length | both; required |
/// | [`capacity`](OpenOptions::capacity) | the capacity | the least capacity | both |
/// | [`large_pages`](OpenOptions::large_pages) | the pages of the region | the pages of this process's views | both |
/// | [`numa_node`](OpenOptions::numa_node) | the preferred node | *error* | of a region that it creates |
/// | [`security`](OpenOptions::security) | who may open the region | *error* | of a region that it creates |
/// | [`expect_owner`](OpenOptions::expect_owner) | *error* | the required owner | of a region that it opens |
/// | [`expect_len`](OpenOptions::expect_len) | *error* | the required length | of a region that it opens |
///
/// An option is never ignored: where the table says *error*, the verb fails with
/// [`ErrorKind::InvalidOption`], and the message names the option. The `check_…` functions report the same.
///
/// [`create`]: OpenOptions::create
/// [`anonymous`]: OpenOptions::anonymous
/// [`load`]: OpenOptions::load
/// [`open`]: OpenOptions::open
/// [`open_read_only`]: OpenOptions::open_read_only
/// [`open_or_create`]: OpenOptions::open_or_create
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "options do nothing until a verb is called"]
pub struct OpenOptions {
    len: Option<u64>,
    capacity: Option<u64>,
    large_pages: LargePages,
    numa_node: Option<u32>,
    security: Option<Security>,
    expect_owner: Option<Principal>,
    expect_len: Option<u64>,
}

impl OpenOptions {
    /// Creates a set of options in which none is set.
    pub fn new() -> Self {
        OpenOptions::default()
    }

    /// Sets the length in bytes: that of a new region, or the least that an existing one must have.
    ///
    /// A new region gets exactly this length on Unix; Windows rounds it up to whole pages.
    pub fn len(mut self, bytes: u64) -> Self {
        self.len = Some(bytes);
        self
    }

    /// Sets the capacity in bytes: how long a new region can become by [`SharedMemory::grow`], or the least
    /// capacity that an existing one must have.
    ///
    /// A capacity reserves addresses in every process that maps the whole region. It does not reserve RAM,
    /// which is committed for the [length](OpenOptions::len) alone. (Windows also keeps a few bytes for each
    /// page of the capacity.)
    ///
    /// A process that opens the region learns its capacity. On Linux it learns it from the holders that may
    /// write: see `docs/platforms.md`. For a region that another program has created by the system's own
    /// calls (Unix), the option sets up to which length the views of this process follow its growth.
    ///
    /// ```
    /// use mmf::OpenOptions;
    ///
    /// let log = OpenOptions::new().len(64 * 1024).capacity(100 << 20).create("doc-options-log")?;
    /// assert_eq!((log.len(), log.capacity()), (64 * 1024, 100 << 20));
    /// # Ok::<(), mmf::Error>(())
    /// ```
    ///
    /// Creating a region with a capacity fails with [`ErrorKind::Unsupported`] on macOS, where the length of
    /// a shared memory object is set once. [Files](crate::file::FileOptions) grow there as well.
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// Sets whether the region is to have large pages. [`SharedMemory::pages`] returns which it has.
    ///
    /// - **Windows**: the length is rounded up to whole large pages (2 MiB on x86-64). They are in RAM from
    ///   the start and are never paged out. This requires `SeLockMemoryPrivilege` ("Lock pages in memory"),
    ///   which no account has until an administrator grants it; the library enables it for the one call.
    ///   After a long uptime RAM may be too fragmented. A process that opens the region gets the pages that
    ///   the creator chose, so there the option only requires them.
    /// - **Linux**, without a name: the same, from the pool that an administrator provides
    ///   (`vm.nr_hugepages`).
    /// - **Linux**, with a name: the system is advised to use large pages where it can (`madvise`), if
    ///   `/dev/shm` is mounted for it (`mount -o remount,huge=advise /dev/shm`). The advice applies to the
    ///   views of this process; a process that opens the region can request it for its own views by the same
    ///   option.
    /// - **macOS**: there are no large pages.
    ///
    /// A region in large pages cannot grow, except a named one on Linux.
    ///
    /// ```
    /// use mmf::pages::{LargePages, Pages};
    /// use mmf::OpenOptions;
    ///
    /// let options = OpenOptions::new().len(4 << 20).large_pages(LargePages::Preferred);
    /// let memory = options.create("doc-options-large")?;
    /// match (memory.pages(), memory.large_pages_refused()) {
    ///     (Pages::Ordinary { .. }, Some(why)) => println!("slower, because {why}"),
    ///     (pages, _) => println!("{pages:?}"),
    /// }
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn large_pages(mut self, preference: LargePages) -> Self {
        self.large_pages = preference;
        self
    }

    /// Sets the NUMA node whose RAM a new region prefers, as long as that node has free pages.
    ///
    /// [`View::numa_node`](crate::View::numa_node) returns where a page really is. (Windows:
    /// `CreateFileMappingNuma`. Linux: `mbind`, which applies whichever process touches the page. macOS has
    /// no NUMA nodes.)
    ///
    /// Creating the region fails with [`ErrorKind::NoSuchNode`] if the machine does not have the node.
    pub fn numa_node(mut self, node: u32) -> Self {
        self.numa_node = Some(node);
        self
    }

    /// Sets who may open a new region: by default [`Security::current_user`].
    ///
    /// ```
    /// use mmf::security::{Principal, Security};
    /// use mmf::OpenOptions;
    ///
    /// let security = Security::current_user().grant_read(Principal::Everyone);
    /// let shared = OpenOptions::new().len(4096).security(security);
    /// let memory = shared.create("doc-options-shared")?;
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn security(mut self, security: Security) -> Self {
        self.security = Some(security);
        self
    }

    /// Requires an existing region to be owned by `principal`; any other is refused with
    /// [`ErrorKind::UnexpectedOwner`] before it is accessed.
    ///
    /// Any process that may create names in a namespace can take one before its rightful creator does. On
    /// Windows the owner is the user who created the region (for elevated programs in other languages, the
    /// administrators). Reading it requires the right `READ_CONTROL`, which every grant of this library
    /// includes.
    ///
    /// ```
    /// use mmf::security::Principal;
    /// use mmf::{OpenOptions, SharedMemory};
    ///
    /// let memory = SharedMemory::create("doc-options-owner", 4096)?;
    /// assert!(OpenOptions::new().expect_owner(Principal::CurrentUser).open("doc-options-owner").is_ok());
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn expect_owner(mut self, principal: Principal) -> Self {
        self.expect_owner = Some(principal);
        self
    }

    /// Requires an existing region to have exactly this length in bytes; any other is refused with
    /// [`ErrorKind::UnexpectedLength`] before it is accessed.
    ///
    /// On Windows, where regions have whole pages, the length is rounded up to them.
    pub fn expect_len(mut self, bytes: u64) -> Self {
        self.expect_len = Some(bytes);
        self
    }

    /// Creates a region under a name that is not in use. All its bytes are zero.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`]: the name is in use; the message contains the length of the existing
    ///   region.
    /// - [`ErrorKind::NotSharedMemory`]: the name belongs to something else, such as an event or a mutex.
    /// - [`ErrorKind::ZeroLength`]: [`len`](OpenOptions::len) is not set, or 0.
    /// - [`ErrorKind::InvalidOption`]: [`expect_owner`](OpenOptions::expect_owner) or
    ///   [`expect_len`](OpenOptions::expect_len) is set, which only apply to an existing region.
    /// - [`ErrorKind::TooLarge`], [`ErrorKind::OutOfMemory`]: no region can be that long, or there is not
    ///   enough memory for it now.
    /// - [`ErrorKind::PermissionDenied`]: for example, a `Global\` name without the privilege that Windows
    ///   requires.
    /// - [`ErrorKind::UnknownAccount`], [`ErrorKind::InvalidSecurity`], [`ErrorKind::Unsupported`]: the
    ///   [`security`](OpenOptions::security) cannot be applied.
    /// - [`ErrorKind::LimitReached`]: the process has too many open files, or the length exceeds its limit
    ///   for files (Unix).
    /// - The errors of [`Name::new`].
    pub fn create(&self, name: impl ToName) -> Result<SharedMemory<ReadWrite>, Error> {
        let target = self.target(Operation::Create, name)?;
        self.check_new_len(&target)?;
        let protection = self.protection(&target)?;
        let created = target.until_done(self, true, |object| self.make(Some(object), &protection))?;
        Ok(target.created(created, self.len))
    }

    /// Checks whether [`create`](OpenOptions::create) would succeed, and if not, why. Changes nothing.
    pub fn check_create(&self, name: impl ToName) -> Diagnosis {
        self.check(Operation::Create, true, name)
    }

    /// Checks whether [`open`](OpenOptions::open) would succeed, and if not, why. Changes nothing.
    ///
    /// ```
    /// use mmf::{ErrorKind, OpenOptions};
    ///
    /// let diagnosis = OpenOptions::new().check_open("doc-options-not-created");
    /// assert_eq!(diagnosis.error_kind(), Some(ErrorKind::NotFound));
    /// println!("{diagnosis}");
    /// ```
    pub fn check_open(&self, name: impl ToName) -> Diagnosis {
        self.check(Operation::Open, true, name)
    }

    /// Checks whether [`open_read_only`](OpenOptions::open_read_only) would succeed, and if not, why. Changes
    /// nothing.
    pub fn check_open_read_only(&self, name: impl ToName) -> Diagnosis {
        self.check(Operation::Open, false, name)
    }

    /// Checks whether [`open_or_create`](OpenOptions::open_or_create) would succeed, and if not, why. Changes
    /// nothing.
    pub fn check_open_or_create(&self, name: impl ToName) -> Diagnosis {
        self.check(Operation::OpenOrCreate, true, name)
    }

    fn check(&self, operation: Operation, write: bool, name: impl ToName) -> Diagnosis {
        match name.to_name().and_then(|name| self.check_options(operation).map(|()| name)) {
            Ok(name) => diagnosis::ask(Question { operation, name: &name, write, options: self }),
            Err(error) => Diagnosis::of_invalid(&error),
        }
    }

    /// Creates a region without a name, for this process and those to which it is [handed
    /// off](crate::handoff).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ZeroLength`], [`ErrorKind::TooLarge`], [`ErrorKind::OutOfMemory`],
    /// [`ErrorKind::LimitReached`], [`ErrorKind::InvalidOption`], and those about the
    /// [`security`](OpenOptions::security), as for [`create`](OpenOptions::create).
    pub fn anonymous(&self) -> Result<SharedMemory<ReadWrite>, Error> {
        let operation = Operation::Create;
        self.check_options(operation)?;
        let len = self.len.unwrap_or(0);
        if len == 0 {
            return Err(Error::new(operation, ErrorKind::ZeroLength));
        }
        self.check_sizes(operation, len)?;
        let protection = self.security_or_default().resolve(operation)?;
        let most = self.capacity.unwrap_or(len).max(len);
        match self.make(None, &protection).map_err(|failure| unnamed(operation, most, failure))? {
            Attempt::Done((object, refusal)) => Ok(memory(operation, object, None, refusal, len)),
            Attempt::Again => Err(Error::new(operation, ErrorKind::Busy)),
        }
    }

    /// Creates an object, with large pages if they are requested. If they are only preferred and not
    /// available, creates it without them and returns why.
    fn make(
        &self,
        name: Option<&ObjectName>,
        protection: &Protection,
    ) -> Result<Attempt<(Object, Option<Failure>)>, Failure> {
        let params = CreateParams {
            len: self.len.unwrap_or(0),
            capacity: self.capacity,
            protection,
            large_pages: self.large_pages != LargePages::Off,
            node: self.numa_node,
        };
        let attempt = |params: &CreateParams<'_>, refusal| {
            Ok(match Object::create(name, params)? {
                Attempt::Done(object) => Attempt::Done((object, refusal)),
                Attempt::Again => Attempt::Again,
            })
        };
        match attempt(&params, None) {
            Err(failure) if self.large_pages == LargePages::Preferred && is_about_pages(failure) => {
                attempt(&CreateParams { large_pages: false, ..params }, Some(failure))
            }
            result => result,
        }
    }

    /// Opens an existing region for reading and writing.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`]: no region has this name.
    /// - [`ErrorKind::NotWritable`]: this user may only read it;
    ///   [`open_read_only`](OpenOptions::open_read_only) succeeds.
    /// - [`ErrorKind::PermissionDenied`]: this user may not even read it.
    /// - [`ErrorKind::NotSharedMemory`]: the name belongs to something else, such as an event or a mutex.
    /// - [`ErrorKind::TooSmall`]: it has fewer than [`len`](OpenOptions::len) bytes, or a smaller
    ///   [`capacity`](OpenOptions::capacity).
    /// - [`ErrorKind::NotReady`]: the name exists, but the region has no length yet; the diagnosis contains
    ///   the time at which the name was reserved, and what to do if the state lasts.
    /// - [`ErrorKind::UnexpectedOwner`]: it is not owned by the [expected](OpenOptions::expect_owner)
    ///   principal; or another user has taken a `Local\` name (Unix). [`ErrorKind::UnexpectedLength`]: see
    ///   [`expect_len`](OpenOptions::expect_len).
    /// - [`ErrorKind::InvalidOption`]: [`security`](OpenOptions::security) or
    ///   [`numa_node`](OpenOptions::numa_node) is set, which only apply to a new region.
    /// - [`ErrorKind::NoLargePages`]: large pages are [required](LargePages::Required), and the region has
    ///   none.
    /// - [`ErrorKind::LimitReached`]: the process has too many open files (Unix).
    /// - [`ErrorKind::Busy`]: other processes keep creating and removing it.
    /// - The errors of [`Name::new`].
    pub fn open(&self, name: impl ToName) -> Result<SharedMemory<ReadWrite>, Error> {
        self.open_as(self.target(Operation::Open, name)?)
    }

    /// Opens an existing region for reading. No process can write through the returned value.
    ///
    /// # Errors
    ///
    /// Those of [`open`](OpenOptions::open) except [`ErrorKind::NotWritable`].
    pub fn open_read_only(&self, name: impl ToName) -> Result<SharedMemory<ReadOnly>, Error> {
        self.open_as(self.target(Operation::Open, name)?)
    }

    fn open_as<A: Access>(&self, target: Target) -> Result<SharedMemory<A>, Error> {
        let mode = mode::<A>();
        let object = target.until_done(self, mode == Mode::Write, |object| Object::open(object, mode))?;
        self.opened(target, object)
    }

    /// Returns the opened region if it is as the options require.
    fn opened<A: Access>(&self, target: Target, mut object: Object) -> Result<SharedMemory<A>, Error> {
        let len = object.len().map_err(|f| target.error(f))?;
        self.check_opened(&target, &object, len)?;
        if let Some(asked) = self.capacity {
            let capacity = object.reserve(asked).map_err(|f| target.error(f))?.max(len);
            if capacity < asked {
                let error = Error::new(target.operation, ErrorKind::TooSmall).with_subject(&target.name);
                return Err(error.with_detail(format!(
                    "its capacity is {capacity} bytes, and {asked} were requested; its creator has to set a \
                     larger capacity()"
                )));
            }
        }
        let refusal = match self.large_pages {
            LargePages::Off => None,
            preference => match large_pages_of_opened(&mut object) {
                Err(failure) if preference == LargePages::Required => return Err(target.error(failure)),
                result => result.err(),
            },
        };
        Ok(memory(target.operation, object, Some(target.name), refusal, len))
    }

    /// Opens a region, or creates it if there is none, and returns which of the two it did. If several
    /// processes call this at once, one of them creates the region and the others open the same one.
    ///
    /// # Errors
    ///
    /// Those of [`create`](OpenOptions::create) and [`open`](OpenOptions::open) except
    /// [`ErrorKind::NotFound`], [`ErrorKind::AlreadyExists`] and [`ErrorKind::InvalidOption`].
    /// [`ErrorKind::NotReady`] if its creator does not finish it within seconds.
    pub fn open_or_create(&self, name: impl ToName) -> Result<(SharedMemory<ReadWrite>, Disposition), Error> {
        let target = self.target(Operation::OpenOrCreate, name)?;
        self.check_new_len(&target)?;
        let protection = self.protection(&target)?;
        let (found, how) = target.until_done(self, true, |object| {
            match Object::open(object, Mode::Write) {
                Ok(Attempt::Done(opened)) => return Ok(Attempt::Done(((opened, None), Disposition::Opened))),
                Ok(Attempt::Again) => return Ok(Attempt::Again),
                Err(failure) if failure.reason == Reason::Missing => {}
                // Its creator has given it its name, and will give it its length in a moment.
                Err(failure) if failure.reason == Reason::NotReady => return Ok(Attempt::Again),
                Err(failure) => return Err(failure),
            }
            match self.make(Some(object), &protection) {
                Ok(Attempt::Done(created)) => Ok(Attempt::Done((created, Disposition::Created))),
                Ok(Attempt::Again) => Ok(Attempt::Again),
                // Another process was faster, and its region can be opened now. If it cannot, because its
                // owner does not let this user see it, the next round returns that error, and the last round
                // gives up.
                Err(failure) if failure.reason == Reason::Exists && failure.code.is_none() => {
                    Ok(Attempt::Again)
                }
                Err(failure) => Err(failure),
            }
        })?;
        let memory = match how {
            Disposition::Created => target.created(found, self.len),
            Disposition::Opened => self.opened(target, found.0)?,
        };
        Ok((memory, how))
    }

    /// Refuses options that have no meaning for a verb: those of a new region where none is created, and
    /// those of an existing one where none is opened.
    fn check_options(&self, operation: Operation) -> Result<(), Error> {
        let (options, is_missing) = match operation {
            Operation::Create => (
                [
                    (self.expect_owner.is_some(), "expect_owner()"),
                    (self.expect_len.is_some(), "expect_len()"),
                ],
                "an existing region, and none is opened here",
            ),
            Operation::Open => (
                [(self.security.is_some(), "security()"), (self.numa_node.is_some(), "numa_node()")],
                "a new region, and none is created here",
            ),
            _ => return Ok(()),
        };
        match options.into_iter().find(|(is_set, _)| *is_set) {
            Some((_, option)) => Err(Error::new(operation, ErrorKind::InvalidOption).with_detail(format!(
                "{option} applies to {is_missing}; leave it out, or call \
                 open_or_create"
            ))),
            None => Ok(()),
        }
    }

    fn check_new_len(&self, target: &Target) -> Result<(), Error> {
        let len = self.len.unwrap_or(0);
        if len == 0 {
            return Err(Error::new(target.operation, ErrorKind::ZeroLength).with_subject(&target.name));
        }
        self.check_sizes(target.operation, len).map_err(|error| error.with_subject(&target.name))
    }

    fn check_sizes(&self, operation: Operation, len: u64) -> Result<(), Error> {
        for bytes in [Some(len), self.capacity].into_iter().flatten() {
            check_size(bytes).map_err(|failure| too_large(operation, bytes, failure))?;
        }
        match self.capacity {
            Some(capacity) if capacity < len => {
                let detail = format!("a capacity of {capacity} bytes is less than the length of {len}");
                Err(Error::new(operation, ErrorKind::BeyondCapacity).with_detail(detail))
            }
            _ => Ok(()),
        }
    }

    /// Checks that an opened region is long enough, and as long as expected.
    fn check_len(&self, target: &Target, len: u64) -> Result<(), Error> {
        let fail = |kind| Error::new(target.operation, kind).with_subject(&target.name);
        let asked = self.len.unwrap_or(0);
        if len < asked {
            return Err(fail(ErrorKind::TooSmall).with_diagnosis(Diagnosis::of_too_small(asked, len)));
        }
        match self.expect_len {
            Some(expected) if !self.is_expected_len(len) => {
                Err(fail(ErrorKind::UnexpectedLength).with_diagnosis(Diagnosis::of_wrong_len(expected, len)))
            }
            _ => Ok(()),
        }
    }

    fn target(&self, operation: Operation, name: impl ToName) -> Result<Target, Error> {
        let name = name.to_name()?;
        self.check_options(operation).map_err(|error| error.with_subject(&name))?;
        let object = if operation == Operation::Open {
            name.object_name(operation, None)?
        } else {
            let own = Security::current_user();
            name.object_name(operation, Some(self.security.as_ref().unwrap_or(&own)))?
        };
        Ok(Target { operation, name, object })
    }

    fn protection(&self, target: &Target) -> Result<Protection, Error> {
        match &self.security {
            None => Ok(Protection::default()),
            Some(security) => {
                security.resolve(target.operation).map_err(|error| error.with_subject(&target.name))
            }
        }
    }

    fn check_opened(&self, target: &Target, object: &Object, len: u64) -> Result<(), Error> {
        let fail = |kind| Error::new(target.operation, kind).with_subject(&target.name);
        if self.expects_trust() {
            if object.names() > 1 {
                let diagnosis = Diagnosis::of_linked(object.names());
                return Err(fail(ErrorKind::UnexpectedOwner).with_diagnosis(diagnosis));
            }
            if self.expect_owner.is_some() && sys::names_are_replaceable() {
                return Err(fail(ErrorKind::UnexpectedOwner).with_diagnosis(Diagnosis::of_replaceable()));
            }
        }
        self.check_len(target, len)?;
        let Some(principal) = &self.expect_owner else { return Ok(()) };
        let raw = object.raw_security().ok().filter(|_| object.is_owner_certain());
        let (expected, owner) = match raw.and_then(|raw| Security::from_raw(raw).ok()) {
            Some(security) => match security::is_owner(&security, principal, target.operation) {
                Ok((true, _)) => return Ok(()),
                Ok((false, expected)) => (expected, security.owner()),
                Err(error) => return Err(error.with_subject(&target.name)),
            },
            None => (Account::unknown(principal), None),
        };
        Err(fail(ErrorKind::UnexpectedOwner).with_diagnosis(Diagnosis::of_wrong_owner(expected, owner)))
    }

    /// Returns whether an option requires something of an existing region.
    pub(crate) fn expects_trust(&self) -> bool {
        self.expect_owner.is_some() || self.expect_len.is_some()
    }

    /// Returns the name of an option that is set, if any is.
    pub(crate) fn first_option(&self) -> Option<&'static str> {
        let options = [
            (self.len.is_some(), "len"),
            (self.capacity.is_some(), "capacity"),
            (self.large_pages != LargePages::Off, "large_pages"),
            (self.numa_node.is_some(), "numa_node"),
            (self.security.is_some(), "security"),
            (self.expect_owner.is_some(), "expect_owner"),
            (self.expect_len.is_some(), "expect_len"),
        ];
        options.into_iter().find_map(|(is_set, name)| is_set.then_some(name))
    }

    pub(crate) fn wanted_len(&self) -> Option<u64> {
        self.len
    }

    pub(crate) fn wanted_capacity(&self) -> Option<u64> {
        self.capacity
    }

    pub(crate) fn requires_large_pages(&self) -> bool {
        self.large_pages == LargePages::Required
    }

    pub(crate) fn expected_len(&self) -> Option<u64> {
        self.expect_len
    }

    /// Returns whether an existing region of this length is as expected.
    pub(crate) fn is_expected_len(&self, len: u64) -> bool {
        self.expect_len.is_none_or(|expected| len == expected || len == sys::rounded(expected))
    }

    pub(crate) fn expected_owner(&self) -> Option<&Principal> {
        self.expect_owner.as_ref()
    }

    pub(crate) fn security_or_default(&self) -> Security {
        self.security.clone().unwrap_or_default()
    }
}

impl SharedMemory<ReadWrite> {
    /// Creates a region of `len` bytes, all zero, under a name that is not in use.
    ///
    /// The system may round the length up to whole pages: see [`len`](SharedMemory::len). Only the current
    /// user can open the region. [`OpenOptions`] has more choices.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::create`].
    pub fn create(name: impl ToName, len: u64) -> Result<Self, Error> {
        OpenOptions::new().len(len).create(name)
    }

    /// Opens an existing region for reading and writing.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::open`].
    pub fn open(name: impl ToName) -> Result<Self, Error> {
        OpenOptions::new().open(name)
    }

    /// Creates a region of `len` bytes, all zero, without a name, for this process and those to which it is
    /// [handed off](crate::handoff).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ZeroLength`], [`ErrorKind::TooLarge`], [`ErrorKind::OutOfMemory`].
    pub fn anonymous(len: u64) -> Result<Self, Error> {
        OpenOptions::new().len(len).anonymous()
    }
}

impl SharedMemory<ReadOnly> {
    /// Opens an existing region for reading.
    ///
    /// # Errors
    ///
    /// Those of [`OpenOptions::open_read_only`].
    pub fn open_read_only(name: impl ToName) -> Result<Self, Error> {
        OpenOptions::new().open_read_only(name)
    }
}

/// Refuses lengths that no system can count.
fn check_size(len: u64) -> Result<(), Failure> {
    if i64::try_from(len).is_ok() { Ok(()) } else { Err(Failure::new(Reason::TooLarge)) }
}

/// Returns whether the same request with ordinary pages could succeed.
fn is_about_pages(failure: Failure) -> bool {
    use Reason::{FixedPages, NoLargePages, NoPrivilege, Unsupported};
    matches!(failure.reason, NoLargePages | FixedPages | NoPrivilege | Unsupported)
}

/// Has the views of an opened region use large pages, where the system lets each process choose (Linux).
/// Elsewhere the creator has chosen, and this fails if the region has none.
fn large_pages_of_opened(object: &mut Object) -> Result<(), Failure> {
    object.advise_large_pages()?;
    match object.pages() {
        sys::Pages::Ordinary => Err(Failure::new(Reason::NoLargePages)),
        _ => Ok(()),
    }
}

fn memory<A: Access>(
    operation: Operation,
    object: Object,
    name: Option<Name>,
    refusal: Option<Failure>,
    len: u64,
) -> SharedMemory<A> {
    let mut refusal = refusal.map(|failure| Error::from_system(operation, failure));
    if let Some(name) = &name {
        refusal = refusal.map(|error| error.with_subject(name));
    }
    SharedMemory::from_right(Right::new(object, name, None, refusal.map(Arc::new), len))
}

fn too_large(operation: Operation, len: u64, failure: Failure) -> Error {
    let error = Error::from_system(operation, failure);
    if failure.reason == Reason::TooLarge {
        error.with_detail(format!("{len} bytes were requested; request fewer"))
    } else {
        error
    }
}

/// Returns why a region without a name could not be created.
fn unnamed(operation: Operation, len: u64, failure: Failure) -> Error {
    let error = too_large(operation, len, failure);
    match Diagnosis::of_anonymous(failure) {
        Some(diagnosis) => error.with_found(diagnosis),
        None => error,
    }
}

/// An operation and the name that it is about.
struct Target {
    operation: Operation,
    name: Name,
    object: ObjectName,
}

impl Target {
    fn error(&self, failure: Failure) -> Error {
        Error::from_system(self.operation, failure).with_subject(&self.name)
    }

    fn created(
        self,
        (object, refusal): (Object, Option<Failure>),
        len: Option<u64>,
    ) -> SharedMemory<ReadWrite> {
        memory(self.operation, object, Some(self.name), refusal, len.unwrap_or(0))
    }

    /// Returns the error for a failure, with a diagnosis.
    fn explained(&self, options: &OpenOptions, write: bool, failure: Failure) -> Error {
        let error = self.error(failure);
        let question = Question { operation: self.operation, name: &self.name, write, options };
        match diagnosis::explain(question, failure, error.kind()) {
            Some(diagnosis) => error.with_found(diagnosis),
            None => error,
        }
    }

    /// Returns the error for the case that other processes did not finish in time.
    fn delayed(&self, options: &OpenOptions, write: bool) -> Error {
        let error = Error::new(self.operation, ErrorKind::Busy).with_subject(&self.name);
        let question = Question { operation: self.operation, name: &self.name, write, options };
        if let Some(diagnosis) = diagnosis::explain_delay(question) {
            return error.with_found(diagnosis);
        }
        match sys::exclusive_holder(&self.object) {
            Some(holder) => error.with_diagnosis(Diagnosis::of_exclusive_holder(holder)),
            None => error,
        }
    }

    /// Repeats `attempt` until it is done, within [`RETRY_TIMEOUT`].
    fn until_done<T>(
        &self,
        options: &OpenOptions,
        write: bool,
        mut attempt: impl FnMut(&ObjectName) -> Result<Attempt<T>, Failure>,
    ) -> Result<T, Error> {
        let mut round = 0;
        let mut start = None;
        loop {
            match attempt(&self.object).map_err(|failure| self.explained(options, write, failure))? {
                Attempt::Done(done) => return Ok(done),
                Attempt::Again => {}
            }
            round += 1;
            if round <= RETRIES_WITHOUT_PAUSE {
                std::thread::yield_now();
            } else if start.get_or_insert_with(Instant::now).elapsed() < RETRY_TIMEOUT {
                std::thread::sleep(Duration::from_millis(1));
            } else {
                return Err(self.delayed(options, write));
            }
        }
    }
}
