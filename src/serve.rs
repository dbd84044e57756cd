//! Joins the registry to the reactor: builds the services that are asked for, binds, serves.

mod ask;
pub mod data;

use std::sync::Arc;

use log::LevelFilter;

use crate::cli::{self, ServeArgs};
use crate::config::board;
use crate::config::endpoint::{Endpoint, ListenerSpec};
use crate::config::limits::{LANES_STOP, OUTPUT_FLUSH};
use crate::config::options::Values;
use crate::exit::Exit;
use crate::input;
use crate::lanes::Lanes;
use crate::output::{Descriptors, Output};
use crate::reactor::{self, Reactor, Settings, StartError, UdpOptions, UnixOptions};
use crate::service::{Entry, Hosted};
use crate::services;

/// Serves until a signal, or until the last of `--accepts` is done.
///
/// Everything that can be wrong with the command line is found before anything is bound.
pub fn run(args: &ServeArgs) -> Exit {
    // Descriptors that we were started with (a shell's redirections) are none of the business of
    // the programs that `exec` starts. Our own are never inherited.
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    let plan = match plan(&args.listeners) {
        Ok(plan) => plan,
        Err(problem) => return cli::usage_error(&problem),
    };
    // Nothing of ours is open yet.
    let own = Descriptors::Own;
    let outputs = Output::stdout(own).and_then(|stdout| Ok((stdout, Output::stderr(own)?)));
    let (stdout, stderr) = match outputs {
        Ok(outputs) => outputs,
        Err(error) => {
            use std::io::Write as _;
            // Nobody is left to tell where this fails too.
            let _ = writeln!(std::io::stderr(), "error: can't start a thread: {error}");
            return Exit::Failure;
        }
    };
    start_log(&stderr);
    let exit = match serve(args, plan, &stdout, &stderr) {
        Ok(()) => Exit::Success,
        Err(error) => {
            stderr.write(format!("error: {error}\n").as_bytes());
            Exit::Failure
        }
    };
    stdout.flush(OUTPUT_FLUSH);
    stderr.flush(OUTPUT_FLUSH);
    exit
}

/// One service with the listeners that share it.
struct Planned<'a> {
    entry: &'static Entry,
    host: Box<dyn Hosted>,
    listeners: Vec<(&'a ListenerSpec, UnixOptions, UdpOptions)>,
}

/// Groups the listeners by service and reads their options; the error names the listener.
fn plan(specs: &[ListenerSpec]) -> Result<Vec<Planned<'_>>, String> {
    let mut planned = Vec::new();
    for entry in services::ALL {
        let specs: Vec<_> = specs
            .iter()
            .filter(|spec| spec.service == entry.name)
            .collect();
        if specs.is_empty() {
            continue;
        }
        let values: Vec<Values> = specs.iter().map(|spec| spec.values.clone()).collect();
        let host = (entry.build)(&values)
            .map_err(|error| format!("{}: {}", specs[error.listener], error.error))?;
        let listeners = specs.into_iter().map(|spec| {
            let unix = UnixOptions::from_values(&spec.values);
            let udp = UdpOptions::from_values(&spec.values);
            let both = unix.and_then(|unix| Ok((spec, unix, udp?)));
            both.map_err(|error| format!("{spec}: {error}"))
        });
        let listeners = listeners.collect::<Result<_, _>>()?;
        planned.push(Planned {
            entry,
            host,
            listeners,
        });
    }
    Ok(planned)
}

fn serve(
    args: &ServeArgs,
    mut plan: Vec<Planned<'_>>,
    stdout: &Output,
    stderr: &Output,
) -> Result<(), StartError> {
    reactor::outlive_size_limits()?;
    let given = args.data.clone();
    let data = Box::new(move || data::directory(given.as_deref()).map(Some));
    let (lanes, mut workshop) = Lanes::new(data, Box::new(ask::on_terminal));
    let bell = Arc::clone(&workshop.bell);
    let started = plan.iter_mut().try_for_each(|Planned { entry, host, .. }| {
        host.start(&mut workshop)
            .map_err(|problem| StartError::new(entry.name, problem))
    });
    if let Err(error) = started {
        drop(plan);
        stop(lanes);
        return Err(error);
    }
    let mut reactor = match Reactor::new(settings(args), stdout.clone(), stderr.clone()) {
        Ok(reactor) => reactor,
        Err(error) => {
            drop(plan);
            stop(lanes);
            return Err(error);
        }
    };
    reactor.listen_to_lanes(lanes, &bell);
    let ended = bind(&mut reactor, plan).and_then(|table| {
        reactor.open_files(&mut workshop)?;
        // With it goes the last that could start a thread.
        drop(workshop);
        reactor.open_console(input::start)?;
        stdout.write(table.as_bytes());
        stdout.wake();
        reactor.run()
    });
    let lanes = reactor.take_lanes();
    // The services go first: their lanes end once they have done what they were given.
    drop(reactor);
    if let Some(lanes) = lanes {
        stop(lanes);
    }
    ended
}

