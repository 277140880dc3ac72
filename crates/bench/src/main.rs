//! Prints the costs of the library as ratios to `memcpy`, plain loads and stores, and bare system calls.
#![allow(clippy::cast_precision_loss, reason = "figures for display")]

use std::hint::black_box;
use std::sync::atomic::Ordering;

use bench::{bare, growth, pairs, spawns};
use mmf::security::{Principal, Security};
use mmf::{OpenOptions, SharedMemory};

/// Drops a result that the compiler must not optimise away.
fn drop_value<T>(_: T) {}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        #[cfg(any(target_os = "linux", windows))]
        (Some("--child"), Some(how)) if how.starts_with("locks ") => {
            return bench::locks::other_side(&how["locks ".len()..]);
        }
        #[cfg(any(target_os = "linux", windows))]
        (Some("locks"), svg) => return bench::locks::compare(svg.as_deref()),
        (Some("--child"), Some(how)) => return Ok(spawns::child(&how, arguments.next())?),
        // A single part.
        (Some("handoff"), None) => return Ok(spawns::compare()?),
        (Some("growth"), None) => return Ok(growth::compare()?),
        #[cfg(target_os = "linux")]
        (Some("kernel"), None) => return Ok(kernel_copies()?),
        #[cfg(unix)]
        (Some("disk"), directory) => return Ok(bench::disk::compare_all(directory)?),
        _ => {}
    }
    copies()?;
    values()?;
    objects()?;
    Ok(spawns::compare()?)
}

/// Compares copies of the same bytes between the same two buffers: a shared and a private one.
fn copies() -> Result<(), mmf::Error> {
    const LARGEST: usize = 64 << 20;
    let view = SharedMemory::anonymous(LARGEST as u64 + 4096)?.view()?;
    let mut private = vec![1_u8; LARGEST + 4096];
    view.write_all_at(&private, 0)?;
    println!(
        "copies out of and into shared memory, in nanoseconds; speed: relative to memcpy between \
         the same buffers\n"
    );
    println!(
        "{:>10} | {:>11} {:>11} {:>6} {:>6} | {:>11} {:>11} {:>6} {:>6}",
        "bytes", "memcpy out", "read_exact", "speed", "diff", "memcpy in", "write_all", "speed", "diff"
    );
    let mut len = 8;
    while len <= LARGEST {
        let (shared, own) = (view.as_mut_ptr().wrapping_add(64), private[64..64 + len].as_mut_ptr());
        let bytes = &mut private[64..64 + len];
        let [plain_out, read] = pairs::measure([
            // SAFETY: the view and the private buffer are both valid for this length and do not overlap.
            &mut || unsafe {
                std::ptr::copy_nonoverlapping(black_box(shared), black_box(own), black_box(len))
            },
            &mut || view.read_exact_at(black_box(&mut *bytes), black_box(64)).expect("to read"),
        ]);
        let [plain_in, write] = pairs::measure([
            // SAFETY: the private buffer and the view are both valid for this length and do not overlap.
            &mut || unsafe {
                std::ptr::copy_nonoverlapping(black_box(own), black_box(shared), black_box(len))
            },
            &mut || view.write_all_at(black_box(&private[64..64 + len]), black_box(64)).expect("to write"),
        ]);
        println!(
            "{len:>10} | {plain_out:>11.1} {read:>11.1} {:>6.2} {:>6.1} | \
             {plain_in:>11.1} {write:>11.1} {:>6.2} {:>6.1}",
            plain_out / read,
            read - plain_out,
            plain_in / write,
            write - plain_in
        );
        len *= 2;
    }
    Ok(())
}

/// Measures copies that need no signal handler, and the query whether the handler is in place.
#[cfg(target_os = "linux")]
fn kernel_copies() -> Result<(), mmf::Error> {
    const LARGEST: usize = 16 << 20;
    let memory = SharedMemory::anonymous(LARGEST as u64)?;
    let guarded = memory.view()?;
    let by_kernel = guarded.with_kernel_copies()?;
    let mut private = vec![1_u8; LARGEST];
    guarded.write_all_at(&private, 0)?;
    println!("copies by guarded routines and by the kernel, in nanoseconds\n");
    println!(
        "{:>10} | {:>11} {:>11} {:>6} | {:>11} {:>11} {:>6}",
        "bytes", "read_exact", "by kernel", "ratio", "write_all", "by kernel", "ratio"
    );
    for len in [8, 16, 256, 4096, 65_536, 1 << 20, LARGEST] {
        let bytes = &mut private[..len];
        let place = bytes.as_mut_ptr();
        // SAFETY: the closures below run one after the other, and nothing else uses the buffer meanwhile.
        let own = || unsafe { std::slice::from_raw_parts_mut(place, len) };
        let [read, read_by_kernel, write, write_by_kernel] = pairs::measure([
            &mut || guarded.read_exact_at(black_box(own()), 0).expect("to read"),
            &mut || by_kernel.read_exact_at(black_box(own()), 0).expect("to read"),
            &mut || guarded.write_all_at(black_box(own()), 0).expect("to write"),
            &mut || by_kernel.write_all_at(black_box(own()), 0).expect("to write"),
        ]);
        println!(
            "{len:>10} | {read:>11.1} {read_by_kernel:>11.1} {:>6.2} | \
             {write:>11.1} {write_by_kernel:>11.1} {:>6.2}",
            read_by_kernel / read,
            write_by_kernel / write
        );
    }
    // SAFETY: `sigaction` consists of integers and pointers, for which all zeros is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let signals = [libc::SIGSEGV, libc::SIGBUS];
    let [view, touched, questions, state] = pairs::measure([
        &mut || drop(memory.view().expect("to map")),
        &mut || memory.view().expect("to map").write(&1_u8, 0).expect("to write"),
        &mut || {
            for signal in signals {
                // SAFETY: with a null new action the call only queries, and `action` is valid to write.
                unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) };
            }
        },
        &mut || drop_value(black_box(mmf::faults::state())),
    ]);
    println!(
        "\nmapping and unmapping {view:.0}, with one page touched {touched:.0}; of that \
         the queries of the handlers {questions:.0}; faults::state {state:.0}"
    );
    Ok(())
}

