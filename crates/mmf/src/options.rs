//! Making and opening: three intents, three verbs.

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

/// How long an operation starts again when others come in between, before it says [`ErrorKind::Busy`]. Each time somebody
/// else is in the middle of making or removing the very same name: a few system calls, but he may have to wait for a processor.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many attempts follow each other without waiting.
const EAGER: u32 = 50;

/// Whether [`OpenOptions::open_or_create`] made the memory or found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// It was made: all bytes are zero.
    Created,
    /// It was there already.
    Opened,
}

/// How to make or open a shared memory.
///
/// Three verbs for three intents: [`create`](OpenOptions::create) only makes, [`open`](OpenOptions::open) never makes, and
/// [`open_or_create`](OpenOptions::open_or_create) says which it was.
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
#[derive(Clone, Debug, Default)]
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
    /// Options that ask for nothing special.
    pub fn new() -> Self {
        OpenOptions::default()
    }

    /// The length in bytes: of a memory that is made, exactly what is asked of the system (which may round it up to whole
    /// pages); of one that is opened, the least that will do.
    pub fn len(mut self, bytes: u64) -> Self {
        self.len = Some(bytes);
        self
    }

    /// How long a memory that is made can become, in bytes, by [`SharedMemory::grow`]. Only addresses are reserved for it, in every
    /// process that maps the whole; RAM is promised for the [length](OpenOptions::len) alone. (Windows also keeps a few bytes for
    /// each page of it.)
    ///
    /// A process that opens the region learns its capacity; then this is the least that will do. (On Linux it learns it from the
    /// holders that may write: see `docs/platforms.md`.) For memory that others have made by
    /// the system's own calls on Unix, and for [files](OpenOptions::file), it says how far this process's views
    /// follow.
    ///
    /// ```
    /// use mmf::OpenOptions;
    ///
    /// let log = OpenOptions::new().len(64 * 1024).capacity(100 << 20).create("doc-options-log")?;
    /// assert_eq!((log.len(), log.capacity()), (64 * 1024, 100 << 20));
    /// # Ok::<(), mmf::Error>(())
    /// ```
    ///
    /// [`ErrorKind::Unsupported`] on macOS, where a shared memory gets its length once (but files grow).
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// Whether a memory that is made is to have large pages. What was obtained is another matter:
    /// [`SharedMemory::pages`] says it.
    ///
    /// - **Windows**: the length is rounded up to whole large pages (2 MiB on x86-64), which are in RAM at once and for good, and it
    ///   takes `SeLockMemoryPrivilege` ("Lock pages in memory"), which nobody has before an administrator grants it. It is
    ///   enabled for the one call. After long uptime RAM may be in pieces too small.
    /// - **Linux**, without a name: the same, from the pool that an administrator provides (`vm.nr_hugepages`).
    /// - **Linux**, with a name: the system is advised to put large pages in where it can (`madvise`), if `/dev/shm` is mounted
    ///   for it (`mount -o remount,huge=advise /dev/shm`). It is advice for the views of this process; who opens the
    ///   memory may give it, too, by the same option.
    /// - **macOS**: there are none.
    ///
    /// Memory in large pages cannot grow (but for Linux with a name).
    ///
    /// ```
    /// use mmf::pages::{LargePages, Pages};
    /// use mmf::OpenOptions;
    ///
    /// let memory = OpenOptions::new().len(4 << 20).large_pages(LargePages::Preferred).create("doc-options-large")?;
    /// match (memory.pages(), memory.large_pages_refused()) {
    ///     (Pages::Ordinary { .. }, Some(why)) => println!("slower, since {why}"),
    ///     (pages, _) => println!("{pages:?}"),
    /// }
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn large_pages(mut self, wish: LargePages) -> Self {
        self.large_pages = wish;
        self
    }

    /// The NUMA node whose RAM the pages of a memory that is made are to be taken from, as long as it has some. Where a page
    /// really is says [`View::numa_node`](crate::View::numa_node). (Windows: `CreateFileMappingNuma`; Linux: `mbind`, for
    /// whoever touches the page; macOS has none.)
    ///
    /// [`ErrorKind::NoSuchNode`] if the machine does not have it.
    pub fn numa_node(mut self, node: u32) -> Self {
        self.numa_node = Some(node);
        self
    }

    /// Who may open a memory that is made: without it, [`Security::current_user`]. A memory that is opened keeps what it has.
    ///
    /// ```
    /// use mmf::security::{Principal, Security};
    /// use mmf::OpenOptions;
    ///
    /// let shared = OpenOptions::new().len(4096).security(Security::current_user().grant_read(Principal::Everyone));
    /// let memory = shared.create("doc-options-shared")?;
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn security(mut self, security: Security) -> Self {
        self.security = Some(security);
        self
    }

    /// Whose a memory must be that is opened: any other is refused as [`ErrorKind::UnexpectedOwner`] before it is touched.
    ///
    /// Anybody who may make names in a namespace can take one before its rightful maker does. On Windows the owner is who
    /// made it (for elevated programs in other languages, the administrators); to learn it takes the right to see whose it is,
    /// which every grant of this library includes.
    ///
    /// ```
    /// use mmf::security::Principal;
    /// use mmf::{ErrorKind, OpenOptions, SharedMemory};
    ///
    /// let memory = SharedMemory::create("doc-options-owner", 4096)?;
    /// assert!(OpenOptions::new().expect_owner(Principal::CurrentUser).open("doc-options-owner").is_ok());
    /// # Ok::<(), mmf::Error>(())
    /// ```
    pub fn expect_owner(mut self, who: Principal) -> Self {
        self.expect_owner = Some(who);
        self
    }

    /// The exact length in bytes that a memory must have that is opened: any other is refused as [`ErrorKind::UnexpectedLength`]
    /// before it is touched. (On Windows, where memories have whole pages, this is rounded up to them.)
    pub fn expect_len(mut self, bytes: u64) -> Self {
        self.expect_len = Some(bytes);
        self
    }

    /// Makes a memory under a name that nobody uses yet. All its bytes are zero.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`]: somebody else has this name; the message says how big theirs is.
    /// - [`ErrorKind::NotSharedMemory`]: the name belongs to something else, such as an event or a mutex.
    /// - [`ErrorKind::ZeroLength`]: no [`len`](OpenOptions::len), or 0.
    /// - [`ErrorKind::TooLarge`], [`ErrorKind::OutOfMemory`]: the system cannot make it, or not now.
    /// - [`ErrorKind::PermissionDenied`]: for example a `Global\` name without the privilege that Windows wants for it.
    /// - [`ErrorKind::UnknownAccount`], [`ErrorKind::InvalidSecurity`], [`ErrorKind::Unsupported`]: the
    ///   [`security`](OpenOptions::security) cannot be had.
    /// - [`ErrorKind::LimitReached`]: of open files, or of the size of files (Unix).
    /// - what [`Name::new`] says about the name.
    pub fn create(&self, name: impl ToName) -> Result<SharedMemory<ReadWrite>, Error> {
        let target = self.target(Operation::Create, name)?;
        self.len_to_make(&target)?;
        let protection = self.protection(&target)?;
        let made = target.until_done(self, true, |object| self.make(Some(object), &protection))?;
        Ok(target.made(made))
    }

    /// Whether [`create`](OpenOptions::create) would work, and if not, why. Nothing is made or changed by asking.
    pub fn check_create(&self, name: impl ToName) -> Diagnosis {
        self.check(Operation::Create, true, name)
    }

    /// Whether [`open`](OpenOptions::open) would work, and if not, why. Nothing is changed by asking.
    ///
    /// ```
    /// use mmf::{ErrorKind, OpenOptions};
    ///
    /// let diagnosis = OpenOptions::new().check_open("doc-options-nobody-made-this");
    /// assert_eq!(diagnosis.error_kind(), Some(ErrorKind::NotFound));
    /// println!("{diagnosis}"); // why: nobody has made it yet …
    /// ```
    pub fn check_open(&self, name: impl ToName) -> Diagnosis {
        self.check(Operation::Open, true, name)
    }

    /// Whether [`open_read_only`](OpenOptions::open_read_only) would work, and if not, why. Nothing is changed by asking.
    pub fn check_open_read_only(&self, name: impl ToName) -> Diagnosis {
        self.check(Operation::Open, false, name)
    }

    /// Whether [`open_or_create`](OpenOptions::open_or_create) would work, and if not, why. Nothing is made or changed by
    /// asking.
    pub fn check_open_or_create(&self, name: impl ToName) -> Diagnosis {
        self.check(Operation::OpenOrCreate, true, name)
    }

    fn check(&self, operation: Operation, write: bool, name: impl ToName) -> Diagnosis {
        match name.to_name() {
            Ok(name) => diagnosis::ask(Question { operation, name: &name, write, options: self }),
            Err(error) => Diagnosis::of_invalid(&error),
        }
    }

    /// Makes a memory without a name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ZeroLength`], [`ErrorKind::TooLarge`], [`ErrorKind::OutOfMemory`], [`ErrorKind::LimitReached`]; and what the
    /// [`security`](OpenOptions::security) says, as for [`create`](OpenOptions::create).
    pub fn anonymous(&self) -> Result<SharedMemory<ReadWrite>, Error> {
        let operation = Operation::Create;
        let len = self.len.unwrap_or(0);
        if len == 0 {
            return Err(Error::new(operation, ErrorKind::ZeroLength));
        }
        self.check_sizes(operation, len)?;
        let protection = self.security_or_default().resolve(operation)?;
        let most = self.capacity.unwrap_or(len).max(len);
        match self.make(None, &protection).map_err(|failure| unnamed(operation, most, failure))? {
            Attempt::Done((object, refusal)) => Ok(memory(operation, object, None, refusal)),
            Attempt::Again => Err(Error::new(operation, ErrorKind::Busy)),
        }
    }

    /// Makes an object: with large pages if they are wished; and if they are only preferred, then without, and says why.
    fn make(
        &self,
        name: Option<&ObjectName>,
        protection: &Protection,
    ) -> Result<Attempt<(Object, Option<Failure>)>, Failure> {
        let wish = CreateParams {
            len: self.len.unwrap_or(0),
            capacity: self.capacity,
            protection,
            large_pages: self.large_pages != LargePages::Off,
            node: self.numa_node,
        };
        let attempt = |wish: &CreateParams<'_>, refusal| {
            Ok(match Object::create(name, wish)? {
                Attempt::Done(object) => Attempt::Done((object, refusal)),
                Attempt::Again => Attempt::Again,
            })
        };
        match attempt(&wish, None) {
            Err(failure) if self.large_pages == LargePages::Preferred && is_about_pages(failure) => {
                attempt(&CreateParams { large_pages: false, ..wish }, Some(failure))
            }
            result => result,
        }
    }

    /// Opens a memory that exists, to read and write it.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`]: there is none.
    /// - [`ErrorKind::NotWritable`]: it may be read only; [`open_read_only`](OpenOptions::open_read_only) would do.
    /// - [`ErrorKind::PermissionDenied`]: not even that.
    /// - [`ErrorKind::NotSharedMemory`]: the name belongs to something else, such as an event or a mutex.
    /// - [`ErrorKind::TooSmall`]: it has less than [`len`](OpenOptions::len) bytes.
    /// - [`ErrorKind::NotReady`]: its name is taken, but it has no length; the diagnosis says since when, and what to do if that lasts.
    /// - [`ErrorKind::UnexpectedOwner`]: it is not what [`expect_owner`](OpenOptions::expect_owner) and
    ///   [`expect_len`](OpenOptions::expect_len) say; or a `Local\` name that another user has taken (Unix).
    /// - [`ErrorKind::LimitReached`]: of open files (Unix). [`ErrorKind::Busy`]: others make and remove it all the time.
    /// - what [`Name::new`] says about the name.
    pub fn open(&self, name: impl ToName) -> Result<SharedMemory<ReadWrite>, Error> {
        self.open_as(self.target(Operation::Open, name)?)
    }

    /// Opens a memory that exists, to read it. Nobody can write through what this gives.
    ///
    /// # Errors
    ///
    /// As [`open`](OpenOptions::open), but for [`ErrorKind::NotWritable`].
    pub fn open_read_only(&self, name: impl ToName) -> Result<SharedMemory<ReadOnly>, Error> {
        self.open_as(self.target(Operation::Open, name)?)
    }

    fn open_as<A: Access>(&self, target: Target) -> Result<SharedMemory<A>, Error> {
        let object = target.until_done(self, A::WRITABLE, |object| Object::open(object, mode::<A>()))?;
        self.opened(target, object)
    }

    /// What has been opened, if it is what it should be.
    fn opened<A: Access>(&self, target: Target, mut object: Object) -> Result<SharedMemory<A>, Error> {
        self.check_opened(&target, &object)?;
        let len = object.len().map_err(|f| target.error(f))?;
        if let Some(asked) = self.capacity {
            let capacity = object.reserve(asked).map_err(|f| target.error(f))?.max(len);
            if capacity < asked {
                let error = Error::new(target.operation, ErrorKind::TooSmall).with_subject(&target.name);
                return Err(error.with_detail(format!(
                    "it can grow to {capacity} bytes, and {asked} were asked for: let its maker give it a larger capacity()"
                )));
            }
        }
        let refusal = match self.large_pages {
            LargePages::Off => None,
            wish => match object.advise_large_pages() {
                Err(failure) if wish == LargePages::Required => return Err(target.error(failure)),
                result => result.err(),
            },
        };
        Ok(memory(target.operation, object, Some(target.name), refusal))
    }

    /// Opens a memory, or makes it if there is none; says which it was. However many processes do this at once, one makes
    /// it and the others open the same.
    ///
    /// # Errors
    ///
    /// As [`create`](OpenOptions::create) and [`open`](OpenOptions::open), but for [`ErrorKind::NotFound`] and
    /// [`ErrorKind::AlreadyExists`]. [`ErrorKind::NotReady`] if its maker does not finish it within seconds.
    pub fn open_or_create(&self, name: impl ToName) -> Result<(SharedMemory<ReadWrite>, Disposition), Error> {
        let target = self.target(Operation::OpenOrCreate, name)?;
        self.len_to_make(&target)?;
        let protection = self.protection(&target)?;
        let (made, how) = target.until_done(self, true, |object| {
            match Object::open(object, Mode::Write) {
                Ok(Attempt::Done(opened)) => return Ok(Attempt::Done(((opened, None), Disposition::Opened))),
                Ok(Attempt::Again) => return Ok(Attempt::Again),
                Err(failure) if failure.reason == Reason::Missing => {}
                // Its maker has named it, and will size it in a moment.
                Err(failure) if failure.reason == Reason::NotReady => return Ok(Attempt::Again),
                Err(failure) => return Err(failure),
            }
            match self.make(Some(object), &protection) {
                Ok(Attempt::Done(made)) => Ok(Attempt::Done((made, Disposition::Created))),
                Ok(Attempt::Again) => Ok(Attempt::Again),
                // Somebody was faster; now it can be opened. Where it cannot be opened either, its owner may not let us see it:
                // the next round says so, and the last one gives up.
                Err(failure) if failure.reason == Reason::Exists && failure.code.is_none() => {
                    Ok(Attempt::Again)
                }
                Err(failure) => Err(failure),
            }
        })?;
        let memory = match how {
            Disposition::Created => target.made(made),
            Disposition::Opened => self.opened(target, made.0)?,
        };
        Ok((memory, how))
    }

    fn len_to_make(&self, target: &Target) -> Result<(), Error> {
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
                let detail = format!("a capacity of {capacity} bytes cannot hold the length of {len}");
                Err(Error::new(operation, ErrorKind::BeyondCapacity).with_detail(detail))
            }
            _ => Ok(()),
        }
    }

    /// What has no meaning for files.
    pub(crate) fn check_for_file(&self, operation: Operation) -> Result<(), Error> {
        let asked = [
            (self.security.is_some(), "security(): who may open a file says the file system"),
            (self.expect_owner.is_some(), "expect_owner(): ask the file system whose it is"),
            (self.large_pages != LargePages::Off, "large_pages()"),
            (self.numa_node.is_some(), "numa_node()"),
        ];
        match asked.into_iter().find(|(asked, _)| *asked) {
            Some((_, what)) => Err(Error::new(operation, ErrorKind::Unsupported)
                .with_detail(format!("files have no {what}; leave it out"))),
            None => Ok(()),
        }
    }

    /// Whether what was opened is long enough, and as long as was expected.
    pub(crate) fn check_len(
        &self,
        operation: Operation,
        subject: &impl ToString,
        len: u64,
    ) -> Result<(), Error> {
        let fail = |kind| Error::new(operation, kind).with_subject(subject);
        let asked = self.len.unwrap_or(0);
        if len < asked {
            return Err(fail(ErrorKind::TooSmall).with_diagnosis(Diagnosis::of_too_small(asked, len)));
        }
        let is_file = matches!(operation, Operation::OpenFile);
        match self.expect_len {
            Some(expected) if !(if is_file { len == expected } else { self.is_expected_len(len) }) => {
                Err(fail(ErrorKind::UnexpectedLength).with_diagnosis(Diagnosis::of_wrong_len(expected, len)))
            }
            _ => Ok(()),
        }
    }

    fn target(&self, operation: Operation, name: impl ToName) -> Result<Target, Error> {
        let name = name.to_name()?;
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

    fn check_opened(&self, target: &Target, object: &Object) -> Result<(), Error> {
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
        self.check_len(target.operation, &target.name, object.len().map_err(|f| target.error(f))?)?;
        let Some(who) = &self.expect_owner else { return Ok(()) };
        let shown = object.raw_security().ok().filter(|_| object.is_owner_certain());
        let (expected, owner) = match shown.and_then(|shown| Security::from_raw(shown).ok()) {
            Some(security) => match security::is_owner(&security, who, target.operation) {
                Ok((true, _)) => return Ok(()),
                Ok((false, expected)) => (expected, security.owner()),
                Err(error) => return Err(error.with_subject(&target.name)),
            },
            None => (Account::unknown(who), None),
        };
        Err(fail(ErrorKind::UnexpectedOwner).with_diagnosis(Diagnosis::of_wrong_owner(expected, owner)))
    }

    /// Whether a region is refused that is not what was expected.
    pub(crate) fn expects_trust(&self) -> bool {
        self.expect_owner.is_some() || self.expect_len.is_some()
    }

    /// The name of an option that is set, if any is.
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

    /// Whether a memory of this length will do. What has a file behind it is not rounded.
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
    /// Makes a memory of `len` bytes, all zero, under a name that nobody uses yet.
    ///
    /// The system may round the length up to whole pages: [`len`](SharedMemory::len) tells. Only the current user can open
    /// it. For more see [`OpenOptions`].
    ///
    /// # Errors
    ///
    /// See [`OpenOptions::create`].
    pub fn create(name: impl ToName, len: u64) -> Result<Self, Error> {
        OpenOptions::new().len(len).create(name)
    }

    /// Opens a memory that exists, to read and write it. It never makes one.
    ///
    /// # Errors
    ///
    /// See [`OpenOptions::open`].
    pub fn open(name: impl ToName) -> Result<Self, Error> {
        OpenOptions::new().open(name)
    }

    /// Makes a memory of `len` bytes, all zero, without a name: for this process, its threads, and those whom it is handed
    /// to.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ZeroLength`], [`ErrorKind::TooLarge`], [`ErrorKind::OutOfMemory`].
    pub fn anonymous(len: u64) -> Result<Self, Error> {
        OpenOptions::new().len(len).anonymous()
    }
}

