//! `get` and `put` over datagrams: TFTP, whose two ends are machines of `wire::tftp`.
//!
//! That wire has neither versions nor hashes. Whoever goes on compares sizes and the last bytes of
//! what is there (`get`), or finds its own label of an upload that was not finished (`put`).

mod exchange;
mod label;

use std::fs;
use std::num::NonZeroU16;
use std::path::Path;
use std::time::Duration;

use self::exchange::{Exchange, Outcome, Work, lost};
use self::label::Label;
use super::partial::{Origin, Partial};
use super::progress::Progress;
use super::put::{Again, Source};
use super::report::Report;
use super::{Failure, Run, Stop, Transfer, hex, local};
use crate::config::endpoint::Endpoint;
use crate::config::limits::{TRANSFER_CHECK_BYTES, TRANSFER_STARTS_MAX, TRANSFER_WINDOW_BLOCKS};
use crate::wire::Readable;
use crate::wire::tftp::{
    BUSY, CHANGED, Code, Effect, Effects, End, LEAVING, Mode, Options, Receiver, Refusal, Request,
    Sender, Terms,
};

/// Fetches one file.
pub fn get(run: &mut Run<'_>, transfer: &Transfer, report: &mut Report) -> Result<(), Stop> {
    let mut partial = Some(Partial::open(&transfer.path)?);
    report.bytes = partial.as_ref().map_or(0, Partial::len);
    let mut goes_on = partial.as_ref().is_some_and(|partial| {
        partial.len() > 0 && matches!(partial.origin(), Some(Origin::Size(_)))
    });
    for _ in 0..TRANSFER_STARTS_MAX {
        match fetch(run, transfer, goes_on, &mut partial, report)? {
            Outcome::Whole => {
                if run.files.is_json {
                    report.sha256 = Some(sha256_of(run, &transfer.path)?);
                }
                return Ok(());
            }
            Outcome::Stale(why) => run.progress.say(&format!("{why}; starting over")),
        }
        goes_on = false;
    }
    Err(lost(run.files.endpoint, "the file changes all the time").into())
}

fn fetch(
    run: &mut Run<'_>,
    transfer: &Transfer,
    goes_on: bool,
    partial: &mut Option<Partial>,
    report: &mut Report,
) -> Result<Outcome, Stop> {
    let len = partial.as_ref().map_or(0, Partial::len);
    let offset = goes_on.then(|| len - len.min(TRANSFER_CHECK_BYTES));
    let request = Request {
        name: &transfer.name,
        mode: Mode::Octet,
        options: Options {
            size: Some(0),
            offset,
            ..asked(run)
        },
    };
    let mut progress = std::mem::replace(&mut run.progress, Progress::hidden());
    let result = reachable(run).and_then(|()| {
        let mut exchange = Exchange::new(run)?;
        let mut effects = Effects::default();
        let mut machine = Receiver::get(&request, u64::MAX, exchange.now(), &mut effects);
        let mut fetch = Fetch {
            endpoint: run.files.endpoint,
            partial,
            offset,
            report,
            progress: &mut progress,
            is_stale: false,
        };
        let result = exchange.run(&mut machine, effects, &mut fetch);
        Ok((result, exchange.has_answer()))
    });
    run.progress = progress;
    answered(run, result)
}

struct Fetch<'a> {
    endpoint: &'a Endpoint,
    /// `None` once it is published.
    partial: &'a mut Option<Partial>,
    /// Where we want to go on, if not at the beginning.
    offset: Option<u64>,
    report: &'a mut Report,
    progress: &'a mut Progress,
    /// What came does not belong to what is here, so nothing more of it is taken.
    is_stale: bool,
}

