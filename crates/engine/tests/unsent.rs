//! What a socket refuses to send, and who may answer a call of ours, on real loopback sockets.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use offhook_engine::signal::{Signal, SignalConfig};
use offhook_sip::{Command, Event, Invite, LegKey};
use offhook_words::{LegEndCause, Transport};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test)
}

async fn signal(listen: &str, trusted: &str) -> Signal {
    let config = SignalConfig {
        listen: vec![listen.parse().unwrap()],
        trusted: vec![trusted.to_owned()],
        product: "test".to_owned(),
        max_legs: 10,
        tcp_idle: Duration::from_secs(120),
    };
    Signal::bind(config).await.unwrap()
}

fn dial(signal: &mut Signal, peer: SocketAddr, body: String) -> LegKey {
    let leg = signal.allocate_leg();
    let flow = signal.flow_to(Transport::Udp, peer).unwrap();
    let invite = Invite {
        leg,
        flow,
        to_uri: format!("sip:x@{peer}"),
        from_uri: "sip:a@127.0.0.1".to_owned(),
        from_display: String::new(),
        headers: Vec::new(),
        body,
        ring_timeout: Duration::from_secs(60),
        response_timeout: None,
    };
    signal.command(Command::Invite(invite)).unwrap();
    leg
}

/// What is told within a time, without traces.
async fn events(signal: &mut Signal, within: Duration) -> Vec<Event> {
    let mut told = Vec::new();
    let collecting = async {
        loop {
            match signal.next().await {
                Event::Trace { .. } => {}
                event => told.push(event),
            }
        }
    };
    let _time_is_over = tokio::time::timeout(within, collecting).await;
    told
}

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> Option<String> {
    let mut buffer = [0; 4_096];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text
        .split("\r\n")
        .find(|line| line.starts_with(&format!("{name}: ")))
        .unwrap();
    &line[name.len() + 2..]
}

fn progress(invite: &str, status: &str) -> String {
    let [via, from, to, call_id] = ["Via", "From", "To", "Call-ID"].map(|name| field(invite, name));
    format!(
        "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to};tag=t\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// A broadcast address is refused by `sendto` each time (EACCES), as a route that is down or a full table is for a while.
#[test]
fn a_datagram_that_the_socket_refuses_ends_no_call() {
    run(async {
        let mut signal = signal("0.0.0.0:0", "127.0.0.0/8").await;
        let refusing: SocketAddr = "255.255.255.255:5060".parse().unwrap();
        for _ in 0..3 {
            dial(&mut signal, refusing, SDP.to_owned());
        }
        assert_eq!(events(&mut signal, Duration::from_millis(300)).await, []);
    });
}

#[test]
fn an_invite_that_is_too_long_for_a_datagram_fails_alone() {
    run(async {
        let mut signal = signal("127.0.0.1:0", "127.0.0.0/8").await;
        let callee = peer();
        let address = callee.local_addr().unwrap();
        let good = dial(&mut signal, address, SDP.to_owned());
        let invite = receive(&callee).unwrap();
        // Between what a datagram holds (65,507 bytes) and what a message may have (65,536).
        let long = format!("{SDP}{}", "x".repeat(65_520 - invite.len()));
        let bad = dial(&mut signal, address, long);
        let told = events(&mut signal, Duration::from_millis(200)).await;
        assert!(
            matches!(told[..], [Event::Ended { leg, cause: LegEndCause::Unreachable, .. }] if leg == bad),
            "{told:?}"
        );
        callee
            .send_to(progress(&invite, "180 Ringing").as_bytes(), signal.udp_address())
            .unwrap();
        let told = events(&mut signal, Duration::from_millis(500)).await;
        assert!(
            matches!(told[..], [Event::Progress { leg, .. }] if leg == good),
            "{told:?}"
        );
    });
}

#[test]
fn whom_we_dialled_may_answer_and_not_call() {
    run(async {
        let mut signal = signal("127.0.0.1:0", "192.0.2.0/24").await;
        let (callee, beside) = (peer(), peer());
        dial(&mut signal, callee.local_addr().unwrap(), SDP.to_owned());
        let invite = receive(&callee).unwrap();
        for socket in [&callee, &beside] {
            for method in ["INVITE", "OPTIONS"] {
                let port = socket.local_addr().unwrap().port();
                let text = format!(
                    "{method} sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{port}{method}\r\n\
                     From: <sip:a@127.0.0.1>;tag=a\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: {port}{method}\r\n\
                     CSeq: 1 {method}\r\nContact: <sip:a@127.0.0.1:{port}>\r\nContent-Length: 0\r\n\r\n"
                );
                socket.send_to(text.as_bytes(), signal.udp_address()).unwrap();
            }
        }
        callee
            .send_to(progress(&invite, "180 Ringing").as_bytes(), signal.udp_address())
            .unwrap();
        let told = events(&mut signal, Duration::from_millis(300)).await;
        assert!(matches!(told[..], [Event::Progress { .. }]), "{told:?}");
        beside.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(receive(&beside), None, "a stranger gets nothing");
    });
}