impl SharedMemory<ReadOnly> {
    /// Opens a memory that exists, to read it.
    ///
    /// # Errors
    ///
    /// See [`OpenOptions::open_read_only`].
    pub fn open_read_only(name: impl ToName) -> Result<Self, Error> {
        OpenOptions::new().open_read_only(name)
    }
}

/// No system counts a memory's bytes beyond this.
fn check_size(len: u64) -> Result<(), Failure> {
    if i64::try_from(len).is_ok() { Ok(()) } else { Err(Failure::new(Reason::TooLarge)) }
}

/// Whether ordinary pages would have done.
fn is_about_pages(failure: Failure) -> bool {
    use Reason::{FixedPages, NoLargePages, NoPrivilege, Unsupported};
    matches!(failure.reason, NoLargePages | FixedPages | NoPrivilege | Unsupported)
}

fn memory<A: Access>(
    operation: Operation,
    object: Object,
    name: Option<Name>,
    refusal: Option<Failure>,
) -> SharedMemory<A> {
    let mut refusal = refusal.map(|failure| Error::from_system(operation, failure));
    if let Some(name) = &name {
        refusal = refusal.map(|error| error.with_subject(name));
    }
    SharedMemory::from_right(Right { object, name, file: None, refusal: refusal.map(Arc::new) })
}

