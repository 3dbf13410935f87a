//! What is said of an operation: a play, a recording, digits that are sent, an echo, audio for the node.

#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// The id of an operation.
pub type OperationId = u64;

/// Which audio of a leg, seen from its remote party. RELAY and the control socket say `listen` and `speak`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(rename_all = "snake_case"))]
pub enum Side {
    /// What it hears.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "listen"))]
    Heard,
    /// What it says.
    #[cfg_attr(feature = "serde", serde(rename = "speak"))]
    Said,
    /// Both.
    Both,
}

impl Side {
    /// What the remote party hears is in it.
    pub fn has_heard(self) -> bool {
        self != Self::Said
    }

    /// What the remote party says is in it.
    pub fn has_said(self) -> bool {
        self != Self::Heard
    }
}

/// What ends a play early. On the control socket a list of those that do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "serde",
    derive(Serialize, Deserialize),
    serde(from = "Vec<Input>", into = "Vec<Input>")
)]
pub struct Interrupt {
    /// Any digit.
    pub digit: bool,
    /// Speech that begins while it plays.
    pub speech: bool,
}

/// One of those that end a play.
#[cfg(feature = "serde")]
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Input {
    Digit,
    Speech,
}

#[cfg(feature = "serde")]
impl From<Vec<Input>> for Interrupt {
    fn from(inputs: Vec<Input>) -> Self {
        Self {
            digit: inputs.contains(&Input::Digit),
            speech: inputs.contains(&Input::Speech),
        }
    }
}

#[cfg(feature = "serde")]
impl From<Interrupt> for Vec<Input> {
    fn from(interrupt: Interrupt) -> Self {
        let all = [(Input::Digit, interrupt.digit), (Input::Speech, interrupt.speech)];
        all.into_iter()
            .filter_map(|(input, ends)| ends.then_some(input))
            .collect()
    }
}

/// What a paused recording does with the span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(rename_all = "snake_case"))]
pub enum PauseBehavior {
    /// Cut it out.
    #[default]
    Skip,
    /// Keep it, as silence.
    Silence,
}

/// Why an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(rename_all = "snake_case"))]
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
    /// The word of the control socket.
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
