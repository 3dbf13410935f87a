//! What becomes of calls and requests when their flow is gone, or a message could not be sent.

use std::time::Duration;

use offhook_words::{EndedBy, LegEndCause, Transport};

use super::Agent;
use super::roll::Ending;
use super::state::{End, State};
use crate::api::{Flow, LegKey};
use crate::wire::{Message, TransactionId, parse};

impl Agent {
    /// A connection is gone, or could not be opened. A flow of datagrams cannot close: nothing happens to it.
    pub fn on_flow_closed(&mut self, flow: Flow, now: Duration) {
        if flow.transport == Transport::Udp {
            return;
        }
        self.framers.remove(&flow.connection);
        self.transactions.on_flow_closed(flow, now);
        let touched: Vec<LegKey> = self.places.on(flow).collect();
        for key in touched {
            let Some(leg) = self.legs.get_mut(&key) else {
                continue;
            };
            if let Some(dialog) = leg.state.dialog_mut().filter(|dialog| dialog.flow == flow) {
                // The call outlives its connection; the next request opens one to the peer's Contact.
                dialog.flow.connection = 0;
            }
            let is_offered = leg.flow == flow && matches!(leg.state, State::Offered(_));
            self.place(key);
            if is_offered {
                let ending = Ending {
                    by: EndedBy::Nobody,
                    cause: LegEndCause::Unreachable,
                    status: 0,
                    reason: "The connection of the INVITE closed",
                };
                self.end(key, End::Closed, &ending, now);
            }
        }
        self.carry_out(now);
    }

    /// A datagram can never be sent as it is (too long, no way there by its family). If it is a request of ours, that
    /// one transaction fails (RFC 3261, section 18.4); no other does. What may pass later needs no word: it is repeated.
    pub fn on_send_failed(&mut self, bytes: &[u8], now: Duration) {
        if let Ok(Message::Request(request)) = parse(bytes)
            && let Some(id) = self.transactions.client_of(&request)
        {
            self.transactions.abandon(id, now);
            self.carry_out(now);
        }
    }

    /// The network said that no datagram arrives there (RFC 3261, section 18.4): calls that asked, and heard nothing,
    /// end.
    pub fn on_unreachable(&mut self, flow: Flow, now: Duration) {
        let is_silent = |key: &LegKey| self.legs.get(key).filter(|leg| leg.flow == flow && leg.is_asked());
        let silent: Vec<TransactionId> = self
            .places
            .on(flow)
            .filter_map(|key| is_silent(&key))
            .flat_map(|leg| leg.invites.iter().copied())
            .collect();
        for id in silent {
            self.transactions.abandon(id, now);
        }
        self.carry_out(now);
    }

    /// Whether a call lives, or a request waits, on this connection.
    pub fn uses(&self, flow: Flow) -> bool {
        let any = Flow { connection: 0, ..flow };
        let mut legs = self.places.on(flow).chain(self.places.on(any));
        self.transactions.uses(flow) || legs.any(|key| self.is_live(key))
    }
}