fn too_large(operation: Operation, len: u64, failure: Failure) -> Error {
    let error = Error::from_system(operation, failure);
    if failure.reason == Reason::TooLarge {
        error.with_detail(format!("{len} bytes were asked for; ask for less"))
    } else {
        error
    }
}

/// Why memory without a name could not be created.
fn unnamed(operation: Operation, len: u64, failure: Failure) -> Error {
    let error = too_large(operation, len, failure);
    match Diagnosis::of_anonymous(failure) {
        Some(diagnosis) => error.with_found(diagnosis),
        None => error,
    }
}

/// What an operation is about.
struct Target {
    operation: Operation,
    name: Name,
    object: ObjectName,
}

impl Target {
    fn error(&self, failure: Failure) -> Error {
        Error::from_system(self.operation, failure).with_subject(&self.name)
    }

    fn made(self, (object, refusal): (Object, Option<Failure>)) -> SharedMemory<ReadWrite> {
        memory(self.operation, object, Some(self.name), refusal)
    }

    /// What the system said, and what was found out about it.
    fn explained(&self, options: &OpenOptions, write: bool, failure: Failure) -> Error {
        let error = self.error(failure);
        let question = Question { operation: self.operation, name: &self.name, write, options };
        match diagnosis::explain(question, failure, error.kind()) {
            Some(diagnosis) => error.with_found(diagnosis),
            None => error,
        }
    }

    /// What to say when others did not finish in time.
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

    /// Makes attempts until one is done, up to a bound.
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
            if round <= EAGER {
                std::thread::yield_now();
            } else if start.get_or_insert_with(Instant::now).elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(1));
            } else {
                return Err(self.delayed(options, write));
            }
        }
    }
}
