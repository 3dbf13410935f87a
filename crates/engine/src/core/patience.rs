//! How long a connected node may leave what it is told without an ack before it counts as none.

use std::time::{Duration, Instant};

/// So long without an ack, and new calls are refused. Nodes ack ten times a second.
pub const SILENT_AFTER: Duration = Duration::from_secs(10);

/// Between two looks no more than this counts: beyond, this process stood still itself, and acks may wait to be read.
const MOST_AT_ONCE: Duration = Duration::from_millis(400);

/// Counts how long the oldest report has been the same one.
#[derive(Debug, Default)]
pub struct Patience {
    oldest: Option<u64>,
    looked: Option<Instant>,
    waited: Duration,
}

impl Patience {
    /// Look again, several times a second; `oldest` is the number of the report that waits longest.
    pub fn look(&mut self, now: Instant, oldest: Option<u64>) {
        let passed = self
            .looked
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.looked = Some(now);
        if oldest.is_none() || oldest != self.oldest {
            self.waited = Duration::ZERO;
        } else {
            self.waited += passed.min(MOST_AT_ONCE);
        }
        self.oldest = oldest;
    }

    /// The node counts as none.
    pub fn is_over(&self) -> bool {
        self.waited >= SILENT_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Looks {
        patience: Patience,
        now: Instant,
    }

    impl Looks {
        fn new() -> Self {
            Self {
                patience: Patience::default(),
                now: Instant::now(),
            }
        }

        /// Look five times a second; after how many seconds it was over.
        fn until_over(&mut self, seconds: u32, oldest: impl Fn(u32) -> Option<u64>) -> Option<u32> {
            for number in 0..5 * seconds {
                self.now += Duration::from_millis(200);
                self.patience.look(self.now, oldest(number));
                if self.patience.is_over() {
                    return Some(number / 5);
                }
            }
            None
        }
    }

    #[test]
    fn a_node_that_leaves_one_report_for_ten_seconds_is_none_until_it_acks() {
        let mut looks = Looks::new();
        assert_eq!(looks.until_over(60, |_| Some(7)), Some(10));
        assert_eq!(looks.until_over(9, |_| Some(8)), None);
    }

    #[test]
    fn a_node_that_acks_however_far_behind_it_is_is_waited_for() {
        let mut looks = Looks::new();
        assert_eq!(looks.until_over(300, |number| Some(u64::from(number / 45))), None);
        assert_eq!(looks.until_over(300, |_| None), None);
    }

    #[test]
    fn an_engine_that_stood_still_itself_blames_no_node() {
        let mut looks = Looks::new();
        assert_eq!(looks.until_over(5, |_| Some(7)), None);
        looks.now += Duration::from_secs(3600);
        looks.patience.look(looks.now, Some(7));
        assert!(!looks.patience.is_over());
        assert_eq!(looks.until_over(60, |_| Some(7)), Some(4));
    }
}
