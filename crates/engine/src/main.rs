//! The media and SIP process that an offhook node starts and talks to.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;
use std::sync::Arc;

use offhook_engine::config::{Config, USAGE};
use offhook_engine::core::Core;
use offhook_engine::descriptors;
use offhook_engine::log::Log;
use serde_json::json;
use tokio::sync::Notify;

const SECRET_BYTES: usize = 32;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        return write_line(&mut std::io::stdout(), USAGE);
    }
    if arguments.iter().any(|argument| argument == "--version") {
        return write_line(&mut std::io::stdout(), env!("CARGO_PKG_VERSION"));
    }
    let log = match Log::to_stderr() {
        Ok(log) => log,
        Err(error) => return write_line(&mut std::io::stderr(), &format!("no thread for the log: {error}")),
    };
    let panics = log.clone();
    std::panic::set_hook(Box::new(move |panic| {
        // The place alone: the words may hold what a person said.
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        panics.error("panic", &[("place", json!(place))]);
    }));
    let outcome = Config::parse(arguments).and_then(|config| {
        let log = log.clone().telling_all(config.logs_all);
        run(config, &log)
    });
    let code = match outcome {
        Ok(code) => code,
        Err(sentence) => {
            log.error("engine cannot run", &[("why", json!(sentence))]);
            2
        }
    };
    log.flush();
    ExitCode::from(code)
}

fn write_line(to: &mut impl Write, text: &str) -> ExitCode {
    match writeln!(to, "{}", text.trim_end()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Take no more calls than there are descriptors for.
fn fit(config: &mut Config, log: &Log) {
    let limit = descriptors::raise_limit();
    let calls = descriptors::calls_for(limit);
    if calls < config.max_legs {
        let needed = descriptors::needed_for(config.max_legs);
        log.warning(
            "too few descriptors for engine.max_calls: raise the hard limit of open files (LimitNOFILE=, ulimit -Hn)",
            &[
                ("limit", json!(limit)),
                ("needed", json!(needed)),
                ("max_calls", json!(config.max_legs)),
                ("calls", json!(calls)),
            ],
        );
        config.max_legs = calls;
    }
}

fn run(mut config: Config, log: &Log) -> Result<u8, String> {
    fit(&mut config, log);
    let secret = read_secret(config.secret_fd)?;
    let lifeline = Arc::new(Notify::new());
    if let Some(fd) = config.lifeline_fd {
        watch(fd, Arc::clone(&lifeline))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no event loop: {error}"))?;
    let ready_fd = config.ready_fd;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let core = Core::start(config, secret, log.clone())
            .await
            .map_err(|error| error.to_string())?;
        let mut beat = None;
        if let Some(fd) = ready_fd {
            // What nobody reads is lost, and keeps nobody waiting.
            let options = &mut File::options();
            let options = options
                .write(true)
                .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
            let mut pipe = descriptor(fd, options)?;
            writeln!(pipe, "ready").map_err(|error| format!("--ready-fd cannot be written: {error}"))?;
            beat = Some(pipe);
        }
        core.run(lifeline, beat).await.map_err(|error| error.to_string())
    })
}

/// An inherited pipe, opened anew by its number.
fn descriptor(fd: u32, options: &std::fs::OpenOptions) -> Result<File, String> {
    options
        .open(format!("/dev/fd/{fd}"))
        .map_err(|error| format!("descriptor {fd} is not a pipe that was handed to this process: {error}"))
}

fn read_secret(fd: u32) -> Result<Vec<u8>, String> {
    let mut secret = Vec::new();
    let pipe = descriptor(fd, File::options().read(true))?;
    let limit = SECRET_BYTES as u64 + 1;
    pipe.take(limit)
        .read_to_end(&mut secret)
        .map_err(|error| format!("--secret-fd cannot be read: {error}"))?;
    if secret.len() == SECRET_BYTES {
        Ok(secret)
    } else {
        Err(format!("the secret must be {SECRET_BYTES} bytes"))
    }
}

/// Tell when the other end of the pipe closes.
fn watch(fd: u32, cut: Arc<Notify>) -> Result<(), String> {
    let mut pipe = descriptor(fd, File::options().read(true))?;
    let watching = move || {
        let mut bytes = [0; 64];
        // Any error is an end too.
        while pipe.read(&mut bytes).is_ok_and(|count| count > 0) {}
        cut.notify_one();
    };
    let thread = std::thread::Builder::new().name("lifeline".to_owned()).spawn(watching);
    thread
        .map(drop)
        .map_err(|error| format!("no thread for the lifeline: {error}"))
}
