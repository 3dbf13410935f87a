//! What media tells.

use std::time::Instant;

use offhook_words::{DigitMethod, LegEndCause, MediaStats};
use serde_bytes::ByteBuf;
use serde_json::json;

use crate::control::wire::{LegStats, OperationEnded, ReportBody};
use crate::core::Core;
use crate::core::legs::Leg;
use crate::media::{LegKey, MediaEvent, TickCounts};

/// The leg an event is about.
pub fn leg_of(event: &MediaEvent) -> Option<LegKey> {
    match event {
        MediaEvent::Digit { leg, .. }
        | MediaEvent::Started { leg, .. }
        | MediaEvent::Ended { leg, .. }
        | MediaEvent::Audio { leg, .. }
        | MediaEvent::MediaTimeout { leg }
        | MediaEvent::Closed { leg, .. } => Some(*leg),
        MediaEvent::PcmCredit { .. } | MediaEvent::Stats { .. } | MediaEvent::Faults { .. } => None,
    }
}

fn named(leg: &Leg, media: MediaStats) -> LegStats {
    LegStats {
        leg: leg.id.clone(),
        media,
    }
}

impl Core {
    pub(super) fn media_event(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::Digit {
                leg,
                digit,
                method,
                duration_ms,
            } => self.digit(leg, digit, method, duration_ms),
            MediaEvent::Started {
                leg, op, rtp_timestamp, ..
            } => {
                if let Some(leg) = self.legs.get(leg) {
                    let leg = leg.id.clone();
                    self.report(ReportBody::OpStarted { op, leg, rtp_timestamp });
                }
            }
            ended @ MediaEvent::Ended { .. } => self.operation_ended(ended),
            MediaEvent::PcmCredit { stream, ms } => self.report(ReportBody::PcmCredit { stream, ms }),
            MediaEvent::Audio {
                leg,
                op,
                offset_ms,
                samples,
            } => {
                if let Some(leg) = self.legs.get(leg) {
                    let leg = leg.id.clone();
                    let samples = ByteBuf::from(samples);
                    self.report(ReportBody::Audio {
                        op,
                        leg,
                        offset_ms,
                        samples,
                    });
                }
            }
            MediaEvent::Stats { legs, thread, ticks } => self.stats(&legs, thread, ticks),
            MediaEvent::Faults { count } => {
                self.faults += count;
                self.log
                    .error("panic in a decoder or the writer", &[("panics", json!(self.faults))]);
            }
            MediaEvent::MediaTimeout { leg } => self.media_timeout(leg),
            MediaEvent::Closed { leg, stats } => self.media_closed(leg, stats),
        }
    }

    fn digit(&mut self, key: LegKey, digit: char, method: DigitMethod, duration_ms: u32) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        // Those by INFO were looked at before media got them.
        if method != DigitMethod::Info && !leg.presses.is_new(digit, method, Instant::now()) {
            return;
        }
        let leg = leg.id.clone();
        self.report(ReportBody::Digit {
            leg,
            digit: digit.to_string(),
            method,
            duration_ms,
        });
    }

    fn operation_ended(&mut self, event: MediaEvent) {
        let MediaEvent::Ended {
            leg,
            op,
            cause,
            detail,
            digit,
            duration_ms,
            size_bytes,
            started_us,
            first_frame_us,
        } = event
        else {
            return;
        };
        let Some(leg) = self.legs.get_mut(leg) else { return };
        leg.operations.remove(&op);
        let leg = leg.id.clone();
        self.report(ReportBody::OpEnded(OperationEnded {
            op,
            leg,
            cause,
            detail: detail.map_or_else(String::new, |detail| detail.to_string()),
            digit: digit.map_or_else(String::new, String::from),
            duration_ms,
            size_bytes,
            started_us,
            first_frame_us,
        }));
    }

    fn stats(&mut self, legs: &[(LegKey, MediaStats)], thread: usize, ticks: TickCounts) {
        let legs: Vec<LegStats> = legs
            .iter()
            .filter_map(|(key, media)| Some(named(self.legs.get(*key)?, *media)))
            .collect();
        let panics = self.panics + self.faults;
        self.report(ReportBody::Stats {
            legs,
            thread: thread as u32,
            ticks_late: ticks.late,
            ticks_skipped: ticks.skipped,
            panics,
        });
    }

    /// A peer on hold may be silent; any other is gone.
    fn media_timeout(&mut self, key: LegKey) {
        let is_held = self.legs.get(key).is_some_and(|leg| leg.held_since.is_some());
        if !is_held {
            let reason = "no RTP came for too long; check that the media address in the SDP can be reached";
            self.condemn(key, LegEndCause::MediaTimeout, 408, reason);
        }
    }

    fn media_closed(&mut self, key: LegKey, stats: MediaStats) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        let was_asked = leg.media_closing;
        leg.media_closing = true;
        leg.media_closed = true;
        leg.last_stats = Some(named(leg, stats));
        if !was_asked {
            self.panics += 1;
            self.condemn(
                key,
                LegEndCause::Error,
                500,
                "a fault of the media thread ended this call",
            );
        }
        self.finish(key);
    }
}
