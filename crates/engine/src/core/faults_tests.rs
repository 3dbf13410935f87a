//! How a fault of a thread that core does not see comes to be told.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use offhook_words::{Encoding, Interrupt, Side, Source};

use super::*;
use crate::media::{LegKey, MediaCommand};

const LEG: LegKey = LegKey(9);
const LIMIT: Duration = Duration::from_secs(20);

/// A pool with a leg, whose decoder meets a fault with each file.
fn faulty(root: &std::path::Path, peer: &UdpSocket) -> MediaPool {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut config = MediaConfig::new(root.join("prompts"), root.join("recordings"));
    (config.threads, config.stats_interval) = (1, Duration::from_millis(40));
    let opener = Arc::new(|_: &str| panic!("a fault, as the test wants it"));
    let mut pool = MediaPool::with_prompts(config, opener, Box::new(|| {})).unwrap();
    let port = pool.bind(ip).unwrap();
    pool.open(LEG, port).unwrap();
    let stream = media::stream_of_tests::parameters(peer.local_addr().unwrap());
    pool.connect(LEG, stream).unwrap();
    pool
}

fn play(id: u64) -> MediaCommand {
    MediaCommand::Play {
        id,
        leg: LEG,
        sources: vec![Source::File {
            prompt: "a".to_owned(),
            encoding: Encoding::Auto,
            rate_hz: 8000,
            growing: false,
        }],
        side: Side::Heard,
        volume_db: 0.0,
        loops: 1,
        more: false,
        interrupt: Interrupt {
            digit: false,
            speech: false,
        },
    }
}

/// The highest count in the statistics that were queued since.
fn told(outbox: &RefCell<Outbox>) -> u64 {
    let mut bytes = Vec::new();
    outbox.borrow_mut().take(&mut bytes);
    let (mut rest, mut panics) = (bytes.as_slice(), 0);
    while let Some((size, behind)) = rest.split_first_chunk::<4>() {
        let (frame, behind) = behind.split_at(u32::from_be_bytes(*size) as usize);
        let report: serde_json::Value = rmp_serde::from_slice(frame).unwrap();
        panics = panics.max(report.get("panics").map_or(0, |panics| panics.as_u64().unwrap()));
        rest = behind;
    }
    panics
}

#[test]
fn panics_of_decoders_are_in_the_statistics_and_do_not_count_towards_the_end_of_the_process() {
    let root = std::env::temp_dir().join(format!("oh-core-{}", std::process::id()));
    for name in ["prompts", "recordings"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
    }
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o700)).unwrap();
    let line = format!(
        "--socket {0}/s --secret-fd 3 --prompts {0}/prompts --recordings {0}/recordings --sip-udp 127.0.0.1:0",
        root.display()
    );
    let config = Config::parse(line.split_whitespace().map(str::to_owned)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let log = Log::to_stderr().unwrap();
        let mut core = Core::start(config, vec![0; 32], log).await.unwrap();
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        core.media = faulty(&root, &peer);
        let nothing = ReportBody::Reply { op: 0, error: None };
        assert!(core.outbox.borrow_mut().connect([nothing], 0));
        let (began, mut seen, plays) = (Instant::now(), 0, MOST_PANICS + 20);
        // As many as may run at once, and more when these ended.
        for first in (1..=plays).step_by(12) {
            let ids = first..(first + 12).min(plays + 1);
            ids.clone().for_each(|id| core.media.command(play(id)).unwrap());
            while ids.clone().any(|id| core.media.runs(id)) {
                assert!(began.elapsed() < LIMIT, "{} panics were told", core.faults);
                core.drain_media();
                std::thread::yield_now();
            }
        }
        while seen < plays {
            assert!(began.elapsed() < LIMIT, "{seen} panics are in the statistics");
            core.drain_media();
            seen = seen.max(told(&core.outbox));
            std::thread::yield_now();
        }
        assert_eq!((seen, core.panics, core.is_over()), (plays, 0, None));
    });
    std::fs::remove_dir_all(&root).unwrap();
}
