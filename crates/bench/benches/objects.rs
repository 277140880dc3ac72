//! Creating and opening named regions, compared with bare system calls, `shared_memory`, and `memmap2` over a
//! temporary file.
//!
//! `winmmf` is missing, since it needs the C compiler of MSVC to build.
#![allow(missing_docs, reason = "criterion generates functions")]

use bench::bare;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mmf::SharedMemory;
use shared_memory::ShmemConf;

const LEN: usize = 64 << 10;

fn objects(criterion: &mut Criterion) {
    let name = format!("mmf-bench-{}", std::process::id());
    // On Unix the global name is the object that the bare calls know by the same text.
    let full = format!("{}{name}", if cfg!(unix) { r"Global\" } else { r"Local\" });

    let mut group = criterion.benchmark_group("create, map, touch, remove");
    group.bench_function("bare calls", |bencher| bencher.iter(|| bare::create_map_touch_remove(&name, LEN)));
    group.bench_function("mmf", |bencher| {
        bencher.iter(|| SharedMemory::create(&full, LEN as u64)?.view()?.write(&1_u8, 0));
    });
    group.bench_function("mmf, unnamed", |bencher| {
        bencher.iter(|| SharedMemory::anonymous(LEN as u64)?.view()?.write(&1_u8, 0));
    });
    group.bench_function("shared_memory", |bencher| {
        bencher.iter(|| {
            let memory = ShmemConf::new().size(LEN).create().expect("a region");
            // SAFETY: the address is mapped for writing.
            unsafe { memory.as_ptr().write_volatile(1) };
        });
    });
    group.bench_function("memmap2, file", |bencher| {
        bencher.iter(|| {
            let file = tempfile::tempfile().expect("a file");
            file.set_len(LEN as u64).expect("its length");
            // SAFETY: the file is unnamed and only this process has it open, so no other one truncates it.
            unsafe { memmap2::MmapMut::map_mut(&file) }.expect("a mapping")[0] = 1;
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("open, map, touch, close");
    let memory = SharedMemory::create(&full, LEN as u64).expect("a region");
    let theirs = ShmemConf::new().size(LEN).create().expect("a region");
    group.bench_function("bare calls", |bencher| bencher.iter(|| bare::open_map_touch_close(&name)));
    group
        .bench_function("mmf", |bencher| bencher.iter(|| SharedMemory::open(&full)?.view()?.write(&1_u8, 0)));
    group.bench_function("shared_memory", |bencher| {
        bencher.iter_batched(
            || ShmemConf::new().os_id(theirs.get_os_id()),
            |conf| {
                let memory = conf.open().expect("the region");
                // SAFETY: the address is mapped for writing.
                unsafe { memory.as_ptr().write_volatile(1) };
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
    drop(memory);
}

criterion_group!(benches, objects);
criterion_main!(benches);
