//! The end of a dialog whose process is gone: a BYE made in advance, sent by the process that comes after.

use std::time::Duration;

use offhook_words::Transport;

use super::Agent;
use super::refuse::reason;
use super::timers::GIVE_UP;
use crate::api::{Farewell, LegKey};

impl Agent {
    /// The BYE that ends an answered leg, should this process not be there to say it; `None` for any other leg.
    ///
    /// Good until the peer changes its address (make it again after each re-INVITE) or we send a request.
    pub fn farewell(&mut self, leg: LegKey, status: u16, text: &str) -> Option<Farewell> {
        let branch = self.branch();
        let leg = self.legs.get(&leg).filter(|leg| leg.state.is_live())?;
        let mut dialog = leg.state.dialog().cloned()?;
        // Its connection will be gone.
        dialog.flow.connection = 0;
        let flow = dialog.next_flow(&self.config.trusted);
        let bye = dialog
            .request("BYE", dialog.local_cseq.saturating_add(1), &branch, flow)
            .header("User-Agent", &self.config.product)
            .header("Reason", reason(status, text));
        Some(Farewell {
            flow,
            bytes: bye.finish(),
        })
    }

    /// Send what an earlier process left; repeated until it is answered. False: it is no request.
    pub fn send_farewell(&mut self, farewell: &Farewell, now: Duration) -> bool {
        debug_assert!(farewell.flow.transport != Transport::Tcp || farewell.flow.connection == 0);
        let is_sent = self.transactions.request(&farewell.bytes, farewell.flow, now).is_some();
        if is_sent {
            self.bidden_farewell
                .insert(farewell.flow.peer.ip(), now.saturating_add(GIVE_UP));
        }
        self.carry_out(now);
        is_sent
    }
}
