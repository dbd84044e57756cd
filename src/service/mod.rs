//! The contract between a service and whatever runs it: the reactor, or the [`harness`].
//!
//! Pure: no sockets, no files, no threads and no clock; bytes, moments and ids come in, effects go
//! out. Read [`Service`] first, then [`Cx`] for what a callback may ask for, then [`Entry`] for how
//! a service is listed.
//!
//! What a service may rely on, and what it promises in return. Each line is a property test:
//!
//! 1. The same bytes give the same output however they are cut into segments. Only where a service
//!    says so in its description does time decide (the slot's gap).
//! 2. `receive` says how many bytes it used, never more than it was given. What it left is offered
//!    again, in front of what comes next, and once more after a deadline.
//! 3. Effects take place in this order: bytes, then close or abort. After `close` or `abort` the
//!    only further callback is `closed`.
//! 4. `open` comes first and `closed` comes last, each exactly once.
//! 5. A deadline is delivered at or after its moment, never before, and once.
//! 6. Over datagrams `input` is exactly one datagram, perhaps an empty one; what is left of it is
//!    dropped, each `send` is one datagram, and `end_of_input` never comes. What is sent may be
//!    lost. A service sends no more than one error to a session, and none to an error.
//! 7. Mail reaches sessions of the same service only, after the effects of the callback that sent
//!    it, in order; mail for a session that has gone is dropped.
//! 8. A service whose [`Service::READS`] is false gets neither `receive` nor `end_of_input`: what its
//!    peers send stays with the kernel, for the program that a session hands its socket to. Such a
//!    session is closed when its peer is gone altogether; a peer that has only ended its writing,
//!    or has left bytes unread, stays.
//! 9. Only such a service hands over, and a session that does has sent nothing before; its only
//!    further callback is `closed`.
//! 10. A paused session gets neither `receive` nor `end_of_input` until it resumes; then what it had
//!     left unused is offered first. Deadlines, mail, results and the shutdown reach it all the same.
//! 11. Each job that a lane took gives one result: to `done` of the session that handed it over, or
//!     to `orphaned` once that has closed. Results of an ordered lane come in the order of its jobs.
//! 12. While a transfer is under way the session gets neither `receive` nor `end_of_input`, and sends
//!     nothing; `transferred` ends it. What a callback has sent goes out before its file. A session
//!     that closes behind a file it sends gets no `transferred`: the connection ends once the file
//!     has gone out, or is broken off where it can't be whole.
//! 13. Callbacks do not block, read no clock, and do not panic, whatever the input.

mod cx;
mod effects;
pub mod harness;
mod host;
mod ids;
mod lane;
mod peer;
mod random;
mod reason;
mod transfer;

pub use cx::{Cx, ServiceCx};
pub use effects::{DeadlineChange, Effects, Ending, Item, Mail, More, Program};
pub use host::{BuildError, Built, Call, Host, Hosted};
pub use ids::{Moment, SourceId};
pub use lane::{
    AskPerson, Bell, FindData, Kit, Lane, Results, RunWorker, Worked, Worker, Workshop,
};
pub use peer::Peer;
pub use random::Random;
pub use reason::CloseReason;
pub use transfer::{OpenFile, ReceiveFile, SendFile, Transfer, TransferEnd};

use crate::config::options::{FromValues, Opt, Values};

/// What comes back from the lanes of a service that has none.
pub type Never = std::convert::Infallible;

/// What every text connection that is owed nothing reads when the server shuts down.
pub const BYE: &[u8] = b"bye: the server is shutting down\n";