impl Fetch<'_> {
    fn agreed(&mut self, terms: &Terms) -> Result<Option<Outcome>, Stop> {
        let Some(partial) = &mut self.partial else {
            return Ok(None);
        };
        let goes_on = self.offset.is_some_and(|offset| offset == terms.offset);
        if self.offset.is_some() && !goes_on {
            self.progress.say("the server can't resume; starting over");
        }
        // Some say 0 where they do not know.
        let size = terms.size.filter(|size| *size > 0);
        match partial.origin() {
            Some(Origin::Size(known)) if goes_on && size.is_some_and(|size| size != *known) => {
                return Ok(Some(Outcome::Stale("the server's file has changed")));
            }
            _ if goes_on => {}
            _ => {
                partial.cut(0)?;
                partial.set_origin(size.map(Origin::Size))?;
            }
        }
        let len = partial.len();
        (self.report.resumed_from, self.report.bytes) = (len, len);
        self.progress.begin(len, size);
        Ok(None)
    }

    /// What is there already is compared, the rest is put behind it.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<Option<Outcome>, Stop> {
        let Some(partial) = &mut self.partial else {
            return Ok(None);
        };
        let there = usize::try_from(partial.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let (again, new) = bytes.split_at(there.min(bytes.len()));
        if !partial.holds(again, offset)? {
            let why = "what is here is no part of the server's file";
            return Ok(Some(Outcome::Stale(why)));
        }
        partial.append(new)?;
        self.report.bytes = partial.len();
        self.progress.set(partial.len());
        Ok(None)
    }

    fn publish(&mut self, size: u64) -> Result<Option<Outcome>, Stop> {
        match self.partial.take() {
            Some(partial) if partial.len() != size => {
                *self.partial = Some(partial);
                Ok(Some(Outcome::Stale("the server's file has changed")))
            }
            Some(partial) => {
                partial.publish()?;
                Ok(Some(Outcome::Whole))
            }
            None => Ok(None),
        }
    }
}

impl Work<Receiver> for Fetch<'_> {
    fn take(
        &mut self,
        effect: Effect,
        machine: &mut Receiver,
        now: Duration,
        effects: &mut Effects,
    ) -> Result<Option<Outcome>, Stop> {
        let outcome = match effect {
            _ if self.is_stale => Ok(None),
            Effect::Proved | Effect::Read { .. } => Ok(None),
            Effect::Agreed(terms) => self.agreed(&terms),
            Effect::Write { offset, bytes } => {
                let outcome = self.write(offset, &bytes)?;
                machine.written(bytes.len() as u64, now, effects);
                Ok(outcome)
            }
            Effect::Publish { size } => {
                let outcome = self.publish(size)?;
                if outcome == Some(Outcome::Whole) {
                    machine.published(now, effects);
                }
                Ok(outcome)
            }
            // If it is not because of the offset, the same comes again without one. A server that is
            // busy has said nothing about it, and what is here is worth another call.
            Effect::Ended(End::Refused { message, .. })
                if self.offset.is_some_and(|offset| offset > 0)
                    && ![BUSY, LEAVING].map(str::as_bytes).contains(&&message[..]) =>
            {
                Ok(Some(Outcome::Stale("the server's file has changed")))
            }
            Effect::Ended(end) => ended(self.endpoint, end).map(Some),
        };
        self.is_stale |= matches!(outcome, Ok(Some(Outcome::Stale(_))));
        outcome
    }
}

/// Sends one file.
pub fn put(run: &mut Run<'_>, transfer: &Transfer, report: &mut Report) -> Result<(), Stop> {
    let source = Source::open(&transfer.path)?;
    let label = Label::new(run, transfer, &source);
    let goes_on = label.is_there();
    let mut again = Again::new(run);
    let outcome = loop {
        match send(run, transfer, goes_on, &source, &label, report) {
            Err(Stop::Failed(Failure::Refused(line))) if again.is_worth_it(run, &line)? => {}
            outcome => break outcome?,
        }
    };
    if let Outcome::Stale(why) = outcome {
        run.progress.say(&format!("{why}; starting over"));
        send(run, transfer, false, &source, &label, report)?;
    }
    label.remove();
    report.bytes = source.size;
    if run.files.is_json {
        let hash = run.hash(&source.file, source.size, &transfer.path)?;
        report.sha256 = Some(hex(hash));
    }
    Ok(())
}

