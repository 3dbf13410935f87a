//! The topmost Via. Where a request came from is the server's word: what its sender wrote there goes (RFC 3261, 18.2.1;
//! RFC 3581, 4).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Bench, field, invite, request, tcp};

const VIA: &str = "127.0.0.1:5070;branch=z9hG4bKinvite;rport";

/// What stands in the Via of the first answer, behind `SIP/2.0/UDP `.
fn told(text: &str) -> String {
    let mut bench = Bench::new();
    bench.feed(text);
    let (flow, answer) = bench.take_flows().remove(0);
    assert_eq!(
        flow.peer.ip(),
        bench.flow.peer.ip(),
        "no Via sends our packets elsewhere"
    );
    let via = field(&answer, "Via");
    via.strip_prefix("SIP/2.0/UDP ").unwrap_or(&via).to_owned()
}

#[test]
fn what_a_sender_says_of_where_it_sends_from_is_overwritten_or_removed() {
    for (via, back) in [
        // Another address than the source.
        (
            "127.0.0.1:5070;branch=z9hG4bKa;received=192.0.2.9",
            "127.0.0.1:5070;branch=z9hG4bKa",
        ),
        (
            "127.0.0.1:5070;received=127.0.0.1;branch=z9hG4bKa",
            "127.0.0.1:5070;branch=z9hG4bKa",
        ),
        (
            "phone.example;received=192.0.2.9;branch=z9hG4bKa",
            "phone.example;branch=z9hG4bKa;received=127.0.0.1",
        ),
        (
            "127.0.0.1:5070;received=192.0.2.9;branch=z9hG4bKa;rport",
            "127.0.0.1:5070;branch=z9hG4bKa;rport=5070;received=127.0.0.1",
        ),
        // In any case, with blanks, in quotes, more than once, without a value.
        (
            "127.0.0.1:5070;branch=z9hG4bKa;Received = 192.0.2.9 ; RECEIVED=192.0.2.8;received",
            "127.0.0.1:5070;branch=z9hG4bKa",
        ),
        (
            "127.0.0.1:5070;branch=z9hG4bKa;received=\"192.0.2.9\";x=\"a;received=b\"",
            "127.0.0.1:5070;branch=z9hG4bKa;x=\"a;received=b\"",
        ),
        (
            "127.0.0.1:5070;branch=z9hG4bKa;received=[2001:db8::9];x-received=1",
            "127.0.0.1:5070;branch=z9hG4bKa;x-received=1",
        ),
        // A port of the sender's making.
        (
            "127.0.0.1:5070;branch=z9hG4bKa;rport=9",
            "127.0.0.1:5070;branch=z9hG4bKa;rport=5070;received=127.0.0.1",
        ),
        (
            "127.0.0.1:5070;RPort = \"9\" ;branch=z9hG4bKa",
            "127.0.0.1:5070;RPort=5070;branch=z9hG4bKa;received=127.0.0.1",
        ),
        (
            "127.0.0.1:5070;branch=z9hG4bKa;rport=nine;rport;rport=7;received=192.0.2.9",
            "127.0.0.1:5070;branch=z9hG4bKa;rport=5070;received=127.0.0.1",
        ),
        // Hops below were told by others.
        (
            "127.0.0.1:5070;branch=z9hG4bKa;received=192.0.2.9, SIP/2.0/UDP h;branch=z9hG4bKb;received=192.0.2.7;rport=9",
            "127.0.0.1:5070;branch=z9hG4bKa, SIP/2.0/UDP h;branch=z9hG4bKb;received=192.0.2.7;rport=9",
        ),
    ] {
        assert_eq!(told(&invite().replace(VIA, via)), back, "{via}");
    }
}

#[test]
fn an_answer_goes_to_the_source_whatever_port_its_sender_made_up() {
    let mut bench = Bench::new();
    bench.feed(&invite().replace(";rport", ";rport=9;received=192.0.2.9"));
    let (flow, answer) = bench.take_flows().remove(0);
    assert_eq!(flow.peer, bench.flow.peer);
    assert_eq!(
        field(&answer, "Via"),
        "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKinvite;rport=5070;received=127.0.0.1"
    );
    assert!(answer.starts_with("SIP/2.0 100 "), "{answer}");
}

#[test]
fn the_via_of_a_refusal_says_no_more_of_the_sender_s_making() {
    // Refused by a field, by the Via itself, and where the message cannot be read.
    let made_up = ";rport=9;received=192.0.2.9;Received=192.0.2.8";
    let told_back = "127.0.0.1:5070;branch=z9hG4bKinvite;rport=5070;received=127.0.0.1";
    let bad = |from: &str, to: &str| invite().replace(";rport", made_up).replace(from, to);
    for text in [
        bad("Call-ID: call-1", "Call-ID:"),
        bad("Max-Forwards: 70", "no colon"),
        bad("CSeq: 1 INVITE", "CSeq: 1 BYE"),
    ] {
        assert_eq!(told(&text), told_back, "{text}");
    }
    let of_no_use = "SIP/2.0/UDP;branch=z9hG4bKinvite";
    let text = bad("SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKinvite", of_no_use);
    assert_eq!(told(&text), format!("{of_no_use};rport=5070;received=127.0.0.1"));
}

