//! The one virtual boundary: a typed service with its sessions and options behind one object.

mod places;

use std::sync::mpsc::Receiver;

use self::places::Places;
use super::{
    CloseReason, Cx, Effects, Ending, Kit, Moment, Peer, Service, ServiceCx, SourceId, TransferEnd,
    Workshop,
};
use crate::config::options::{FromValues as _, OptionError, Values};

/// Which listener's options were wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// The place of the listener among those given to `build`.
    pub listener: usize,
    /// What is wrong.
    pub error: OptionError,
}

/// A service ready to run, or what was wrong with a listener's options.
pub type Built = Result<Box<dyn Hosted>, BuildError>;

/// What the runner tells with each callback.
pub struct Call<'a> {
    /// The connection's id.
    pub id: SourceId,
    /// Its number in the log.
    pub number: u32,
    /// The moment of this iteration.
    pub now: Moment,
    /// Who is at the other end.
    pub peer: &'a Peer,
    /// Whether the peer speaks in datagrams.
    pub datagram: bool,
    /// Whether somebody is at the console.
    pub operator: bool,
    /// Where effects are collected; empty at the call.
    pub effects: &'a mut Effects,
}

/// A service with its sessions, its type forgotten. Sessions are named by a key that `open` gives.
///
/// The methods are those of [`Service`]; a key that is not open is a bug of the runner: it is
/// caught by an assertion in debug builds and ends that connection otherwise.
pub trait Hosted {
    /// See [`Service::start`]; called once, before anything else.
    ///
    /// # Errors
    /// Why the server can't start.
    fn start(&mut self, workshop: &mut Workshop) -> Result<(), String>;
    /// Takes the next result of a lane, if there is one; says whose it is. It is to be delivered,
    /// by `done` or `orphaned`, before the next one is taken.
    fn take_result(&mut self) -> Option<SourceId>;
    /// See [`Service::done`]; delivers the result that was taken.
    fn done(&mut self, session: u32, call: Call<'_>);
    /// See [`Service::transferred`].
    fn transferred(&mut self, session: u32, end: TransferEnd, call: Call<'_>);
    /// See [`Service::orphaned`]; delivers the result that was taken.
    fn orphaned(&mut self, now: Moment, effects: &mut Effects);
    /// A peer has come by the listener with this place among those given to `build`.
    fn open(&mut self, listener: u16, call: Call<'_>) -> u32;
    /// See [`Service::receive`].
    fn receive(&mut self, session: u32, input: &[u8], call: Call<'_>) -> usize;
    /// See [`Service::end_of_input`].
    fn end_of_input(&mut self, session: u32, rest: &[u8], call: Call<'_>);
    /// See [`Service::deadline`].
    fn deadline(&mut self, session: u32, call: Call<'_>);
    /// See [`Service::shutting_down`].
    fn shutting_down(&mut self, session: u32, call: Call<'_>);
    /// See [`Service::notified`].
    fn notified(&mut self, session: u32, call: Call<'_>);
    /// See [`Service::operator`].
    fn operator(&mut self, line: &str, now: Moment, effects: &mut Effects);
    /// See [`Service::closed`]; the key is free from here on.
    fn closed(&mut self, session: u32, now: Moment, effects: &mut Effects);
    /// See [`Service::READS`].
    fn reads(&self) -> bool;
    /// See [`Service::KNOWS_PEERS`].
    fn knows_peers(&self) -> bool;
    /// How many sessions are open.
    fn sessions(&self) -> usize;
}

/// A service, the options of its listeners, and its sessions in a dense slab.
pub struct Host<S: Service> {
    service: S,
    listeners: Vec<S::Options>,
    sessions: Places<(u16, S::Session)>,
    results: Option<Receiver<(SourceId, S::Done)>>,
    /// The result that was taken and not delivered yet.
    taken: Option<S::Done>,
}

impl<S: Service> Host<S> {
    /// Reads every listener's options, then makes the service from all of them.
    pub fn build(
        listeners: &[Values],
        make: impl FnOnce(&[S::Options]) -> Result<S, BuildError>,
    ) -> Built {
        let options = listeners
            .iter()
            .enumerate()
            .map(|(listener, values)| {
                S::Options::from_values(values).map_err(|error| BuildError { listener, error })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let service = make(&options)?;
        Ok(Box::new(Self {
            service,
            listeners: options,
            sessions: Places::new(),
            results: None,
            taken: None,
        }))
    }

    /// Finds the session and calls `f` with it; ends the connection if there is no such session.
    fn with<R: Default>(
        &mut self,
        session: u32,
        call: Call<'_>,
        f: impl FnOnce(&mut S, &mut S::Session, &mut Cx<'_, S>) -> R,
    ) -> R {
        let found = self.sessions.get_mut(session);
        debug_assert!(found.is_some(), "a callback for a session that is not open");
        let Some((listener, state)) = found else {
            call.effects.ending = Some(Ending::Abort(CloseReason::Io(0)));
            return R::default();
        };
        let mut cx = cx(&self.listeners, *listener, call);
        f(&mut self.service, state, &mut cx)
    }
}

fn cx<'a, S: Service>(listeners: &'a [S::Options], listener: u16, call: Call<'a>) -> Cx<'a, S> {
    let Call {
        id,
        number,
        now,
        peer,
        datagram,
        operator,
        effects,
    } = call;
    debug_assert!(
        effects.is_empty(),
        "effects are settled before the next callback"
    );
    Cx {
        id,
        number,
        now,
        peer,
        datagram,
        operator,
        listeners,
        listener,
        effects,
    }
}

impl<S: Service> Hosted for Host<S> {
    fn start(&mut self, workshop: &mut Workshop) -> Result<(), String> {
        let (mut kit, results) = Kit::new(workshop);
        self.service.start(&mut kit)?;
        self.results = Some(results);
        Ok(())
    }

    fn take_result(&mut self) -> Option<SourceId> {
        let (id, done) = self.results.as_ref()?.try_recv().ok()?;
        debug_assert!(
            self.taken.is_none(),
            "a result is delivered before the next is taken"
        );
        self.taken = Some(done);
        Some(id)
    }

    fn done(&mut self, session: u32, call: Call<'_>) {
        if let Some(done) = self.taken.take() {
            self.with(session, call, |service, s, cx| service.done(s, done, cx));
        }
    }

    fn transferred(&mut self, session: u32, end: TransferEnd, call: Call<'_>) {
        self.with(session, call, |service, s, cx| {
            service.transferred(s, end, cx)
        });
    }

    fn orphaned(&mut self, now: Moment, effects: &mut Effects) {
        if let Some(done) = self.taken.take() {
            self.service.orphaned(done, &mut ServiceCx { now, effects });
        }
    }

    fn open(&mut self, listener: u16, call: Call<'_>) -> u32 {
        let mut cx = cx(&self.listeners, listener, call);
        let session = self.service.open(&mut cx);
        self.sessions.insert((listener, session))
    }

    fn receive(&mut self, session: u32, input: &[u8], call: Call<'_>) -> usize {
        let used = self.with(session, call, |service, s, cx| {
            service.receive(s, input, cx)
        });
        debug_assert!(used <= input.len(), "more bytes were used than given");
        used.min(input.len())
    }

    fn end_of_input(&mut self, session: u32, rest: &[u8], call: Call<'_>) {
        self.with(session, call, |service, s, cx| {
            service.end_of_input(s, rest, cx)
        });
    }

    fn deadline(&mut self, session: u32, call: Call<'_>) {
        self.with(session, call, |service, s, cx| service.deadline(s, cx));
    }

    fn shutting_down(&mut self, session: u32, call: Call<'_>) {
        self.with(session, call, |service, s, cx| service.shutting_down(s, cx));
    }

    fn notified(&mut self, session: u32, call: Call<'_>) {
        self.with(session, call, |service, s, cx| service.notified(s, cx));
    }

    fn operator(&mut self, line: &str, now: Moment, effects: &mut Effects) {
        self.service.operator(line, &mut ServiceCx { now, effects });
    }

    fn closed(&mut self, session: u32, now: Moment, effects: &mut Effects) {
        let state = self.sessions.remove(session);
        debug_assert!(state.is_some(), "a session is closed once");
        if let Some((_, state)) = state {
            self.service.closed(state, &mut ServiceCx { now, effects });
        }
    }

    fn reads(&self) -> bool {
        S::READS
    }

    fn knows_peers(&self) -> bool {
        S::KNOWS_PEERS
    }

    fn sessions(&self) -> usize {
        self.sessions.len()
    }
}