/// One service: `&mut self` is what its sessions share, [`Service::Session`] is one peer.
pub trait Service: Sized + 'static {
    /// What `?key=value` may set, for each listener; checked once, at start.
    type Options: FromValues + 'static;
    /// What is remembered about one peer; plain data, `()` if nothing is.
    type Session: 'static;
    /// What comes back from a lane; [`Never`] where there is none.
    type Done: Send + 'static;

    /// Whether its peers are read. A service that only hands sockets over says no, so that nothing
    /// is lost that a client sends before its program runs.
    const READS: bool = true;

    /// Whether its sessions look at [`Cx::peer`]. One that says no may be told [`Peer::Gone`] of any
    /// peer of a Unix socket: who that is, is not asked then.
    const KNOWS_PEERS: bool = true;

    /// Called once, after all options were found right and before anything is bound: makes the
    /// service's lanes and reads what it has kept. This alone may block.
    ///
    /// # Errors
    /// Why the server can't start, in words that name the file.
    fn start(&mut self, kit: &mut Kit<'_, Self::Done>) -> Result<(), String> {
        let _ = kit;
        Ok(())
    }

    /// A peer has come.
    fn open(&mut self, cx: &mut Cx<'_, Self>) -> Self::Session;

    /// Bytes have come; returns how many were used. The rest is offered again, in front.
    fn receive(
        &mut self,
        session: &mut Self::Session,
        input: &[u8],
        cx: &mut Cx<'_, Self>,
    ) -> usize;

    /// The peer has ended its writing; `rest` is what was never used. It may still read.
    ///
    /// A service that owes this peer something sends it, then or later, and closes after it.
    fn end_of_input(&mut self, session: &mut Self::Session, rest: &[u8], cx: &mut Cx<'_, Self>) {
        let _ = (session, rest);
        cx.close(CloseReason::ClientEnded);
    }

    /// The deadline that this session set has come. It is cleared; unused bytes are offered again.
    fn deadline(&mut self, session: &mut Self::Session, cx: &mut Cx<'_, Self>) {
        let _ = session;
        cx.close(CloseReason::IdleTimeout);
    }

    /// The server is going down: say goodbye and close, or keep quiet while something is owed.
    fn shutting_down(&mut self, session: &mut Self::Session, cx: &mut Cx<'_, Self>) {
        let _ = session;
        cx.close(CloseReason::Shutdown);
    }

    /// Another session of this service has nudged this one, or the operator has gone.
    fn notified(&mut self, session: &mut Self::Session, cx: &mut Cx<'_, Self>) {
        let _ = (session, cx);
    }

    /// A job that this session handed to a lane is done.
    fn done(&mut self, session: &mut Self::Session, done: Self::Done, cx: &mut Cx<'_, Self>) {
        let _ = (session, done, cx);
    }

    /// A job is done whose session has closed meanwhile, or a lane reports something by itself.
    fn orphaned(&mut self, done: Self::Done, cx: &mut ServiceCx<'_>) {
        let _ = (done, cx);
    }

    /// The transfer that this session asked for has ended.
    fn transferred(
        &mut self,
        session: &mut Self::Session,
        end: TransferEnd,
        cx: &mut Cx<'_, Self>,
    ) {
        let _ = (session, end, cx);
    }

    /// The operator has typed a line whose first word is in the entry's `console` table, or that
    /// no other service claims if the entry says `takes_lines`.
    fn operator(&mut self, line: &str, cx: &mut ServiceCx<'_>) {
        let _ = (line, cx);
    }

    /// Last word, exactly once: give back what this peer held.
    fn closed(&mut self, session: Self::Session, cx: &mut ServiceCx<'_>) {
        let _ = (session, cx);
    }
}

/// How a datagram finds its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagrams {
    /// Each datagram is a session of its own, which ends with the call.
    OneShot,
    /// All datagrams of one peer address are one session, until it closes or its deadline ends it.
    Flows,
    /// As flows, but each answers from a port of its own, and hears its peer there too, unless the
    /// listener says `port=single`. Silence does not end them: their service does, in time. A session
    /// that closes and has used nothing of a datagram leaves it to a new one.
    Transfers,
}

/// A word of the operator's console.
#[derive(Debug)]
pub struct ConsoleWord {
    /// The first word of the line.
    pub word: &'static str,
    /// What stands behind it and what it does, for `help`.
    pub help: &'static str,
}

/// How a service is listed: its name, its texts, its options and how it is built.
///
/// Help, option checking and the default board read the same table.
#[derive(Debug)]
pub struct Entry {
    /// The word before `=` in a listener.
    pub name: &'static str,
    /// One line for the list of services.
    pub summary: &'static str,
    /// What it does, its limits, and the netcat line that speaks to it.
    pub about: &'static str,
    /// The service's own options; those common to all listeners are not repeated.
    pub options: &'static [Opt],
    /// How the service is served over datagrams; `None` if it is not.
    pub datagrams: Option<Datagrams>,
    /// Words of the operator's console that are for this service, with their help.
    pub console: &'static [ConsoleWord],
    /// Whether it transfers files, for which the runner then has threads.
    pub transfers: bool,
    /// Whether what its peers send and are sent holds secrets: a dump at `trace` then shows only its
    /// length.
    pub secret: bool,
    /// Whether lines of the console that begin with no known word are for this service.
    pub takes_lines: bool,
    /// Endpoints of the default board; `RUNTIME` stands for the runtime directory.
    pub board: &'static [&'static str],
    /// Builds the one service that all `listeners` share.
    pub build: fn(listeners: &[Values]) -> Built,
}