#[test]
fn on_a_stream_the_source_is_told_likewise() {
    let mut bench = Bench::with(offhook_sip::Config::default(), tcp());
    let options = request("OPTIONS", "sip:127.0.0.1", 1, "", "z9hG4bKo", "", "");
    let text = options
        .replace("/UDP", "/TCP")
        .replace(";rport", ";rport=9;received=192.0.2.9");
    bench.feed(&text);
    let told = "SIP/2.0/TCP 127.0.0.1:5070;branch=z9hG4bKo;rport=5070;received=127.0.0.1";
    assert_eq!(field(&bench.only(), "Via"), told);
    let lost = text.replace("Content-Length: 0", "Content-Length: none");
    assert!(bench.agent.receive(tcp(), lost.as_bytes(), bench.now).is_err());
    bench.drain();
    assert_eq!(field(&bench.only(), "Via"), told);
}

#[test]
fn an_empty_parameter_of_via_is_none_and_an_empty_value_too() {
    for (via, told) in [
        (
            "127.0.0.1:9;branch=z9hG4bKa;rport=",
            "127.0.0.1:9;branch=z9hG4bKa;rport=5070",
        ),
        (
            "127.0.0.1:9;rport = ;branch=z9hG4bKa",
            "127.0.0.1:9;rport=5070;branch=z9hG4bKa",
        ),
        (
            "127.0.0.1:9;;rport;branch=z9hG4bKa",
            "127.0.0.1:9;rport=5070;branch=z9hG4bKa",
        ),
        (
            "127.0.0.1:9;branch=z9hG4bKa;rport;",
            "127.0.0.1:9;branch=z9hG4bKa;rport=5070",
        ),
        (
            "127.0.0.1:9;branch=z9hG4bKa;rport=;received=;x=",
            "127.0.0.1:9;branch=z9hG4bKa;rport=5070;x",
        ),
    ] {
        let mut bench = Bench::new();
        bench.feed(&invite().replace("127.0.0.1:5070;branch=z9hG4bKinvite;rport", via));
        let (flow, answer) = bench.take_flows().remove(0);
        assert!(answer.starts_with("SIP/2.0 100 "), "{answer}");
        assert_eq!(flow.peer, bench.flow.peer);
        assert_eq!(
            field(&answer, "Via"),
            format!("SIP/2.0/UDP {told};received=127.0.0.1"),
            "{via}"
        );
    }
    // Those below belong to others, and a list is a list.
    let mut bench = Bench::new();
    let below = "SIP/2.0/UDP 127.0.0.2;rport=;branch=z9hG4bKb, SIP/2.0/UDP 127.0.0.3;branch=z9hG4bKc;;";
    bench.feed(&invite().replace(
        "z9hG4bKinvite;rport",
        &format!("z9hG4bKinvite;rport=, {below}\r\nv: SIP/2.0/UDP h;branch=z9hG4bKd;"),
    ));
    assert!(bench.only().starts_with("SIP/2.0 100 "));
}

#[test]
fn the_port_is_told_in_the_parameter_rport_and_nowhere_else() {
    for (via, told) in [
        (
            "127.0.0.1:9;branch=z9hG4bKrport77;rport",
            "127.0.0.1:9;branch=z9hG4bKrport77;rport=5070;received=127.0.0.1",
        ),
        (
            "127.0.0.1:9;rport;branch=z9hG4bKa",
            "127.0.0.1:9;rport=5070;branch=z9hG4bKa;received=127.0.0.1",
        ),
        (
            "rport.example;branch=z9hG4bKa;RPort",
            "rport.example;branch=z9hG4bKa;RPort=5070;received=127.0.0.1",
        ),
        (
            "127.0.0.1;x-rport=1;branch=z9hG4bKa; rport ",
            "127.0.0.1;x-rport=1;branch=z9hG4bKa; rport=5070;received=127.0.0.1",
        ),
        (
            "127.0.0.1;x=\"a;rport,b\";branch=z9hG4bKa;rport",
            "127.0.0.1;x=\"a;rport,b\";branch=z9hG4bKa;rport=5070;received=127.0.0.1",
        ),
        (
            "127.0.0.1;branch=z9hG4bKa;rport, SIP/2.0/UDP 127.0.0.2;branch=z9hG4bKrport;rport",
            "127.0.0.1;branch=z9hG4bKa;rport=5070;received=127.0.0.1, SIP/2.0/UDP 127.0.0.2;branch=z9hG4bKrport;rport",
        ),
        (
            "127.0.0.1:5070;branch=z9hG4bKrport",
            "127.0.0.1:5070;branch=z9hG4bKrport",
        ),
    ] {
        let mut bench = Bench::new();
        bench.feed(&invite().replace("127.0.0.1:5070;branch=z9hG4bKinvite;rport", via));
        assert_eq!(
            field(&bench.only(), "Via").trim_end(),
            format!("SIP/2.0/UDP {told}").trim_end()
        );
    }
}
