//! Single values, compared with volatile and atomic accesses of the standard library.
#![allow(missing_docs, reason = "criterion generates functions")]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, criterion_group, criterion_main};
use mmf::SharedMemory;

fn values(criterion: &mut Criterion) {
    let view = SharedMemory::anonymous(4096).and_then(|memory| memory.view()).expect("a region");
    let atomic = view.atomic_u64(64).expect("an atomic");
    let standard = AtomicU64::new(0);
    let mut plain = 7_u64;
    let place = &raw mut plain;

    let mut group = criterion.benchmark_group("load");
    // SAFETY: the address of a live local variable.
    group.bench_function("volatile", |bencher| bencher.iter(|| unsafe { black_box(place).read_volatile() }));
    group.bench_function("read", |bencher| bencher.iter(|| view.read::<u64>(black_box(8))));
    group.bench_function("std atomic", |bencher| {
        bencher.iter(|| black_box(&standard).load(Ordering::Acquire))
    });
    group.bench_function("atomic", |bencher| bencher.iter(|| black_box(&atomic).load(Ordering::Acquire)));
    group.finish();

    let mut group = criterion.benchmark_group("store");
    group.bench_function("volatile", |bencher| {
        // SAFETY: the address of a live local variable that nothing else uses now.
        bencher.iter(|| unsafe { black_box(place).write_volatile(black_box(9)) })
    });
    group.bench_function("write", |bencher| bencher.iter(|| view.write(&black_box(9_u64), black_box(8))));
    group.bench_function("std atomic", |bencher| {
        bencher.iter(|| black_box(&standard).store(1, Ordering::Release))
    });
    group.bench_function("atomic", |bencher| bencher.iter(|| black_box(&atomic).store(1, Ordering::Release)));
    group.finish();

    let mut group = criterion.benchmark_group("add");
    group.bench_function("std atomic", |bencher| {
        bencher.iter(|| black_box(&standard).fetch_add(1, Ordering::AcqRel))
    });
    group.bench_function("atomic", |bencher| {
        bencher.iter(|| black_box(&atomic).fetch_add(1, Ordering::AcqRel))
    });
    group.finish();
}

criterion_group!(benches, values);
criterion_main!(benches);
