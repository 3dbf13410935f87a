//! SDP and the offer/answer policy (RFC 4566, RFC 3264).
