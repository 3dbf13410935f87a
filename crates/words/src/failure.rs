//! Why what was asked is not done.

#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// A refusal: a slug that never changes, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct Failure {
    /// The slug.
    pub code: FailureCode,
    /// What to change.
    pub message: String,
}

impl Failure {
    /// A refusal.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The slugs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(rename_all = "snake_case"))]
pub enum FailureCode {
    /// A parameter is out of its range, or malformed.
    BadRequest,
    /// No such leg, or no more.
    UnknownLeg,
    /// No such operation, or it has ended.
    UnknownOperation,
    /// Not now: not connected yet, already paused, an id in use.
    WrongState,
    /// Nothing in common with the peer's session description.
    NotNegotiated,
    /// No such file.
    NotFound,
    /// Too many operations or legs, or a thread does not keep up.
    NoCapacity,
    /// No way to the peer.
    Unreachable,
    /// The machine failed us.
    Internal,
}
