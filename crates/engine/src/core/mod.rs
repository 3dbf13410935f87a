//! Where control socket, SIP and media meet: legs, what a report says, how the process ends.

mod calls;
mod convert;
mod events;
mod farewells;
mod held;
mod legs;
mod names;
mod operations;
mod pace;
mod patience;
mod shutdown;
mod snapshot;

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::{Notify, mpsc};

use crate::config::Config;
use crate::control::wire::{CONTROL_VERSION, LegEnded, LegState, ReportBody};
use crate::control::{ControlEvent, ControlListener, Controller, Greeting, Outbox};
use crate::log::Log;
use crate::media::{self, MediaConfig, MediaPool};
use crate::signal::{Signal, SignalConfig};

use farewells::Farewells;
use legs::Legs;
use names::{DonePrompts, LateTraces};
use offhook_words::{EndedBy, LegEndCause};
use patience::Patience;
use shutdown::Ending;

const TICK: Duration = Duration::from_millis(200);

/// Exit code when no node came back in time.
pub const EXIT_ORPHANED: u8 = 3;

/// Exit code when faults do not end.
pub const EXIT_FAULTY: u8 = 4;

/// A fault that comes back for ever is better met by a fresh process.
const MOST_PANICS: u64 = 100;

/// How often it is said at most that the node falls behind.
const STRAIN_TOLD_EVERY: Duration = Duration::from_secs(10);

/// The engine: made once, run to its end.
pub struct Core {
    config: Config,
    log: Log,
    signal: Signal,
    media: MediaPool,
    media_wake: Arc<Notify>,
    control: ControlListener,
    control_events: mpsc::Receiver<ControlEvent>,
    controller: Option<Controller>,
    highest_epoch: u64,
    alone_since: Option<Instant>,
    outbox: Rc<RefCell<Outbox>>,
    legs: Legs,
    farewells: Farewells,
    boot: String,
    done_prompts: DonePrompts,
    late_traces: LateTraces,
    panics: u64,
    /// Panics that the content of a file may have caused: each ended one operation, and none ends the process.
    faults: u64,
    ending: Option<Ending>,
    beat: Option<File>,
    ticks: u64,
    /// How long the node has let a report wait for its ack.
    patience: Patience,
    /// When it was said last that the node falls behind.
    strain_told: Option<Instant>,
}

enum Turn {
    Control(Option<ControlEvent>),
    Sip(offhook_sip::Event),
    SipPanic,
    Media,
    Tick,
    Tell,
    Terminate,
    LifelineCut,
}

/// A recording of an engine that died.
fn log_recovered(log: &Log, found: &media::Recovered) {
    let name = json!(found.recording);
    match &found.outcome {
        Ok(duration_ms) => log.warning(
            "a recording of an engine that died is finished",
            &[("recording", name), ("duration_ms", json!(duration_ms))],
        ),
        Err(error) => log.error(
            "a recording of an engine that died stays unfinished",
            &[("recording", name), ("why", json!(error.to_string()))],
        ),
    }
}

impl Core {
    /// Open the directories, start media, listen. Must run in a `LocalSet`.
    pub async fn start(config: Config, secret: Vec<u8>, log: Log) -> io::Result<Self> {
        let media_wake = Arc::new(Notify::new());
        let waker = Arc::clone(&media_wake);
        for found in media::recover(&config.recordings)? {
            log_recovered(&log, &found);
        }
        let media = MediaPool::start(
            MediaConfig {
                ports: config.rtp_ports.clone(),
                media_timeout: config.media_timeout,
                max_legs: config.max_legs,
                ..MediaConfig::new(config.prompts.clone(), config.recordings.clone())
            },
            Box::new(move || waker.notify_one()),
        )?;
        let mut signal = Signal::bind(signal_config(&config)).await?;
        signal.set_open(Some(shutdown::NO_NODE.to_owned()));
        signal.set_traced(false);
        let (farewells, left) = Farewells::open(&config.socket)?;
        for (leg, farewell) in left {
            let is_sent = signal.send_farewell(&farewell);
            log.warning(
                "a call of an engine that died is ended",
                &[("leg", json!(leg)), ("bye_sent", json!(is_sent))],
            );
        }
        let (control, control_events) = ControlListener::bind(&config.socket, secret).map_err(io::Error::other)?;
        let started_s = now_us() / 1_000_000;
        Ok(Self {
            boot: random_uuid()?,
            // Numbers go on growing over restarts: what a node saw of an engine before is never mistaken for ours.
            outbox: Rc::new(RefCell::new(Outbox::starting_at(started_s << 20))),
            config,
            log,
            signal,
            media,
            media_wake,
            control,
            control_events,
            controller: None,
            highest_epoch: 0,
            alone_since: Some(Instant::now()),
            legs: Legs::default(),
            farewells,
            done_prompts: DonePrompts::default(),
            late_traces: LateTraces::default(),
            panics: 0,
            faults: 0,
            ending: None,
            beat: None,
            ticks: 0,
            strain_told: None,
            patience: Patience::default(),
        })
    }

