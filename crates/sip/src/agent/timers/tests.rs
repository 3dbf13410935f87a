//! No timer runs at a stage that is not its own, and the page says which do.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::super::forks::Forks;
use super::super::session::PRESSES;
use super::super::state::tests::{STAGES, assert_on_the_page, flow, state};
use super::{Duration, GIVE_UP, KEPT, Leg, LegKey, MINUTE, Stage, T1, Timer, Timers, Transport};

fn leg(stage: Stage) -> Leg {
    Leg {
        key: LegKey(1),
        flow: flow(),
        local_tag: String::new(),
        call_id: String::new(),
        state: state(stage, false),
        timers: Timers::default(),
        deadline: None,
        invites: Vec::new(),
        forks: Forks::default(),
        dialled: None,
        merge: None,
        places: None,
        proven: None,
        presses: PRESSES.full(),
    }
}

fn running(leg: &Leg) -> Vec<Timer> {
    Timer::ALL
        .into_iter()
        .filter(|timer| leg.timers.at(*timer).is_some())
        .collect()
}

#[test]
fn each_timer_has_its_own_place_in_the_table() {
    let mut timers = Timers::default();
    for (index, timer) in Timer::ALL.into_iter().enumerate() {
        assert_eq!(timer as usize, index);
        timers.set(timer, Duration::from_secs(100 - index as u64));
    }
    for timer in Timer::ALL.into_iter().rev() {
        let at = Duration::from_secs(100 - timer as u64);
        assert_eq!(timers.expired(at.saturating_sub(T1)), None);
        assert_eq!(timers.expired(at), Some((at, timer)));
    }
    assert_eq!(timers.next(), None);
}

#[test]
fn a_timer_that_runs_is_not_put_off_but_may_come_earlier() {
    let mut timers = Timers::default();
    timers.set(Timer::Forget, KEPT);
    timers.set(Timer::Forget, KEPT + T1);
    assert_eq!(timers.at(Timer::Forget), Some(KEPT));
    timers.set(Timer::Forget, GIVE_UP);
    assert_eq!(timers.at(Timer::Forget), Some(GIVE_UP));
}

#[test]
fn whoever_is_called_by_tcp_is_not_probed() {
    let mut by_tcp = leg(Stage::Calling);
    by_tcp.flow.transport = Transport::Tcp;
    by_tcp.wind(T1);
    assert_eq!(running(&by_tcp), [Timer::Ring, Timer::Silence]);
    let mut by_udp = leg(Stage::Calling);
    by_udp.wind(T1);
    assert_eq!(running(&by_udp), [Timer::Ring, Timer::Silence, Timer::Probe]);
}

#[test]
fn what_a_stage_sets_runs_there_and_each_ended_stage_is_forgotten() {
    for stage in STAGES {
        let mut leg = leg(stage);
        leg.wind(T1);
        assert!(running(&leg).iter().all(|timer| timer.runs_in(stage)), "{stage:?}");
        assert_eq!(leg.timers.at(Timer::Forget).is_some(), !stage.is_live(), "{stage:?}");
    }
}

proptest! {
    #[test]
    fn through_whatever_stages_a_leg_goes_only_timers_of_the_last_run_and_none_was_put_off(
        stages in prop::collection::vec((0..STAGES.len(), 0..70_u64), 1..20)
    ) {
        let mut now = Duration::ZERO;
        let mut leg = leg(Stage::Calling);
        for (stage, passed) in stages {
            let stage = STAGES.get(stage).copied().unwrap();
            let before = leg.timers.0;
            leg.state = state(stage, false);
            leg.wind(now);
            for timer in Timer::ALL {
                let (was, is) = (before.get(timer as usize).copied().flatten(), leg.timers.at(timer));
                prop_assert!(is.is_none() || timer.runs_in(stage), "{:?} at {:?}", timer, stage);
                prop_assert!(was.is_none() || is <= was, "{:?} at {:?}", timer, stage);
            }
            now += Duration::from_secs(passed);
            while let Some((at, timer)) = leg.timers.expired(now) {
                prop_assert!(at <= now && timer.runs_in(stage));
            }
            prop_assert!(leg.timers.next().is_none_or(|(at, _)| at > now));
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

fn names(stages: &[Stage]) -> String {
    stages
        .iter()
        .map(|stage| format!("`{stage:?}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Where a timer is from, and what its end brings.
fn words(timer: Timer) -> (&'static str, &'static str) {
    match timer {
        Timer::Ring => ("9.1", "`Hangup`: 408, CANCEL"),
        Timer::Silence => ("17.1.1.2", "`Hangup`: 408"),
        Timer::Probe => (
            "18.4",
            "the network is asked whether anybody is there; where it says no: `Failure`",
        ),
        Timer::Provisional => ("13.3.1.1", "the last 18x again"),
        Timer::Unanswered => ("13.3.1.1", "`Hangup`: 480"),
        Timer::Again => ("13.3.1.4", "the 200 again, next after twice the time, 4 s at most"),
        Timer::AckLost => ("13.3.1.4", "`AckLost`: BYE"),
        Timer::Reoffer => ("14.2", "`Settle`: 500"),
        Timer::Forget => ("9.1, 17", "the leg is forgotten, with what is left of its transactions"),
    }
}

/// When a timer begins, as the page has it.
fn begins(timer: Timer) -> String {
    let set: Vec<(Stage, Duration)> = STAGES
        .into_iter()
        .filter_map(|stage| Some((stage, timer.set_by(&leg(stage))?)))
        .collect();
    let mut lengths: Vec<Duration> = set.iter().map(|(_, time)| *time).collect();
    lengths.sort();
    lengths.dedup();
    let at = |time: Duration| {
        let stages: Vec<Stage> = set
            .iter()
            .filter(|(_, other)| *other == time)
            .map(|(stage, _)| *stage)
            .collect();
        match timer {
            Timer::Ring => format!("as the call says from {}", names(&stages)),
            Timer::Silence => format!("as the call may say from {}", names(&stages)),
            Timer::Probe => format!("{} from {} by UDP", seconds(time), names(&stages)),
            _ => format!("{} from {}", seconds(time), names(&stages)),
        }
    };
    match lengths[..] {
        [] => format!("{} from our first 18x, and again from each end", seconds(MINUTE)),
        _ => lengths.into_iter().map(at).collect::<Vec<_>>().join("; "),
    }
}

#[test]
fn the_page_has_these_timers() {
    let mut rows = vec![
        "| timer | RFC 3261 | begins | runs at | its end |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for timer in Timer::ALL {
        let (section, end) = words(timer);
        let runs: Vec<Stage> = STAGES.into_iter().filter(|stage| timer.runs_in(*stage)).collect();
        rows.push(format!(
            "| `{timer:?}` | {section} | {} | {} | {end} |",
            begins(timer),
            names(&runs)
        ));
    }
    assert_on_the_page(&rows);
}
