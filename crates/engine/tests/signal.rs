//! SIP on real loopback sockets: who is served, who is not, and that nobody slows anybody else.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use offhook_engine::signal::{Signal, SignalConfig};
use offhook_sip::{Command, Event, Invite};
use offhook_words::{LegEndCause, Transport};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// When a request by UDP is sent again (RFC 3261 17.1.1.2).
const T1: Duration = Duration::from_millis(500);
/// What is waited for comes at once, if the machine has nothing else to do; nothing is judged by this.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of the nodes that close connections which nobody uses.
const TCP_IDLE: Duration = Duration::from_secs(2);

/// A node of its own thread that answers each call; its events can be waited for.
struct Answering {
    address: SocketAddr,
    thread: PathBuf,
    events: mpsc::Receiver<Event>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

fn answering(trusted: &str) -> Answering {
    let (told, events) = mpsc::channel();
    let (ready, begun) = mpsc::channel();
    let (stop, mut stopped) = tokio::sync::oneshot::channel();
    let trusted = vec![trusted.to_owned()];
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let mut signal = Signal::bind(SignalConfig {
                listen: vec!["127.0.0.1:0".parse().unwrap()],
                trusted,
                product: "test".to_owned(),
                max_legs: 1_000,
                tcp_idle: TCP_IDLE,
            })
            .await
            .unwrap();
            ready.send((signal.udp_address(), this_thread())).unwrap();
            loop {
                let event = tokio::select! {
                    event = signal.next() => event,
                    _ = &mut stopped => return signal.shutdown().await,
                };
                if let Event::Incoming(incoming) = &event {
                    signal
                        .command(Command::Answer {
                            leg: incoming.leg,
                            body: SDP.to_owned(),
                        })
                        .unwrap();
                }
                if !matches!(event, Event::Trace { .. }) {
                    let _ = told.send(event);
                }
            }
        });
    });
    let (address, thread) = begun.recv().unwrap();
    Answering {
        address,
        thread,
        events,
        _stop: stop,
    }
}

