//! Every stage meets every step and every end, and the page says where that leads.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use offhook_words::Transport;

use super::{Arc, Dialog, End, Flow, Offered, Placed, Reason, Reoffer, Request, Silent, Stage, State, Step};
use super::{TransactionId, Unacknowledged};
use crate::shares::source;
use crate::wire::{Message, Transactions, parse};

pub(in crate::agent) const STAGES: [Stage; 12] = [
    Stage::Offered,
    Stage::Answered,
    Stage::Calling,
    Stage::Proceeding,
    Stage::Up,
    Stage::Reoffered,
    Stage::Reanswered,
    Stage::Cancelling,
    Stage::Cancelled,
    Stage::Leaving,
    Stage::Left,
    Stage::Over,
];
const PAGE: &str = include_str!("../../../../../docs/internals/sip-leg.md");

pub(in crate::agent) fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        local: "127.0.0.1:5060".parse().unwrap(),
        peer: "127.0.0.1:5070".parse().unwrap(),
        connection: 0,
    }
}

fn request(body: &str) -> Request {
    let text = format!(
        "INVITE sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKa\r\nFrom: <sip:b@127.0.0.1>;tag=b\r\n\
         To: <sip:a@127.0.0.1>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:b@127.0.0.1:5070>\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    match parse(text.as_bytes()).unwrap() {
        Message::Request(request) => request,
        Message::Response(response) => panic!("{response:?}"),
    }
}

fn transaction() -> TransactionId {
    let text =
        b"OPTIONS sip:b@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKo\r\nFrom: <sip:a@b>;tag=a\r\n\
                 To: <sip:b@b>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
    Transactions::new().request(text, flow(), Duration::ZERO).unwrap()
}

fn dialog() -> Dialog {
    Dialog::of_server(&request(""), "a", flow())
}

/// Our 200 to an INVITE that had an offer, or none, so that ours is in the 200.
fn ok(is_offer: bool) -> Unacknowledged {
    let ok = Unacknowledged::new(
        transaction(),
        &request(if is_offer { "" } else { "v=0\r\n" }),
        Vec::new(),
    );
    assert_eq!(ok.is_offer, is_offer);
    ok
}

fn reoffer() -> Reoffer {
    Reoffer {
        transaction: transaction(),
        request: Arc::new(request("")),
        flow: flow(),
        is_update: false,
    }
}

fn placed() -> Placed {
    Placed {
        uri: "sip:b@127.0.0.1".to_owned(),
        local: Vec::new(),
        cseq: 1,
        branch: "z9hG4bKb".to_owned(),
    }
}

fn silent() -> Silent {
    Silent {
        placed: placed(),
        ring_timeout: Duration::from_secs(77),
        response_timeout: Some(Duration::from_secs(4)),
        is_asked: false,
    }
}

fn reason() -> Reason {
    Reason::new(486, "Busy")
}

/// A state of a stage; where our 200 waits for its ACK it carries our offer or does not.
pub(in crate::agent) fn state(stage: Stage, is_offer: bool) -> State {
    match stage {
        Stage::Offered => State::Offered(Offered {
            dialog: dialog(),
            invite: transaction(),
            request: Arc::new(request("")),
            line: source(flow()),
            provisional: None,
        }),
        Stage::Answered => State::Answered(dialog(), ok(is_offer), source(flow())),
        Stage::Calling => State::Calling(silent()),
        Stage::Proceeding => State::Proceeding(placed()),
        Stage::Up => State::Up(dialog()),
        Stage::Reoffered => State::Reoffered(dialog(), reoffer()),
        Stage::Reanswered => State::Reanswered(dialog(), ok(is_offer)),
        Stage::Cancelling => State::Cancelling(silent(), reason()),
        Stage::Cancelled => State::Cancelled(placed()),
        Stage::Leaving => State::Leaving(dialog(), ok(is_offer), reason()),
        Stage::Left => State::Left(dialog(), ok(is_offer)),
        Stage::Over => State::Over(Some(dialog())),
    }
}

fn states(stage: Stage) -> [State; 2] {
    [state(stage, false), state(stage, true)]
}

