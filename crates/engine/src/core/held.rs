//! What the engine holds, told in its log when SIGUSR1 asks: all of it (but open
//! connections) is 0 once the last call is over and forgotten.

use serde_json::json;

use crate::core::Core;

impl Core {
    /// One line of the log.
    pub(super) fn tell_held(&mut self) {
        let (signal, media) = (self.signal.held(), self.media.held());
        let running: usize = self.legs.iter().map(|leg| leg.operations.len()).sum();
        self.log.info(
            "held",
            &[
                ("legs", json!(self.legs.len())),
                ("operations", json!(running)),
                ("dialogs", json!(signal.dialogs)),
                ("ended_dialogs", json!(signal.ended_dialogs)),
                ("transactions", json!(signal.transactions)),
                ("remembered", json!(signal.remembered)),
                ("connections", json!(signal.connections)),
                ("media_streams", json!(media.streams)),
                ("media_operations", json!(media.operations)),
                ("pushed_streams", json!(media.pushed_streams)),
                ("resting_ports", json!(media.resting_ports)),
                ("farewells", json!(self.farewells.len())),
                ("unacked_reports", json!(self.outbox.borrow().unacked())),
            ],
        );
    }
}
