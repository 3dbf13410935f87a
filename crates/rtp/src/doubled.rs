//! One press that is sent by two methods at once: phones that are set to "RFC 2833 and INFO" do so, and gateways that hear
//! tones and pass on INFO too.

/// Presses kept until they come by the other method too.
const KEPT: usize = 16;
/// An INFO comes when the key is let go, at the earliest: so much later, and the length of the press.
const WITHIN: u32 = 16_000;
/// Longest press that is believed, in ms.
const LONGEST_MS: u32 = 10_000;

/// A press that was told, in samples of the local clock.
#[derive(Debug, Clone, Copy)]
struct Told<Method> {
    digit: char,
    method: Method,
    at: u32,
}

/// Knows the second of two that are one.
#[derive(Debug, Clone)]
pub struct Doubles<Method> {
    /// The newest first.
    told: [Option<Told<Method>>; KEPT],
}

impl<Method: Copy> Default for Doubles<Method> {
    fn default() -> Self {
        Self { told: [None; KEPT] }
    }
}

impl<Method: Copy + PartialEq> Doubles<Method> {
    /// A press of so long (0: not known) came at `now`; whether it came before by another method.
    pub fn is_second(&mut self, digit: char, method: Method, duration_ms: u32, now: u32) -> bool {
        let within = WITHIN + duration_ms.min(LONGEST_MS) * 8;
        let is_first =
            |told: &Told<Method>| told.digit == digit && told.method != method && now.wrapping_sub(told.at) <= within;
        // The oldest, as both methods keep the order.
        let first = self
            .told
            .iter_mut()
            .rev()
            .find(|told| told.as_ref().is_some_and(is_first));
        if let Some(first) = first {
            *first = None;
            return true;
        }
        self.told.rotate_right(1);
        if let Some(slot) = self.told.first_mut() {
            *slot = Some(Told { digit, method, at: now });
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of presses at these times, in ms, by these methods.
    fn told(presses: &[(u32, char, u8, u32)]) -> String {
        let mut doubles = Doubles::default();
        let start = u32::MAX - 1000;
        let is_told = |press: &&(u32, char, u8, u32)| {
            let (ms, digit, method, duration_ms) = **press;
            !doubles.is_second(digit, method, duration_ms, start.wrapping_add(ms * 8))
        };
        presses.iter().filter(is_told).map(|press| press.1).collect()
    }

    #[test]
    fn a_press_that_comes_by_two_methods_is_told_once() {
        assert_eq!(told(&[(0, '5', 1, 0), (100, '5', 2, 100)]), "5");
        assert_eq!(told(&[(0, '5', 2, 0), (100, '5', 1, 0)]), "5");
        let twice = [(0, '5', 1, 0), (200, '5', 1, 0), (210, '5', 2, 0), (400, '5', 2, 0)];
        assert_eq!(told(&twice), "55");
        let mixed: Vec<_> = (0..40)
            .flat_map(|n| {
                let digit = char::from(b'0' + (n * 7 % 10) as u8);
                [(n * 100, digit, 1, 0), (n * 100 + 90, digit, 2, 60)]
            })
            .collect();
        assert_eq!(told(&mixed).len(), 40);
        assert_eq!(told(&[(0, '5', 1, 0), (6000, '5', 2, 5500)]), "5", "a long press");
    }

    #[test]
    fn presses_by_one_method_or_of_two_keys_or_much_later_are_all_told() {
        assert_eq!(told(&[(0, '5', 1, 0), (80, '5', 1, 0), (160, '5', 1, 0)]), "555");
        assert_eq!(told(&[(0, '5', 1, 0), (80, '6', 2, 0), (160, '5', 1, 0)]), "565");
        assert_eq!(told(&[(0, '5', 1, 0), (2500, '5', 2, 100)]), "55");
        assert_eq!(told(&[(0, '5', 1, 0), (60_000, '5', 2, u32::MAX)]), "55");
    }
}
