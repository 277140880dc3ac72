//! Draws into the frame buffer that `frames_parent` hands to it.

use mmf::handoff;

const WIDTH: usize = 3840;

fn main() -> Result<(), mmf::Error> {
    let frames = handoff::receive("frames")?;
    let view = frames.view()?;
    let mut row = vec![0_u8; WIDTH * 4];
    for (y, at) in (0..view.len() - row.len() + 1).step_by(row.len()).enumerate() {
        let y = y.to_le_bytes()[0];
        for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
            let x = x.to_le_bytes()[0];
            pixel.copy_from_slice(&[x, y, x ^ y, 0xff]);
        }
        view.write_all_at(&row, at)?;
    }
    Ok(())
}