type Named<T> = (&'static str, fn() -> T);

const STEPS: [Named<Step>; 7] = [
    ("Answer", || Step::Answer(ok(false))),
    ("Ack", || Step::Ack),
    ("Provisional", || Step::Provisional),
    ("Success", || Step::Success(dialog())),
    ("Offer", || Step::Offer(reoffer())),
    ("Reanswer", || Step::Reanswer(ok(false))),
    ("Settle", || Step::Settle),
];
const ENDS: [Named<End>; 6] = [
    ("Hangup", || End::Hangup(reason())),
    ("Bye", || End::Bye),
    ("Cancel", || End::Cancel),
    ("Closed", || End::Closed),
    ("Failure", || End::Failure),
    ("AckLost", || End::AckLost),
];

/// The stages to which anything leads from here.
fn reached_from(stage: Stage) -> Vec<Stage> {
    let of_steps = STEPS
        .iter()
        .flat_map(|(_, step)| states(stage).map(|state| state.step(step()).stage()));
    let of_ends = ENDS
        .iter()
        .flat_map(|(_, end)| states(stage).map(|state| state.end(end()).stage()));
    of_steps.chain(of_ends).collect()
}

#[test]
fn no_step_ends_a_leg_and_no_end_leaves_one_half_alive() {
    for stage in STAGES {
        for (name, step) in STEPS {
            for state in states(stage) {
                let to = state.step(step()).stage();
                assert_eq!(to.is_live(), stage.is_live(), "{stage:?} by {name}: {to:?}");
            }
        }
        for (name, end) in ENDS {
            for state in states(stage) {
                let to = state.end(end()).stage();
                assert!(to == stage || !to.is_live(), "{stage:?} by {name}: {to:?}");
            }
        }
    }
}

#[test]
fn every_stage_is_reached_each_leads_to_the_last_and_that_to_nowhere() {
    let mut reached = vec![Stage::Offered, Stage::Calling];
    let mut index = 0;
    while let Some(stage) = reached.get(index).copied() {
        index += 1;
        for to in reached_from(stage) {
            if !reached.contains(&to) {
                reached.push(to);
            }
        }
    }
    assert_eq!(reached.len(), STAGES.len(), "{reached:?}");
    let mut leading = vec![Stage::Over];
    for _ in STAGES {
        for stage in STAGES {
            if !leading.contains(&stage) && reached_from(stage).iter().any(|to| leading.contains(to)) {
                leading.push(stage);
            }
        }
    }
    assert_eq!(leading.len(), STAGES.len(), "{leading:?}");
    assert_eq!(reached_from(Stage::Over).iter().find(|to| **to != Stage::Over), None);
}

#[test]
fn a_dialog_once_there_is_never_lost() {
    for stage in STAGES {
        for (name, step) in STEPS {
            for state in states(stage) {
                let had = state.dialog().is_some();
                assert!(!had || state.step(step()).dialog().is_some(), "{stage:?} by {name}");
            }
        }
        for (name, end) in ENDS {
            for state in states(stage) {
                let had = state.dialog().is_some();
                assert!(!had || state.end(end()).dialog().is_some(), "{stage:?} by {name}");
            }
        }
    }
}

#[test]
fn an_offer_is_taken_or_refused_with_a_reason_wherever_there_is_a_dialog() {
    for stage in STAGES {
        for state in states(stage) {
            let (is_untimely, has_dialog) = (state.untimely().is_some(), state.dialog().is_some());
            let is_taken = state.step(Step::Offer(reoffer())).stage() == Stage::Reoffered && stage != Stage::Reoffered;
            assert_eq!(is_taken || is_untimely, stage.is_live() && has_dialog, "{stage:?}");
            assert!(!(is_taken && is_untimely), "{stage:?}");
        }
    }
}

/// What the page has in a cell: where it leads, or the status that an offer gets.
fn cell(stage: Stage, outcomes: [(Stage, Option<u16>); 2]) -> String {
    let mut words: Vec<String> = Vec::new();
    for (to, status) in outcomes {
        let word = match status {
            _ if to != stage => format!("`{to:?}`"),
            Some(status) => status.to_string(),
            None => continue,
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" or ")
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    cells.into_iter().fold("|".to_owned(), |row, cell| {
        if cell.is_empty() {
            row + " |"
        } else {
            format!("{row} {cell} |")
        }
    })
}

/// A table of the page, by what it has to be.
pub(in crate::agent) fn assert_on_the_page(rows: &[String]) {
    let table = rows.join("\n") + "\n";
    assert!(PAGE.contains(&table), "docs/internals/sip-leg.md has to have:\n{table}");
}

#[test]
fn the_page_has_this_table() {
    let names = STEPS
        .iter()
        .map(|(name, _)| *name)
        .chain(ENDS.iter().map(|(name, _)| *name));
    let mut rows = vec![row(
        std::iter::once("stage".to_owned()).chain(names.map(|name| format!("`{name}`")))
    )];
    rows.push(row(vec!["---".to_owned(); 1 + STEPS.len() + ENDS.len()]).replace(' ', ""));
    for stage in STAGES {
        let steps = STEPS.map(|(name, step)| {
            cell(
                stage,
                states(stage).map(|state| {
                    let status = state
                        .untimely()
                        .filter(|_| name == "Offer")
                        .map(|untimely| untimely.status);
                    (state.step(step()).stage(), status)
                }),
            )
        });
        let ends = ENDS.map(|(_, end)| cell(stage, states(stage).map(|state| (state.end(end()).stage(), None))));
        rows.push(row(std::iter::once(format!("`{stage:?}`")).chain(steps).chain(ends)));
    }
    assert_on_the_page(&rows);
}

#[test]
fn the_page_says_of_every_stage_step_and_end_what_it_is() {
    let stages = STAGES.map(|stage| format!("{stage:?}"));
    let inputs = STEPS
        .iter()
        .map(|(name, _)| *name)
        .chain(ENDS.iter().map(|(name, _)| *name));
    for (head, names) in [
        ("| stage | what it is |", stages.to_vec()),
        ("| input | what it is |", inputs.map(str::to_owned).collect()),
    ] {
        let table = PAGE.split_once(head).unwrap().1.split_once("\n\n").unwrap().0;
        let said: Vec<&str> = table
            .lines()
            .skip(2)
            .filter_map(|line| line.split('`').nth(1))
            .collect();
        assert_eq!(said, names);
    }
}
