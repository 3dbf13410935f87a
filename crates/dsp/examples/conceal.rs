//! Conceal what is lost in a stream of frames, to be judged by others' tools (PESQ, against spandsp).
//!
//! In: for each frame of 20 ms a byte (0: lost) and 160 samples, int16, little endian. Out: the samples alone.

use std::io::{self, Read, Write};

use offhook_dsp::Concealer;
use offhook_words::{FRAME, Rate};

fn main() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let mut concealer = Concealer::new(Rate::Narrow);
    let mut output = io::stdout().lock();
    for record in input.chunks_exact(1 + FRAME * 2) {
        let (came, bytes) = record.split_first().unwrap_or((&0, &[]));
        let mut frame = [0; FRAME];
        for (sample, pair) in frame.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *sample = i16::from_le_bytes(*pair);
        }
        if *came == 0 {
            concealer.conceal(&mut frame);
        } else {
            concealer.good(&mut frame);
        }
        for sample in frame {
            output.write_all(&sample.to_le_bytes())?;
        }
    }
    Ok(())
}
