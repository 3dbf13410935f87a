// What tests of the crate, inside and outside of it, agree on with a peer; whoever includes it names the types.

use std::net::SocketAddr;

use offhook_words::{Codec, Formats};

use super::StreamParameters;

/// Both ways, in µ-law, with digits as events.
pub fn parameters(remote: SocketAddr) -> StreamParameters {
    StreamParameters {
        remote_rtp: remote,
        remote_rtcp: (remote.ip(), 9).into(),
        formats: Formats {
            codec: Codec::Pcmu,
            payload_type_tx: 0,
            payload_type_rx: 0,
            telephone_event_tx: Some(101),
            telephone_event_rx: Some(101),
        },
        send: true,
        receive: true,
    }
}
