//! Operations of one leg that end: at once, or (recordings) when they are on the disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Thread;

use offhook_mix::{MAX_OPERATIONS, MixEvent, Retired};
use offhook_words::{EndCause, OperationId};

use super::api::{LegKey, MediaEvent};
use super::notice::{Notice, Notices};
use super::ring::{PlaySource, RecordSink, TapSink};
use super::writer::Written;

type Happened = MixEvent<PlaySource, RecordSink, TapSink>;

/// A recording that ended and is not on the disk yet.
#[derive(Debug)]
struct Finishing {
    op: OperationId,
    cause: EndCause,
    digit: Option<char>,
    started_us: u64,
    first_frame_us: u64,
}

/// What ends on a leg.
pub struct Endings {
    leg: LegKey,
    writer: Thread,
    finishing: Vec<Finishing>,
    /// Failed before they ended in the mixer.
    failed: Vec<Written>,
}

impl Endings {
    pub fn new(leg: LegKey, writer: Thread) -> Self {
        let (finishing, failed) = (
            Vec::with_capacity(MAX_OPERATIONS * 4),
            Vec::with_capacity(MAX_OPERATIONS),
        );
        Self {
            leg,
            writer,
            finishing,
            failed,
        }
    }

    /// No recording is on its way to the disk.
    pub fn is_settled(&self) -> bool {
        self.finishing.is_empty()
    }

    /// Something happened in the mixer, with the frame of `rtp_timestamp`.
    pub fn happened(&mut self, event: Happened, rtp_timestamp: u32, at_us: u64, notices: &mut Notices) {
        let leg = self.leg;
        match event {
            Happened::Started(op) => notices.event(MediaEvent::Started {
                leg,
                op,
                rtp_timestamp,
                at_us,
            }),
            Happened::Ended {
                id: op,
                cause,
                digit,
                samples,
                accepted_us: started_us,
                first_frame_us,
                retired,
            } => {
                let mut detail = None;
                match retired {
                    Retired::Recorder(recorder) => {
                        recorder.sink().finish();
                        self.finishing.push(Finishing {
                            op,
                            cause,
                            digit,
                            started_us,
                            first_frame_us,
                        });
                        self.early(op, notices);
                        self.writer.unpark();
                        return;
                    }
                    Retired::Player(player) => {
                        let state = &player.source().state;
                        state.abandoned.store(true, Ordering::Release);
                        detail = state.error().filter(|_| cause == EndCause::Error);
                    }
                    Retired::Tap(mut tap) => {
                        if let Some(block) = tap.rest() {
                            notices.push(Notice::Block { leg, op, block });
                        }
                    }
                    Retired::Digits(_) | Retired::Echo => {}
                }
                let duration_ms = samples / 8;
                notices.event(MediaEvent::Ended {
                    leg,
                    op,
                    cause,
                    detail,
                    digit,
                    duration_ms,
                    size_bytes: 0,
                    started_us,
                    first_frame_us,
                });
            }
        }
    }

    fn early(&mut self, op: OperationId, notices: &mut Notices) {
        if let Some(at) = self.failed.iter().position(|written| written.op == op) {
            let written = self.failed.swap_remove(at);
            self.written(written, notices);
        }
    }

    /// A recording is on the disk, or failed. `true`: it failed while it still runs in the mixer.
    pub fn written(&mut self, written: Written, notices: &mut Notices) -> bool {
        let Some(at) = self.finishing.iter().position(|finishing| finishing.op == written.op) else {
            self.failed.push(written);
            return true;
        };
        let finishing = self.finishing.swap_remove(at);
        self.report(&finishing, written, notices);
        false
    }

    fn report(&self, finishing: &Finishing, written: Written, notices: &mut Notices) {
        let &Finishing {
            op,
            cause,
            digit,
            started_us,
            first_frame_us,
        } = finishing;
        notices.event(MediaEvent::Ended {
            leg: self.leg,
            op,
            cause: if written.error.is_some() {
                EndCause::Error
            } else {
                cause
            },
            detail: written.error.or_else(|| gap(written.gap_ms)),
            digit,
            duration_ms: written.duration_ms,
            size_bytes: written.size_bytes,
            started_us,
            first_frame_us,
        });
    }

    /// The disk takes too long for a leg that is closed: what is not written has failed.
    pub fn give_up(&mut self, notices: &mut Notices) {
        let why: Arc<str> = Arc::from("the disk did not take the recording in time");
        while let Some(finishing) = self.finishing.pop() {
            let (op, leg, error) = (finishing.op, self.leg, Some(Arc::clone(&why)));
            self.report(
                &finishing,
                Written {
                    op,
                    leg,
                    duration_ms: 0,
                    size_bytes: 0,
                    gap_ms: 0,
                    error,
                },
                notices,
            );
        }
    }
}

/// What is to be said of a recording that the disk was too slow for.
fn gap(gap_ms: u64) -> Option<Arc<str>> {
    (gap_ms > 0).then(|| Arc::from(format!("the disk was too slow: {gap_ms} ms of it are silent")))
}
