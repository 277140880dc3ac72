//! Requests to end this program: Ctrl-C, a termination signal, or the system shutting down.
//!
//! A command that ends by itself drops what it holds, and the last holder removes the name.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use termina::PlatformWaker;

use crate::output::Failure;

/// Receives requests to end.
pub(crate) struct Interrupt {
    requests: Receiver<()>,
    /// Wakes the thread that waits for terminal input.
    waker: Arc<Mutex<Option<PlatformWaker>>>,
}

impl Interrupt {
    /// Installs the handler. Only one can be installed per process.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let (sender, requests) = mpsc::channel();
        let waker = Arc::new(Mutex::new(None::<PlatformWaker>));
        let to_wake = Arc::clone(&waker);
        install(move || {
            let _ = sender.send(());
            if let Some(waker) = &*to_wake.lock().unwrap_or_else(PoisonError::into_inner) {
                let _ = waker.wake();
            }
        })?;
        Ok(Interrupt { requests, waker })
    }

    /// Whether a request has arrived since the last call.
    pub(crate) fn is_requested(&self) -> bool {
        self.requests.try_recv().is_ok()
    }

    /// Waits for a request, and returns whether one arrived in time. `None` waits without a limit.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> bool {
        match limit {
            Some(limit) => !matches!(self.requests.recv_timeout(limit), Err(RecvTimeoutError::Timeout)),
            None => {
                let _ = self.requests.recv();
                true
            }
        }
    }

    /// Has a request also end a wait for terminal input.
    pub(crate) fn wake(&self, waker: PlatformWaker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }
}

/// Sets `flag` when a request arrives.
pub(crate) fn set_flag(flag: &'static AtomicBool) -> Result<(), Failure> {
    install(|| flag.store(true, Ordering::Relaxed))
}

/// Ignores requests, as far as the system lets a process do so.
pub(crate) fn ignore() {
    let _ = install(|| {});
}

fn install(handler: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    ctrlc::set_handler(handler).map_err(|error| {
        let message = format!("cannot handle Ctrl-C: {error}; run the command in another environment");
        Failure::new("io", message)
    })
}
