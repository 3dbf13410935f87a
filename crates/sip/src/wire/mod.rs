//! The only module that names the message library: parsing, validation, serialisation and transactions in our words.

mod check;
mod frame;
mod message;
mod text;
#[cfg(test)]
mod torture;
mod transactions;

pub(crate) use check::check;
pub(crate) use frame::{Frame, Framer};
pub(crate) use message::{Message, Request, Response, Route, is_header, parse, parse_uri, quoted};
pub(crate) use text::{Text, canonical, quote, reply, salvage_refusal, summary, warning};
pub(crate) use transactions::{Happening, Subject, TransactionId, Transactions};

/// A message of more bytes than this is refused, on any transport.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 * 1024;