    /// Run until a signal, the lifeline or loneliness ends it; returns the exit code.
    ///
    /// `beat` gets a byte each second, as long as this loop and the media threads turn: who started this process watches for it.
    pub async fn run(mut self, lifeline: Arc<Notify>, beat: Option<File>) -> io::Result<u8> {
        self.beat = beat;
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        let mut tell = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1())?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let media_wake = Arc::clone(&self.media_wake);
        self.log.info(
            "engine listens",
            &[
                ("sip_udp", json!(self.signal.udp_address())),
                ("boot", json!(self.boot)),
            ],
        );
        loop {
            let turn = tokio::select! {
                event = self.control_events.recv() => Turn::Control(event),
                event = caught(self.signal.next()) => event.map_or(Turn::SipPanic, Turn::Sip),
                () = media_wake.notified() => Turn::Media,
                _ = tick.tick() => Turn::Tick,
                _ = tell.recv() => Turn::Tell,
                _ = terminate.recv() => Turn::Terminate,
                _ = interrupt.recv() => Turn::Terminate,
                () = lifeline.notified() => Turn::LifelineCut,
            };
            self.take(turn);
            self.flush();
            if let Some(code) = self.is_over() {
                self.log.info(
                    "engine ends",
                    &[("code", json!(code)), ("legs_left", json!(self.legs.len()))],
                );
                self.signal.shutdown().await;
                return Ok(code);
            }
        }
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Control(Some(ControlEvent::Hello(greeting))) => self.greeted(greeting),
            Turn::Control(Some(ControlEvent::Operation(epoch, operation))) => {
                if self
                    .controller
                    .as_ref()
                    .is_some_and(|controller| controller.epoch == epoch)
                {
                    self.guarded(None, |core| core.operation(*operation));
                }
            }
            Turn::Control(Some(ControlEvent::Gone(epoch, why))) => self.gone(epoch, &why),
            Turn::Control(None) => {}
            Turn::Sip(event) => {
                let leg = calls::leg_of(&event);
                let key = leg.and_then(|leg| self.legs.by_sip(leg)).map(|leg| leg.media);
                self.guarded(key, |core| core.sip(event));
            }
            Turn::SipPanic => self.sip_panicked(),
            Turn::Media => self.drain_media(),
            Turn::Tick => self.tick(),
            Turn::Tell => self.tell_held(),
            Turn::Terminate => self.end_all("shutting down", 0, shutdown::TERMINATE_GRACE),
            Turn::LifelineCut => self.end_all("shutting down", 0, shutdown::LIFELINE_GRACE),
        }
    }

    fn drain_media(&mut self) {
        while let Some(event) = self.media.poll_event() {
            let key = events::leg_of(&event);
            self.guarded(key, |core| core.media_event(event));
        }
    }

    /// A panic ends one call, is counted, and is a bug.
    fn guarded(&mut self, leg: Option<media::LegKey>, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_ok() {
            return;
        }
        self.panics += 1;
        self.log.error("panic in core", &[("panics", json!(self.panics))]);
        if let Some(key) = leg {
            self.condemn(key, LegEndCause::Error, 500, "a fault of the engine ended this call");
        }
    }

    /// What SIP was at is lost; the other calls go on, unless it happens again and again.
    fn sip_panicked(&mut self) {
        self.panics += 1;
        self.log.error("panic in signal", &[("panics", json!(self.panics))]);
        if self.panics > MOST_PANICS {
            self.end_all("a fault of the engine", EXIT_FAULTY, shutdown::TERMINATE_GRACE);
        }
    }

    // --- the node ------------------------------------------------------------------------------------------------

    fn greeted(&mut self, greeting: Greeting) {
        let hello = &greeting.hello;
        if hello.version != CONTROL_VERSION {
            let sentence = format!("this engine speaks version {CONTROL_VERSION} of the control protocol");
            return greeting.refuse(&sentence);
        }
        if hello.epoch <= self.highest_epoch {
            return greeting.refuse("a controller with this epoch or a newer one was here; start with a newer epoch");
        }
        self.highest_epoch = hello.epoch;
        self.signal.set_traced(hello.traces);
        let last_seq = hello.last_seq;
        let welcome = self.welcome();
        self.controller = None;
        self.log.info(
            "node connected",
            &[("epoch", json!(hello.epoch)), ("legs", json!(self.legs.len()))],
        );
        if !self.outbox.borrow_mut().connect(welcome, last_seq) {
            self.log.error("a welcome could not be encoded", &[]);
            return;
        }
        self.controller = Some(self.control.adopt(greeting, Rc::clone(&self.outbox)));
        self.alone_since = None;
        self.patience = Patience::default();
        self.set_open();
    }

    /// All that lives, in as many frames as it takes.
    fn welcome(&self) -> Vec<ReportBody> {
        let now = Instant::now();
        let mut parts = snapshot::in_frames(self.legs.iter().map(|leg| leg.snapshot(now)));
        let last = parts.pop().unwrap_or_default();
        let welcome = |legs, more| ReportBody::Welcome {
            version: CONTROL_VERSION,
            boot: self.boot.clone(),
            sip_udp: self.signal.udp_address().to_string(),
            sip_tcp: self.signal.tcp_address().to_string(),
            legs,
            more,
        };
        let mut welcomes: Vec<_> = parts.into_iter().map(|legs| welcome(legs, true)).collect();
        welcomes.push(welcome(last, false));
        welcomes
    }

    fn gone(&mut self, epoch: u64, why: &str) {
        if self
            .controller
            .as_ref()
            .is_some_and(|controller| controller.epoch == epoch)
        {
            self.lose_node(why);
        }
    }

    fn lose_node(&mut self, why: &str) {
        self.log.warning("node lost", &[("why", json!(why))]);
        self.controller = None;
        self.outbox.borrow_mut().disconnect();
        self.alone_since = Some(Instant::now());
        self.set_open();
    }

    /// Take new calls, or say why not.
    fn set_open(&mut self) {
        let refusal = if self.ending.is_some() {
            Some(shutdown::ENDS)
        } else if self.controller.is_none() {
            Some(shutdown::NO_NODE)
        } else if self.patience.is_over() {
            Some(shutdown::SILENT_NODE)
        } else {
            None
        };
        self.signal.set_open(refusal.map(str::to_owned));
    }

    fn report(&mut self, body: ReportBody) {
        if !self.outbox.borrow_mut().push(body) {
            self.log.error("a report could not be encoded", &[]);
        }
    }

    fn flush(&mut self) {
        let (has_waiting, is_over_limit, is_behind) = {
            let outbox = self.outbox.borrow();
            (outbox.has_waiting(), outbox.is_over_limit(), outbox.is_behind())
        };
        self.strain(is_behind);
        if is_over_limit && self.controller.is_some() {
            self.lose_node("it neither reads nor acks: 16 MiB wait");
        } else if has_waiting && let Some(controller) = &self.controller {
            controller.wake();
        }
    }

    fn strain(&mut self, is_behind: bool) {
        self.signal.set_strained(is_behind);
        let is_due = || self.strain_told.is_none_or(|at| at.elapsed() >= STRAIN_TOLD_EVERY);
        if is_behind && self.controller.is_some() && is_due() {
            self.strain_told = Some(Instant::now());
            self.log.warning(
                "the node falls behind: a source has 50 new calls a second, those beyond get 503",
                &[("kept_bytes", json!(self.outbox.borrow().kept_bytes()))],
            );
        }
    }

    // --- how a leg ends ------------------------------------------------------------------------------------------

    /// End a leg for a reason of ours that its dialog cannot tell.
    fn condemn(&mut self, key: media::LegKey, cause: LegEndCause, status: u16, reason: &str) {
        if let Some(leg) = self.legs.get_mut(key) {
            leg.verdict.get_or_insert_with(|| LegEnded {
                leg: leg.id.clone(),
                by: EndedBy::Local,
                cause,
                status,
                reason: reason.to_owned(),
                stats: None,
                label: String::new(),
            });
            self.hang_up(key, status, reason);
        }
    }

    /// End the dialog the way its state asks for; its media is silent at once.
    fn hang_up(&mut self, key: media::LegKey, status: u16, reason: &str) {
        let Some(leg) = self.legs.get_mut(key) else {
            return;
        };
        leg.state = LegState::Ending;
        let command = offhook_sip::Command::Hangup {
            leg: leg.sip,
            status,
            reason: reason.to_owned(),
            headers: Vec::new(),
        };
        if let Err(error) = self.signal.command(command) {
            self.log
                .error("a dialog could not be ended", &[("why", json!(error.to_string()))]);
            if let Some(leg) = self.legs.get_mut(key) {
                // Nobody will tell of its end: it must not stay for ever.
                leg.ended.get_or_insert_with(|| ended_in_error(&leg.id));
            }
        }
        self.close_media(key);
    }

    fn close_media(&mut self, key: media::LegKey) {
        if let Some(leg) = self.legs.get_mut(key)
            && !leg.media_closing
        {
            leg.media_closing = true;
            self.media.close(key);
        }
    }

    /// Report the end once dialog and media are both gone.
    fn finish(&mut self, key: media::LegKey) {
        let Some(leg) = self.legs.get(key) else { return };
        let (Some(ended), true) = (leg.ended.clone(), leg.media_closed) else {
            return;
        };
        let Some(leg) = self.legs.remove(key) else { return };
        if let Err(error) = self.farewells.forget(&leg.id) {
            self.log.warning(
                "a farewell could not be forgotten",
                &[("why", json!(error.to_string()))],
            );
        }
        self.late_traces.ended(leg.sip, leg.id);
        let ended = LegEnded {
            stats: leg.last_stats,
            label: leg.label,
            ..leg.verdict.unwrap_or(ended)
        };
        let fields = [
            ("leg", json!(ended.leg)),
            ("cause", json!(ended.cause)),
            ("status", json!(ended.status)),
        ];
        match ended.cause {
            LegEndCause::Bye | LegEndCause::Cancel | LegEndCause::Rejected | LegEndCause::Fork => {
                self.log.debug("leg ended", &fields);
            }
            _ => self.log.info("leg ended", &fields),
        }
        self.report(ReportBody::LegEnded(Box::new(ended)));
    }
}