fn send(
    run: &mut Run<'_>,
    transfer: &Transfer,
    goes_on: bool,
    source: &Source<'_>,
    label: &Label,
    report: &mut Report,
) -> Result<Outcome, Stop> {
    let request = Request {
        name: &transfer.name,
        mode: Mode::Octet,
        options: Options {
            size: Some(source.size),
            // As much as the server has.
            offset: goes_on.then_some(source.size),
            ..asked(run)
        },
    };
    let mut progress = std::mem::replace(&mut run.progress, Progress::hidden());
    let result = reachable(run).and_then(|()| {
        let mut exchange = Exchange::new(run)?;
        let mut effects = Effects::default();
        let now = exchange.now();
        let mut machine = Sender::put(&request, source.size, now, &mut effects);
        let mut send = Send {
            endpoint: run.files.endpoint,
            source,
            label,
            goes_on,
            buffer: Vec::new(),
            report,
            progress: &mut progress,
        };
        let result = exchange.run(&mut machine, effects, &mut send);
        Ok((result, exchange.has_answer()))
    });
    run.progress = progress;
    answered(run, result)
}

struct Send<'a> {
    endpoint: &'a Endpoint,
    source: &'a Source<'a>,
    label: &'a Label,
    /// We have asked for an offset.
    goes_on: bool,
    buffer: Vec<u8>,
    report: &'a mut Report,
    progress: &'a mut Progress,
}

impl Work<Sender> for Send<'_> {
    fn take(
        &mut self,
        effect: Effect,
        machine: &mut Sender,
        now: Duration,
        effects: &mut Effects,
    ) -> Result<Option<Outcome>, Stop> {
        match effect {
            Effect::Proved | Effect::Write { .. } | Effect::Publish { .. } => Ok(None),
            Effect::Agreed(terms) => {
                self.label.write();
                (self.report.resumed_from, self.report.bytes) = (terms.offset, terms.offset);
                self.progress.begin(terms.offset, Some(self.source.size));
                Ok(None)
            }
            Effect::Read { offset, len } => {
                // What the machine asks for is not acknowledged yet, but for a window it is.
                self.report.bytes = offset;
                self.progress.set(offset);
                self.buffer.resize(len, 0);
                let count = self.source.read(&mut self.buffer, offset)?;
                machine.data(offset, &self.buffer[..count], now, effects);
                Ok(None)
            }
            Effect::Ended(End::Refused { code, .. })
                if self.goes_on && code == Code::OPTION_REFUSED =>
            {
                Ok(Some(Outcome::Stale("the server can't resume")))
            }
            Effect::Ended(end) => ended(self.endpoint, end).map(Some),
        }
    }
}

fn asked(run: &Run<'_>) -> Options {
    Options {
        block_bytes: Some(run.files.block),
        window: NonZeroU16::new(TRANSFER_WINDOW_BLOCKS),
        ..Options::default()
    }
}

/// How a machine's end reads.
fn ended(endpoint: &Endpoint, end: End) -> Result<Outcome, Stop> {
    let why = match end {
        End::Whole => return Ok(Outcome::Whole),
        End::Refused { code, message } if message.is_empty() => {
            return Err(Failure::Refused(format!("error: {code}")).into());
        }
        End::Refused { message, .. } => {
            let message = Readable(&message).to_string();
            if [LEAVING, CHANGED].contains(&&*message) {
                // Of a stream that would be the connection's end; another call may do.
                return Err(lost(endpoint, &message).into());
            }
            let words = message.strip_prefix("error: ").unwrap_or(&message);
            return Err(Failure::Refused(format!("error: {words}")).into());
        }
        End::Failed(Refusal { code, message }) if code == Code::UNDEFINED => message,
        End::Failed(Refusal { code, message }) => format!("{code}: {message}"),
        End::Changed => "the server keeps more than this file has".to_owned(),
        End::Silent => "the server is silent".to_owned(),
    };
    Err(lost(endpoint, &why).into())
}

/// Nobody is asked again in one call where nobody was there.
fn reachable(run: &Run<'_>) -> Result<(), Stop> {
    match &run.unreachable {
        Some(failure) => Err(failure.clone().into()),
        None => Ok(()),
    }
}

/// Remembers where nobody has answered.
fn answered(
    run: &mut Run<'_>,
    result: Result<(Result<Outcome, Stop>, bool), Stop>,
) -> Result<Outcome, Stop> {
    let (result, has_answer) = result?;
    if let (Err(Stop::Failed(failure)), false) = (&result, has_answer) {
        run.unreachable = Some(failure.clone());
    }
    result
}

fn sha256_of(run: &Run<'_>, path: &Path) -> Result<String, Stop> {
    let opened = fs::File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, file) = opened.map_err(|error| local(path, &error))?;
    Ok(hex(run.hash(&file, size, path)?))
}