/// Lets the lanes finish, so that files are closed in order; their services are gone.
fn stop(lanes: Lanes) {
    if !lanes.stop(LANES_STOP) {
        log::warn!(target: "switchboard", "ending with work under way that took too long");
    }
}

/// Binds every listener; returns the table for standard output.
fn bind(reactor: &mut Reactor, plan: Vec<Planned<'_>>) -> Result<String, StartError> {
    let mut table = String::new();
    for Planned {
        entry,
        host,
        listeners,
    } in plan
    {
        let service = reactor.add_service(entry, host);
        for (place, (spec, unix, udp)) in listeners.into_iter().enumerate() {
            prepare_runtime(spec)?;
            // A command line has fewer than 65,536 words.
            let place = u16::try_from(place).unwrap_or(u16::MAX);
            let endpoints = match &spec.endpoint {
                Endpoint::Udp(at) => reactor.listen_datagrams(service, place, (spec, at), udp)?,
                _ => reactor.listen(service, place, spec, &unix)?,
            };
            for endpoint in endpoints {
                table.push_str(&format!("{} {endpoint}\n", entry.name));
            }
        }
    }
    table.push_str("ready\n");
    Ok(table)
}

fn settings(args: &ServeArgs) -> Settings {
    let allowed = reactor::connections_allowed(args.listeners.len());
    let connections_max = args.max_connections.map_or(allowed, |wanted| {
        if wanted > allowed {
            log::warn!(
                target: "switchboard",
                "--max-connections {wanted}: the descriptor limit allows {allowed}"
            );
        }
        wanted.min(allowed)
    });
    Settings {
        grace: args.grace,
        idle_timeout: (!args.idle_timeout.is_zero()).then_some(args.idle_timeout),
        connections_max,
        descriptors_max: allowed,
        accepts: args.accepts,
        poll_for: args.poll_for,
        seed: args.seed,
    }
}

/// The directory of the default board's sockets is made where a listener wants it.
fn prepare_runtime(spec: &ListenerSpec) -> Result<(), StartError> {
    let runtime = board::runtime_directory();
    match &spec.endpoint {
        Endpoint::Unix(path) if path.parent() == Some(&runtime) => {
            reactor::prepare_directory(&runtime)
        }
        _ => Ok(()),
    }
}

/// The log goes to standard error, through the bounded queue; `info` unless `RUST_LOG` says more.
fn start_log(stderr: &Output) {
    let style = match colours() {
        true => env_logger::WriteStyle::Always,
        false => env_logger::WriteStyle::Never,
    };
    let filters = std::env::var("RUST_LOG").unwrap_or_default();
    // Checked first: the logger's own parser prints what is wrong by a macro that panics where
    // standard error is full or closed.
    let wrong = env_filter::Builder::new().try_parse(&filters).err();
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Info);
    if wrong.is_none() {
        builder.parse_filters(&filters);
    }
    builder
        .format_timestamp_millis()
        .format_target(false)
        .target(env_logger::Target::Pipe(Box::new(stderr.clone())))
        .write_style(style);
    // There is only one start in a process; a second would keep the first one's log.
    let _ = builder.try_init();
    if let Some(error) = wrong {
        log::warn!(target: "switchboard", "RUST_LOG: {error}; the level is info");
    }
}

/// Colours on a terminal, unless `NO_COLOR` or a dumb terminal says otherwise (no-color.org).
fn colours() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    rustix::termios::isatty(rustix::stdio::stderr()) && !set("NO_COLOR") && !dumb
}
