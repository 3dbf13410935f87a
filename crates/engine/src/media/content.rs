//! What a packet of the peer holds, by its payload type.

use offhook_words::Codec;

use super::api::StreamParameters;

/// See [`StreamParameters::content`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Speech.
    Audio(Codec),
    /// A key (RFC 4733).
    TelephoneEvent,
    /// Comfort noise (RFC 3389): we make silence ourselves.
    ComfortNoise,
    /// Nothing that was agreed on.
    Unknown,
}

impl StreamParameters {
    /// What a packet of this payload type holds: our number for what we receive first, then the static ones, then the
    /// peer's own number. RFC 3264, section 5.1 wants ours; phones that answer with another one send by it, and nothing
    /// else can be meant by it (pjsip/pjproject#3700).
    pub fn content(&self, payload_type: u8) -> Content {
        match payload_type {
            ours if self.formats.telephone_event_rx == Some(ours) => Content::TelephoneEvent,
            ours if self.formats.payload_type_rx == ours => Content::Audio(self.formats.codec),
            0 => Content::Audio(Codec::Pcmu),
            8 => Content::Audio(Codec::Pcma),
            9 => Content::Audio(Codec::G722),
            13 => Content::ComfortNoise,
            theirs if self.formats.telephone_event_tx == Some(theirs) => Content::TelephoneEvent,
            theirs if self.formats.payload_type_tx == theirs => Content::Audio(self.formats.codec),
            _ => Content::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_words::Formats;

    fn stream() -> StreamParameters {
        StreamParameters {
            remote_rtp: ([127, 0, 0, 1], 4000).into(),
            remote_rtcp: ([127, 0, 0, 1], 4001).into(),
            formats: Formats {
                codec: Codec::Pcmu,
                payload_type_tx: 112,
                payload_type_rx: 110,
                telephone_event_tx: Some(96),
                telephone_event_rx: Some(101),
            },
            send: true,
            receive: true,
        }
    }

    #[test]
    fn our_number_and_the_peers_own_mean_the_same() {
        let stream = stream();
        assert_eq!(
            [96, 101].map(|number| stream.content(number)),
            [Content::TelephoneEvent; 2]
        );
        assert_eq!(
            [110, 112, 0].map(|number| stream.content(number)),
            [Content::Audio(Codec::Pcmu); 3]
        );
        assert_eq!(stream.content(8), Content::Audio(Codec::Pcma));
        assert_eq!(stream.content(13), Content::ComfortNoise);
        assert_eq!(stream.content(97), Content::Unknown);
    }

    #[test]
    fn where_the_peers_number_is_another_of_ours_ours_is_meant() {
        let crossed = StreamParameters {
            formats: Formats {
                telephone_event_tx: Some(110),
                payload_type_tx: 101,
                ..stream().formats
            },
            ..stream()
        };
        assert_eq!(crossed.content(101), Content::TelephoneEvent);
        assert_eq!(crossed.content(110), Content::Audio(Codec::Pcmu));
        let without = StreamParameters {
            formats: Formats {
                telephone_event_tx: None,
                telephone_event_rx: None,
                ..stream().formats
            },
            ..stream()
        };
        assert_eq!(without.content(101), Content::Unknown);
    }
}
