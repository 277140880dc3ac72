//! Whether faults in shared memory are caught in this process: not deduced, but tried.

use mmf::faults::{self, Position};
use serde_json::{Value, json};

/// How the trial went.
pub(super) struct Trial {
    state: Option<faults::State>,
    /// Whether a fault that was provoked became an error; `None` if it was not tried.
    caught: Option<bool>,
    kernel_copies: Option<bool>,
}

/// Provokes a fault, if it can be expected to be caught.
pub(super) fn run() -> Trial {
    // The handler is installed when the first view is mapped.
    let view = mmf::SharedMemory::anonymous(1).and_then(|memory| memory.view());
    let Ok(view) = view else { return Trial { state: None, caught: None, kernel_copies: None } };
    let state = faults::state();
    let (caught, kernel_copies) = provoke(state.is_armed());
    let kernel_copies = kernel_copies.or_else(|| view.with_kernel_copies().is_err().then_some(false));
    Trial { state: Some(state), caught, kernel_copies }
}

/// Reads what has been cut off: by guarded routines, and by the kernel.
#[cfg(unix)]
fn provoke(armed: bool) -> (Option<bool>, Option<bool>) {
    use mmf::os::unix::SharedMemoryExt;
    use mmf::{ErrorKind, ReadWrite, SharedMemory};

    let path = std::env::temp_dir().join(format!("mmf-doctor-{}", std::process::id()));
    let cut = || -> std::io::Result<mmf::View<ReadWrite>> {
        let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        file.set_len(1)?;
        let view = SharedMemory::<ReadWrite>::from_fd(file.try_clone()?.into())?.view()?;
        file.set_len(0)?;
        Ok(view)
    };
    let Ok(view) = cut() else { return (None, None) };
    let is_fault =
        |view: &mmf::View<ReadWrite>| view.read::<u8>(0).is_err_and(|error| error.kind() == ErrorKind::Fault);
    let caught = armed.then(|| is_fault(&view));
    let kernel_copies = view.with_kernel_copies().ok().map(|view| is_fault(&view));
    (caught, kernel_copies)
}

/// Nobody can make a region shorter here, so there is no fault to provoke; and no handler that could be replaced.
#[cfg(not(unix))]
fn provoke(_armed: bool) -> (Option<bool>, Option<bool>) {
    (None, None)
}

impl Trial {
    pub(super) fn text(&self) -> String {
        let Some(state) = &self.state else { return "unknown: no memory could be mapped".to_owned() };
        if state.bus() == Position::NotNeeded {
            return "are errors; no handler of the process is needed".to_owned();
        }
        let mut text = match (state.is_armed(), self.caught) {
            (true, Some(true)) => "are errors: one was provoked and caught".to_owned(),
            (true, Some(false)) => "are not reported: one was provoked and not noticed".to_owned(),
            (true, None) => "should be errors: the handler is in place (none could be provoked)".to_owned(),
            (false, _) => format!("end the process; the handler: {state}"),
        };
        if state.is_blocked() {
            // The mask was inherited, so the same holds for other programs that are started from here.
            text.push_str(", which it has inherited: start programs with SIGBUS and SIGSEGV unblocked");
        }
        text.push_str(if self.kernel_copies == Some(true) {
            "; the kernel can copy without a handler"
        } else {
            "; the kernel does not copy without a handler here"
        });
        text
    }

    pub(super) fn json(&self) -> Value {
        let position = |position: fn(&faults::State) -> Position| {
            self.state.as_ref().map(|state| crate::findings::word(&position(state)))
        };
        json!({
            "segv": position(faults::State::segv),
            "bus": position(faults::State::bus),
            "blocked": self.state.map(|state| state.is_blocked()),
            "armed": self.state.map(|state| state.is_armed()),
            "caught": self.caught,
            "kernel_copies": self.kernel_copies,
        })
    }
}