fn request(method: &str, transport: &str, port: u16, id: &str, to_tag: &str, cseq: u32) -> String {
    let tag = if to_tag.is_empty() {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    let body = if method == "INVITE" { SDP } else { "" };
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "{method} sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:{port};branch=z9hG4bK{id}{cseq}{method};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag={id}\r\nTo: <sip:x@127.0.0.1>{tag}\r\nCall-ID: {id}\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:a@127.0.0.1:{port}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 4_096];
    let (length, _) = socket.recv_from(&mut buffer).expect("an answer");
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

/// How a call went: how long its answer took, and how often its INVITE was sent until it was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    took: Duration,
    invites: usize,
}

fn call_by_udp(address: SocketAddr, id: &str) -> Placed {
    call_on(&peer(), address, id)
}

/// A call from its INVITE to the answer of its BYE.
fn call_on(socket: &UdpSocket, address: SocketAddr, id: &str) -> Placed {
    let port = socket.local_addr().unwrap().port();
    let begun = Instant::now();
    socket.set_read_timeout(Some(T1)).unwrap();
    let invite = request("INVITE", "UDP", port, id, "", 1);
    // What comes late of the call before this one is passed over.
    let of_this = |message: &str| message.contains(&format!("\r\nCall-ID: {id}\r\n"));
    let mut buffer = [0; 4_096];
    let mut next = || {
        let (length, _) = socket.recv_from(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    // A datagram may be lost where a buffer is full; a peer repeats it.
    let invites = (1..=8).find(|_| {
        socket.send_to(invite.as_bytes(), address).unwrap();
        let first = std::iter::from_fn(&mut next).take(40).find(|message| of_this(message));
        first.is_some_and(|message| message.starts_with("SIP/2.0 100 "))
    });
    let invites = invites.expect("no 100 within 4 s");
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = receive(socket);
    // Another 100 is that of an INVITE that was sent again although the first was on its way.
    while answer.starts_with("SIP/2.0 100 ") || !of_this(&answer) {
        answer = receive(socket);
    }
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    let took = begun.elapsed();
    let tag = answer
        .split("To: ")
        .nth(1)
        .unwrap()
        .split("tag=")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap()
        .to_owned();
    // Until the BYE is answered both may have been lost as the INVITE may, and a 200 that comes once more asks for the ACK.
    socket.set_read_timeout(Some(T1)).unwrap();
    let ends = ["ACK", "BYE"].map(|method| request(method, "UDP", port, id, &tag, if method == "ACK" { 1 } else { 2 }));
    let last = (0..40).find_map(|_| {
        for end in &ends {
            socket.send_to(end.as_bytes(), address).unwrap();
        }
        let heard = next()?;
        (of_this(&heard) && !heard.contains("CSeq: 1 INVITE")).then_some(heard)
    });
    let last = last.expect("no answer to the BYE within 20 s");
    assert!(last.starts_with("SIP/2.0 200 "), "{last}");
    Placed { took, invites }
}

/// How long a thread of ours has waited for a CPU, in all (Documentation/scheduler/sched-stats.rst). Zero where the
/// kernel does not say.
fn waited_for_cpu(thread: &Path) -> Duration {
    let text = std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let waited_ns = text.split(' ').nth(1).and_then(|field| field.parse().ok());
    Duration::from_nanos(waited_ns.unwrap_or(0))
}

/// This thread's directory in /proc.
fn this_thread() -> PathBuf {
    Path::new("/proc").join(std::fs::read_link("/proc/thread-self").unwrap())
}

/// How long calls took, shortest first, without the time in which the node or we waited for a CPU: that says how busy
/// the machine is, not how busy the node. Those in the middle are sent but once.
fn served(node: &Answering, calls: usize) -> Vec<Duration> {
    let (theirs, ours) = (node.thread.as_path(), this_thread());
    let waited = || waited_for_cpu(theirs) + waited_for_cpu(&ours);
    let mut placed: Vec<Placed> = (0..calls)
        .map(|number| {
            let before = waited();
            let placed = call_by_udp(node.address, &format!("c{number}"));
            let took = placed.took.saturating_sub(waited().saturating_sub(before));
            Placed { took, ..placed }
        })
        .collect();
    placed.sort_unstable();
    let (middle, slowest) = (placed[calls / 2], placed[calls - 1]);
    println!("{calls} calls: {middle:?}, slowest {slowest:?}");
    assert_eq!(middle.invites, 1, "{placed:?}");
    placed.into_iter().map(|call| call.took).collect()
}

fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut text, mut buffer) = (String::new(), [0; 4_096]);
    while !text.contains(wanted) {
        let length = stream.read(&mut buffer).expect("more of the stream");
        assert!(length > 0, "closed after {text}");
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    text
}

fn is_closed(stream: &mut TcpStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).unwrap();
    let mut buffer = [0; 4_096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn a_call_by_udp_is_set_up_and_cleared() {
    let node = answering("127.0.0.0/8");
    call_by_udp(node.address, "one");
    let kinds: Vec<Event> = node.events.iter().take(3).collect();
    assert!(matches!(
        kinds[..],
        [Event::Incoming(_), Event::Confirmed { .. }, Event::Ended { .. }]
    ));
}

#[test]
fn a_call_by_tcp_stays_on_its_connection() {
    let node = answering("127.0.0.0/8");
    let mut stream = TcpStream::connect(node.address).unwrap();
    let port = stream.local_addr().unwrap().port();
    stream
        .write_all(request("INVITE", "TCP", port, "t", "", 1).as_bytes())
        .unwrap();
    let answer = read_until(&mut stream, "m=audio");
    assert!(answer.contains("SIP/2.0 100 Trying") && answer.contains("SIP/2.0 200 OK"));
    let contact = format!("Contact: <sip:{};transport=tcp>", node.address);
    assert!(answer.contains(&contact), "{answer}");
    let tag = answer
        .rsplit("tag=")
        .next()
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap()
        .to_owned();
    stream
        .write_all(request("ACK", "TCP", port, "t", &tag, 1).as_bytes())
        .unwrap();
    stream
        .write_all(request("BYE", "TCP", port, "t", &tag, 2).as_bytes())
        .unwrap();
    read_until(&mut stream, "2 BYE");
}

#[test]
fn two_nodes_call_each_other_by_tcp_and_by_udp() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let node = answering("127.0.0.0/8");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut caller = Signal::bind(SignalConfig {
                listen: vec!["127.0.0.1:0".parse().unwrap()],
                // Whom we dial may answer although nobody else may speak to us.
                trusted: vec!["192.0.2.1".to_owned()],
                product: "test".to_owned(),
                max_legs: 10,
                tcp_idle: Duration::from_secs(120),
            })
            .await
            .unwrap();
            let leg = caller.allocate_leg();
            let flow = caller.flow_to(transport, node.address).unwrap();
            caller
                .command(Command::Invite(Invite {
                    leg,
                    flow,
                    to_uri: format!("sip:x@{}", node.address),
                    from_uri: "sip:a@127.0.0.1".to_owned(),
                    from_display: String::new(),
                    headers: Vec::new(),
                    body: SDP.to_owned(),
                    ring_timeout: PATIENCE,
                    response_timeout: None,
                }))
                .unwrap();
            loop {
                let event = tokio::time::timeout(PATIENCE, caller.next()).await.expect("an event");
                match event {
                    Event::Answered { leg: answered, .. } if answered == leg => break,
                    Event::Trace { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
            caller
                .command(Command::Hangup {
                    leg,
                    status: 0,
                    reason: String::new(),
                    headers: Vec::new(),
                })
                .unwrap();
            caller.shutdown().await;
        });
        let told: Vec<Event> = node.events.iter().take(3).collect();
        assert!(
            matches!(
                told[..],
                [Event::Incoming(_), Event::Confirmed { .. }, Event::Ended { .. }]
            ),
            "{told:?}"
        );
    }
}

#[test]
fn a_stranger_gets_nothing_by_udp_and_is_closed_by_tcp() {
    let node = answering("127.0.0.2");
    let socket = peer();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let port = socket.local_addr().unwrap().port();
    socket
        .send_to(request("OPTIONS", "UDP", port, "s", "", 1).as_bytes(), node.address)
        .unwrap();
    let mut buffer = [0; 64];
    assert!(socket.recv_from(&mut buffer).is_err());
    let mut stream = TcpStream::connect(node.address).unwrap();
    assert!(is_closed(&mut stream, PATIENCE));
}

#[test]
fn a_tcp_peer_that_sends_thousands_and_reads_nothing_slows_nobody() {
    let node = answering("127.0.0.0/8");
    let address = node.address;
    let flooder = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        let port = stream.local_addr().unwrap().port();
        let mut sent = 0;
        for number in 0..20_000 {
            let text = request("OPTIONS", "TCP", port, &format!("f{number}"), "", 1);
            if stream.write_all(text.as_bytes()).is_err() {
                break;
            }
            sent += 1;
        }
        sent
    });
    let took = served(&node, 50);
    assert!(took[49] < Duration::from_millis(500), "{took:?}");
    let sent = flooder.join().unwrap();
    assert!(sent < 20_000, "who does not read is closed");
    call_by_udp(node.address, "after");
}

