//! RTP, RTCP, telephone-event and the jitter buffer, without IO (RFC 3550, RFC 4733).
