//! The only module that names the message library: parsing, validation, serialisation and transactions in our words.

mod address;
mod body;
mod check;
mod frame;
mod grammar;
mod length;
mod mend;
mod message;
mod party;
mod reply;
mod text;
#[cfg(test)]
mod torture;
mod transactions;
mod unread;
mod uri;

pub(crate) use body::{SDP, Unreadable};
pub(crate) use check::check;
pub(crate) use frame::{Frame, Framer};
pub(crate) use message::{Message, Request, Response, Route, is_header, parse};
pub(crate) use reply::{reply, salvage_refusal};
pub(crate) use text::{Text, canonical, quote, summary, warning};
pub(crate) use transactions::{Happening, Subject, TransactionId, Transactions};
pub(crate) use uri::parse_uri;

/// A message of more bytes than this is refused, on any transport.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 * 1024;