#[test]
fn one_trunk_has_as_many_calls_a_second_as_it_likes() {
    let node = answering("127.0.0.0/8");
    let trunk = peer();
    let begun = Instant::now();
    for number in 0..600 {
        call_on(&trunk, node.address, &format!("t{number}"));
    }
    println!("{:.0} calls a second", 600.0 / begun.elapsed().as_secs_f64());
}

#[test]
fn behind_a_hundred_calls_of_one_source_that_of_another_is_served_next() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let others = ["127.0.0.1:0", "127.0.0.2:0"].map(|address| UdpSocket::bind(address).unwrap());
    for (number, other) in others.iter().enumerate() {
        let order = runtime.block_on(async {
            let mut signal = Signal::bind(SignalConfig {
                listen: vec!["127.0.0.1:0".parse().unwrap()],
                trusted: vec!["127.0.0.0/8".to_owned()],
                product: "test".to_owned(),
                max_legs: 2_000,
                tcp_idle: TCP_IDLE,
            })
            .await
            .unwrap();
            // All of it waits in the kernel, in its order, before the first is read.
            let flooder = peer();
            for (socket, id, count) in [(&flooder, "flood", 100), (other, "other", 1), (&flooder, "later", 1)] {
                let port = socket.local_addr().unwrap().port();
                for call in 0..count {
                    let text = request("INVITE", "UDP", port, &format!("{id}{call}"), "", 1);
                    socket.send_to(text.as_bytes(), signal.udp_address()).unwrap();
                }
            }
            let mut order = Vec::new();
            while !order.contains(&"later0".to_owned()) {
                let event = tokio::time::timeout(PATIENCE, signal.next()).await.expect("an event");
                if let Event::Incoming(incoming) = event {
                    order.push(incoming.call_id);
                }
            }
            order
        });
        println!("{order:?}");
        assert!(order.len() > 90, "{number}: the kernel lost the flood");
        let place = order.iter().position(|id| id == "other0").unwrap();
        assert!(place <= 1, "{number}: place {place} of {order:?}");
    }
}

#[test]
fn beside_a_flood_by_udp_calls_are_answered_in_time() {
    for method in ["OPTIONS", "INVITE"] {
        let node = answering("127.0.0.0/8");
        let address = node.address;
        let (stop, stopped) = mpsc::channel::<()>();
        let flooder = std::thread::spawn(move || {
            let socket = peer();
            socket.set_nonblocking(true).unwrap();
            let port = socket.local_addr().unwrap().port();
            let (mut sent, begun, mut buffer) = (0_u32, Instant::now(), [0; 4_096]);
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) && begun.elapsed() < Duration::from_secs(30) {
                if cfg!(debug_assertions) && f64::from(sent) > 5_000.0 * begun.elapsed().as_secs_f64() {
                    // As much as a build without optimisation drops on half a slow CPU: the kernel has no fair turns.
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                let text = request(method, "UDP", port, &format!("u{sent}"), "", 1);
                let _ = socket.send_to(text.as_bytes(), address);
                let _ = socket.recv(&mut buffer);
                sent += 1;
            }
            f64::from(sent) / begun.elapsed().as_secs_f64()
        });
        std::thread::sleep(Duration::from_millis(500));
        let took = served(&node, 30);
        drop(stop);
        assert!(took[15] < T1, "{method}: {took:?}");
        assert!(took[29] < Duration::from_millis(2_500), "{method}: {took:?}");
        println!("{method}: {:.0} a second", flooder.join().unwrap());
    }
}

