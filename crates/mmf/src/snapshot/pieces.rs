//! The search for bytes that are worth copying.

#[cfg(test)]
mod tests;

use core::ops::Range;

use crate::snapshot::PIECE;

/// The size of the blocks that are compared with zero: a page, and the allocation unit of file systems.
pub(in crate::snapshot) const BLOCK: usize = 4096;

/// The zeros that are compared or written at a time.
pub(in crate::snapshot) static ZEROS: [u8; 4 * BLOCK] = [0; 4 * BLOCK];

pub(in crate::snapshot) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROS.len()).all(|block| block == &ZEROS[..block.len()])
}

/// Returns the parts that are not zero. Zeros between two parts are included if they are shorter than `gap`.
pub(in crate::snapshot) fn parts(bytes: &[u8], gap: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    core::iter::from_fn(move || {
        let block = |start: usize| start..bytes.len().min(start + BLOCK);
        while at < bytes.len() && is_zero(&bytes[block(at)]) {
            at += BLOCK;
        }
        if at >= bytes.len() {
            return None;
        }
        let mut part = block(at);
        at = part.end;
        while at < bytes.len() && at - part.end < gap.max(1) {
            let next = block(at);
            if !is_zero(&bytes[next.clone()]) {
                part.end = next.end;
            }
            at = next.end;
        }
        Some(part)
    })
}

/// Returns the next stretch of data at or after `from`, up to `len`; `next` returns the ranges of data. A
/// range that follows after less than `gap` is included while the stretch is short.
pub(in crate::snapshot) fn stretch<E>(
    mut next: impl FnMut(u64) -> Result<Option<Range<u64>>, E>,
    from: u64,
    len: u64,
    gap: usize,
) -> Result<Option<Range<u64>>, E> {
    let mut within = |from: u64| {
        if from >= len {
            return Ok(None);
        }
        let range = next(from)?.map(|range| range.start.max(from)..range.end.min(len));
        Ok(range.filter(|range| !range.is_empty()))
    };
    let Some(mut stretch) = within(from)? else { return Ok(None) };
    while stretch.end - stretch.start < PIECE as u64 {
        match within(stretch.end)? {
            Some(more) if more.start - stretch.end < gap as u64 => stretch.end = more.end,
            _ => break,
        }
    }
    Ok(Some(stretch))
}
