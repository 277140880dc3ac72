//! Copies into and out of shared memory, from 8 bytes to 64 MiB, compared with `memcpy` between the same
//! buffers and with `memmap2`.
#![allow(missing_docs, reason = "criterion generates functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mmf::SharedMemory;

const LARGEST: usize = 64 << 20;
const SIZES: [usize; 9] = [8, 64, 256, 1024, 4096, 65536, 1 << 20, 8 << 20, LARGEST];

fn copies(criterion: &mut Criterion) {
    let view =
        SharedMemory::anonymous(LARGEST as u64 + 4096).and_then(|memory| memory.view()).expect("a region");
    let mut private = vec![1_u8; LARGEST + 4096];
    view.write_all_at(&private, 0).expect("to write");
    let file = tempfile::tempfile().expect("a file");
    file.set_len(LARGEST as u64 + 4096).expect("its length");
    // SAFETY: the file is unnamed and only this process has it open, so no other one truncates it.
    let mut mapped = unsafe { memmap2::MmapMut::map_mut(&file) }.expect("a mapping");
    mapped.fill(2);

    let mut group = criterion.benchmark_group("read");
    for len in SIZES {
        group.throughput(Throughput::Bytes(len as u64));
        let own = &mut private[64..64 + len];
        group.bench_function(BenchmarkId::new("memcpy", len), |bencher| {
            // SAFETY: the view and the private buffer are both valid for this length and do not overlap.
            bencher.iter(|| unsafe {
                std::ptr::copy_nonoverlapping(
                    black_box(view.as_ptr().wrapping_add(64)),
                    own.as_mut_ptr(),
                    black_box(len),
                );
            });
        });
        group.bench_function(BenchmarkId::new("mmf", len), |bencher| {
            bencher.iter(|| view.read_exact_at(black_box(&mut *own), black_box(64)));
        });
        group.bench_function(BenchmarkId::new("memmap2", len), |bencher| {
            bencher.iter(|| own.copy_from_slice(black_box(&mapped[64..64 + len])));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("write");
    for len in SIZES {
        group.throughput(Throughput::Bytes(len as u64));
        let own = &private[64..64 + len];
        group.bench_function(BenchmarkId::new("memcpy", len), |bencher| {
            // SAFETY: the private buffer and the view are both valid for this length and do not overlap.
            bencher.iter(|| unsafe {
                std::ptr::copy_nonoverlapping(
                    own.as_ptr(),
                    black_box(view.as_mut_ptr().wrapping_add(64)),
                    black_box(len),
                );
            });
        });
        group.bench_function(BenchmarkId::new("mmf", len), |bencher| {
            bencher.iter(|| view.write_all_at(black_box(own), black_box(64)));
        });
        group.bench_function(BenchmarkId::new("memmap2", len), |bencher| {
            bencher.iter(|| black_box(&mut mapped[64..64 + len]).copy_from_slice(own));
        });
    }
    group.finish();
}

criterion_group!(benches, copies);
criterion_main!(benches);