#[test]
fn pings_are_answered_and_what_cannot_be_framed_is_told_and_closed() {
    let node = answering("127.0.0.0/8");
    let mut stream = TcpStream::connect(node.address).unwrap();
    stream.write_all(b"\r\n\r\n").unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
    let text = request("OPTIONS", "TCP", 5060, "p", "", 1).replace("Content-Length: 0", "Content-Length: 99999999");
    stream.write_all(text.as_bytes()).unwrap();
    let refusal = read_until(&mut stream, "\r\n\r\n");
    assert!(
        refusal.starts_with("SIP/2.0 400 The message is longer than 64 KiB"),
        "{refusal}"
    );
    assert!(is_closed(&mut stream, PATIENCE));
}

#[test]
fn a_tcp_connection_that_nobody_uses_is_closed_and_a_ping_keeps_it() {
    let node = answering("127.0.0.0/8");
    let connect = |id: &str, method: &str| {
        let mut stream = TcpStream::connect(node.address).unwrap();
        let port = stream.local_addr().unwrap().port();
        stream
            .write_all(request(method, "TCP", port, id, "", 1).as_bytes())
            .unwrap();
        read_until(&mut stream, "SIP/2.0 200 ");
        stream
    };
    let begun = Instant::now();
    let idle = connect("i", "OPTIONS");
    let closing = std::thread::spawn(move || {
        let mut idle = idle;
        (
            is_closed(&mut idle, PATIENCE),
            begun.elapsed(),
            waited_for_cpu(&this_thread()),
        )
    });
    let (mut pinging, mut calling) = (connect("p", "OPTIONS"), connect("c", "INVITE"));
    for _ in 0..6 {
        std::thread::sleep(Duration::from_millis(500));
        pinging.write_all(b"\r\n\r\n").unwrap();
    }
    let (is_over, took, ours) = closing.join().unwrap();
    assert!(is_over && took >= TCP_IDLE, "{took:?}");
    let served = took.saturating_sub(ours + waited_for_cpu(&node.thread));
    assert!(
        served < 2 * TCP_IDLE,
        "closed after {served:?} in which there was a CPU"
    );
    assert!(!is_closed(&mut pinging, Duration::from_millis(100)));
    assert!(!is_closed(&mut calling, Duration::from_millis(100)));
}

#[test]
fn a_call_to_a_port_where_nobody_listens_ends_within_two_seconds() {
    let dead = peer().local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut caller = Signal::bind(SignalConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            trusted: vec!["127.0.0.0/8".to_owned()],
            product: "test".to_owned(),
            max_legs: 10,
            tcp_idle: Duration::from_secs(120),
        })
        .await
        .unwrap();
        let leg = caller.allocate_leg();
        let flow = caller.flow_to(Transport::Udp, dead).unwrap();
        caller
            .command(Command::Invite(Invite {
                leg,
                flow,
                to_uri: format!("sip:x@{dead}"),
                from_uri: "sip:a@127.0.0.1".to_owned(),
                from_display: String::new(),
                headers: Vec::new(),
                body: SDP.to_owned(),
                ring_timeout: Duration::from_secs(60),
                response_timeout: None,
            }))
            .unwrap();
        let (begun, waited) = (Instant::now(), waited_for_cpu(&this_thread()));
        let cause = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Event::Ended { cause, .. } = caller.next().await {
                    return cause;
                }
            }
        });
        assert_eq!(cause.await, Ok(LegEndCause::Unreachable));
        let took = begun
            .elapsed()
            .saturating_sub(waited_for_cpu(&this_thread()).saturating_sub(waited));
        println!("nobody there: told after {took:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
    });
}

#[test]
fn one_address_gets_32_connections() {
    let node = answering("127.0.0.0/8");
    let mut streams: Vec<TcpStream> = (0..33).map(|_| TcpStream::connect(node.address).unwrap()).collect();
    assert!(is_closed(streams.last_mut().unwrap(), PATIENCE));
    streams[0].write_all(b"\r\n\r\n").unwrap();
    read_until(&mut streams[0], "\r\n");
    call_by_udp(node.address, "still");
}

#[test]
fn garbage_leaves_the_port_serving() {
    let node = answering("127.0.0.0/8");
    let socket = peer();
    let mut state = 0x5EED_u64;
    for length in 0..500_usize {
        let garbage: Vec<u8> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        socket.send_to(&garbage, node.address).unwrap();
    }
    call_by_udp(node.address, "alive");
}
