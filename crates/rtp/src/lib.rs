//! RTP, RTCP, telephone-event and the jitter buffer, without IO (RFC 3550, RFC 4733).
// Sequence numbers and timestamps are serial numbers: they wrap by intent.
#![allow(clippy::cast_possible_wrap)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

mod doubled;
mod event;
mod jitter;
mod latch;
mod packet;
mod placement;
mod reception;
mod rtcp;
mod timeline;

pub use doubled::Doubles;
pub use event::{
    EventPacket, EventReceiver, EventSender, KeyBudget, MOST_EVENTS, PressedKey, TelephoneEvent, code_of_digit,
    digit_of_code,
};
pub use jitter::{JitterBuffer, JitterCounts, Pulled};
pub use latch::{Latch, RUN};
pub use packet::{HEADER_BYTES, Header, ParseError, RtpPacket, write_header};
pub use placement::Placement;
pub use reception::{Accepted, Reception};
pub use rtcp::{NtpTime, ReportBlock, RtcpPacket, RtcpParser, SenderInfo, rtcp_interval_us, write_report};
pub use timeline::Timeline;