fn values() -> Result<(), mmf::Error> {
    let view = SharedMemory::anonymous(4096)?.view()?;
    let counter = view.atomic_u64(64)?;
    let (mut plain, standard) = (7_u64, std::sync::atomic::AtomicU64::new(0));
    let place = &raw mut plain;
    println!("\nvalues of 8 bytes, in nanoseconds\n");
    let [load, read, store, write] = pairs::measure([
        // SAFETY: the address of a live local variable.
        &mut || drop_value(black_box(unsafe { black_box(place).read_volatile() })),
        &mut || drop_value(black_box(view.read::<u64>(black_box(8)).expect("to read"))),
        // SAFETY: the address of a live local variable that nothing else uses now.
        &mut || unsafe { black_box(place).write_volatile(black_box(9)) },
        &mut || view.write(&black_box(9_u64), black_box(8)).expect("to write"),
    ]);
    println!("volatile load  {load:>6.2}   read::<u64>   {read:>6.2}   difference {:>6.2}", read - load);
    println!("volatile store {store:>6.2}   write::<u64>  {write:>6.2}   difference {:>6.2}", write - store);
    let [load, ours_load, add, ours_add] = pairs::measure([
        &mut || drop_value(black_box(standard.load(Ordering::Acquire))),
        &mut || drop_value(black_box(counter.load(Ordering::Acquire).expect("to load"))),
        &mut || drop_value(black_box(standard.fetch_add(1, Ordering::AcqRel))),
        &mut || drop_value(black_box(counter.fetch_add(1, Ordering::AcqRel).expect("to add"))),
    ]);
    println!(
        "AtomicU64 load {load:>6.2}   atomic load   {ours_load:>6.2}   difference {:>6.2}",
        ours_load - load
    );
    println!(
        "AtomicU64 add  {add:>6.2}   atomic add    {ours_add:>6.2}   difference {:>6.2}",
        ours_add - add
    );
    Ok(())
}

fn objects() -> Result<(), mmf::Error> {
    println!("\ncreate, map, touch and remove a region; open, map, touch and close a region\n");
    println!("{:>10} {:>12} {:>12} {:>7}", "bytes", "bare ns", "mmf ns", "ratio");
    for len in [4096, 1 << 20] {
        let name = format!("mmf-bench-{}", std::process::id());
        let full = format!(r"{}{name}", if cfg!(unix) { r"Global\" } else { r"Local\" });
        let [bare, ours] = pairs::measure([&mut || bare::create_map_touch_remove(&name, len), &mut || {
            let memory = SharedMemory::create(&full, len as u64).expect("to create");
            memory.view().expect("to map").write(&1_u8, 0).expect("to write");
        }]);
        println!("{len:>10} {bare:>12.0} {ours:>12.0} {:>7.2}  create", ours / bare);
        let memory = SharedMemory::create(&full, len as u64)?;
        let [bare, ours] = pairs::measure([&mut || bare::open_map_touch_close(&name), &mut || {
            let memory = SharedMemory::open(&full).expect("to open");
            memory.view().expect("to map").write(&1_u8, 0).expect("to write");
        }]);
        println!("{len:>10} {bare:>12.0} {ours:>12.0} {:>7.2}  open", ours / bare);
        drop(memory);
    }
    refusals()
}

/// Measures refusals. They may cost more, but programs wait for a region by trying to open it.
fn refusals() -> Result<(), mmf::Error> {
    let name = format!("mmf-bench-none-{}", std::process::id());
    let full = format!(r"{}{name}", if cfg!(unix) { r"Global\" } else { r"Local\" });
    let [bare, ours, check] = pairs::measure([
        &mut || assert!(!bare::can_open(&name)),
        &mut || drop(SharedMemory::open(&full).expect_err("the name is missing")),
        &mut || assert!(!OpenOptions::new().check_open(&full).is_ok()),
    ]);
    println!("\nrefusals, in nanoseconds\n");
    println!("open of a missing name: bare {bare:.0}, mmf with diagnosis {ours:.0}, check_open {check:.0}");
    let shared =
        OpenOptions::new().len(4096).security(Security::current_user().grant_read(Principal::Everyone));
    let [default, granted] =
        pairs::measure([&mut || drop(SharedMemory::create(&full, 4096).expect("to create")), &mut || {
            drop(shared.create(&full).expect("to create"))
        }]);
    println!(
        "create: for the current user {default:.0}, readable by everyone {granted:.0} (ratio {:.2})",
        granted / default
    );
    Ok(())
}
