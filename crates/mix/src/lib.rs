//! Players, recorders and the mixing of one leg, in frames of 20 ms.

/// Why an operation ended; the words are those of the control protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndCause {
    /// It came to its own end.
    Finished,
    /// By command.
    Stopped,
    /// By an input that was to interrupt it.
    Interrupted,
    /// Silence after speech.
    Silence,
    /// A terminating digit.
    Terminator,
    /// The longest length was reached.
    MaxLength,
    /// Nobody spoke.
    NoInput,
    /// Its time was over.
    Timeout,
    /// The leg was closed.
    Hangup,
    /// It failed.
    Error,
}

impl EndCause {
    /// The word of the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Silence => "silence",
            Self::Terminator => "terminator",
            Self::MaxLength => "max_length",
            Self::NoInput => "no_input",
            Self::Timeout => "timeout",
            Self::Hangup => "hangup",
            Self::Error => "error",
        }
    }
}
