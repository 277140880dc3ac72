//! Whether faults in shared memory become errors in this process: tried, not deduced.

use mmf::faults::{self, Position};
use serde::Serialize;

/// The result of the trial.
pub(super) struct Trial {
    state: Option<faults::State>,
    /// Whether a provoked fault became an error; `None` if none was provoked.
    caught: Option<bool>,
    kernel_copies: Option<bool>,
}

/// The JSON document of the trial.
#[derive(Serialize)]
pub(super) struct Document {
    handler: Option<faults::State>,
    armed: Option<bool>,
    caught: Option<bool>,
    kernel_copies: Option<bool>,
}

/// Provokes a fault, if the handler is expected to catch it.
pub(super) fn run() -> Trial {
    // The handler is installed when the first view is mapped.
    let view = mmf::SharedMemory::anonymous(1).and_then(|region| region.view());
    let Ok(view) = view else { return Trial { state: None, caught: None, kernel_copies: None } };
    let state = faults::state();
    let (caught, kernel_copies) = provoke(state.is_armed());
    let kernel_copies = kernel_copies.or_else(|| view.with_kernel_copies().is_err().then_some(false));
    Trial { state: Some(state), caught, kernel_copies }
}

/// Reads a byte that was cut off, once with the guarded routines and once with the kernel.
#[cfg(unix)]
fn provoke(armed: bool) -> (Option<bool>, Option<bool>) {
    use mmf::os::unix::SharedMemoryExt;
    use mmf::{ErrorKind, ReadWrite, SharedMemory};

    let path = std::env::temp_dir().join(format!("mmf-doctor-{}", std::process::id()));
    let truncated = || -> std::io::Result<mmf::View<ReadWrite>> {
        let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        file.set_len(1)?;
        let view = SharedMemory::<ReadWrite>::from_fd(file.try_clone()?.into())?.view()?;
        file.set_len(0)?;
        Ok(view)
    };
    let Ok(view) = truncated() else { return (None, None) };
    let is_fault =
        |view: &mmf::View<ReadWrite>| view.read::<u8>(0).is_err_and(|error| error.kind() == ErrorKind::Fault);
    let caught = armed.then(|| is_fault(&view));
    let kernel_copies = view.with_kernel_copies().ok().map(|view| is_fault(&view));
    (caught, kernel_copies)
}

/// On this system no process can truncate a region, so there is no fault to provoke, and no handler to
/// replace.
#[cfg(not(unix))]
fn provoke(_armed: bool) -> (Option<bool>, Option<bool>) {
    (None, None)
}

impl Trial {
    pub(super) fn text(&self) -> String {
        let Some(state) = &self.state else { return "unknown: no region could be mapped".to_owned() };
        if state.bus() == Position::NotNeeded {
            return "are errors; no handler is needed".to_owned();
        }
        let mut text = match (state.is_armed(), self.caught) {
            (true, Some(true)) => "are errors: one was provoked and caught".to_owned(),
            (true, Some(false)) => "are not detected: one was provoked and not caught".to_owned(),
            (true, None) => "should be errors: the handler is installed (none could be provoked)".to_owned(),
            (false, _) => format!("end the process; the handler: {state}"),
        };
        if state.is_blocked() {
            // The signal mask was inherited, so other programs started from here have it, too.
            text.push_str(
                ", a mask inherited by this process: start programs with SIGBUS and SIGSEGV unblocked",
            );
        }
        text.push_str(if self.kernel_copies == Some(true) {
            "; the kernel can copy without a handler"
        } else {
            "; the kernel cannot copy without a handler here"
        });
        text
    }

    pub(super) fn document(&self) -> Document {
        Document {
            handler: self.state,
            armed: self.state.map(|state| state.is_armed()),
            caught: self.caught,
            kernel_copies: self.kernel_copies,
        }
    }
}