/// Wait for what may panic; `None` if it did. It is not asked again.
async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Ready(outcome)) => Poll::Ready(Some(outcome)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        },
    )
    .await
}

fn ended_in_error(leg: &str) -> LegEnded {
    LegEnded {
        leg: leg.to_owned(),
        by: EndedBy::Nobody,
        cause: LegEndCause::Error,
        status: 500,
        reason: "a fault of the engine".to_owned(),
        stats: None,
        label: String::new(),
    }
}

fn signal_config(config: &Config) -> SignalConfig {
    SignalConfig {
        listen: vec![config.sip_udp],
        trusted: config.trust.clone(),
        product: concat!("offhook/", env!("CARGO_PKG_VERSION")).to_owned(),
        max_legs: config.max_legs,
        tcp_idle: config.tcp_idle,
    }
}

/// Microseconds of the Unix epoch.
pub(crate) fn now_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// A version 4 UUID (RFC 9562 section 5.4).
fn random_uuid() -> io::Result<String> {
    let bits = u128::from_be_bytes(random()?);
    let bits = bits & !(0xf << 76) | (0x4 << 76);
    let bits = bits & !(0x3 << 62) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let mut text = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::panic)] // what happens then is what is tested
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_outcome_and_the_loop_goes_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.unwrap_or_else(|error| unreachable!("{error}"));
        runtime.block_on(async {
            assert_eq!(caught(async { 7 }).await, Some(7));
            let falls = async {
                tokio::task::yield_now().await;
                std::panic::panic_any("a fault")
            };
            assert_eq!(caught::<()>(falls).await, None);
            assert_eq!(caught(async { 8 }).await, Some(8));
        });
    }

    #[test]
    fn names_are_version_4_uuids_and_differ() {
        let names: Vec<String> = (0..100).filter_map(|_| random_uuid().ok()).collect();
        assert_eq!(names.len(), 100);
        for name in &names {
            let parts: Vec<&str> = name.split('-').collect();
            assert_eq!(
                parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
                [8, 4, 4, 4, 12]
            );
            assert!(parts.get(2).is_some_and(|part| part.starts_with('4')));
            assert!(parts.get(3).is_some_and(|part| part.starts_with(['8', '9', 'a', 'b'])));
        }
        assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), 100);
    }
}

#[cfg(test)]
mod faults_tests;
