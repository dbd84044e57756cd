//! Events and deadlines only mark their sources and queue them; the work is done in turns.

use super::Reactor;
use super::sources::{self, Source};
use crate::service::Moment;

impl Reactor {
    /// Marks what an event says and queues its source. Flags are hints: the turn finds the truth.
    pub(super) fn mark(&mut self, event: &mio::event::Event) {
        let id = sources::id(event.token());
        let Self {
            sources,
            run_queue,
            paused,
            ..
        } = self;
        match sources.get_mut(id) {
            // It was buried after the poller had noted the event.
            None | Some(Source::Timer) => {}
            Some(Source::Signals(_) | Source::Waker) => run_queue.push(id, &mut false),
            Some(Source::Program(program)) => run_queue.push(id, &mut program.queued),
            Some(Source::ProgramLog(log)) => run_queue.push(id, &mut log.queued),
            Some(Source::Console(console)) => run_queue.push(id, &mut console.queued),
            Some(Source::Listener(listener)) => {
                listener.readable = true;
                if !*paused {
                    run_queue.push(id, &mut listener.queued);
                }
            }
            Some(Source::Datagram(socket)) => {
                // An error is one that the network reported; taking a datagram clears it.
                socket.readable |= event.is_readable() || event.is_error();
                socket.writable |= event.is_writable() || event.is_error();
                run_queue.push(id, &mut socket.queued);
            }
            Some(Source::Connection(c)) => {
                if event.is_readable()
                    || event.is_read_closed()
                    || event.is_error()
                    || event.is_priority()
                {
                    c.readable = true;
                }
                if event.is_read_closed() || event.is_error() || event.is_priority() {
                    c.exhaust = true;
                }
                if event.is_writable() || event.is_write_closed() || event.is_error() {
                    c.writable = true;
                }
                run_queue.push(id, &mut c.queued);
            }
        }
    }

    /// Queues every source whose deadline has come; an entry that came too early is armed again.
    pub(super) fn mark_due(&mut self) {
        let idle = self.settings.idle_timeout;
        let Self {
            sources,
            run_queue,
            timers,
            now,
            ..
        } = self;
        while let Some((moment, key)) = timers.pop_due(*now) {
            let id = sources.id_at(key);
            match sources.get_mut(id) {
                None
                | Some(
                    Source::Signals(_)
                    | Source::Waker
                    | Source::Timer
                    | Source::Console(_)
                    | Source::Datagram(_)
                    | Source::Program(_)
                    | Source::ProgramLog(_),
                ) => {}
                Some(Source::Listener(listener)) if listener.armed == moment => {
                    listener.armed = Moment::NEVER;
                    listener.retry_at = Moment::NEVER;
                    run_queue.push(id, &mut listener.queued);
                }
                Some(Source::Connection(c)) if c.armed == moment => {
                    c.armed = Moment::NEVER;
                    let deadline = c.next_deadline(idle);
                    if deadline <= *now {
                        // Nobody may have asked yet whether something came in time.
                        c.readable |= c.is_unwatched();
                        run_queue.push(id, &mut c.queued);
                    } else {
                        timers.arm(id, deadline, &mut c.armed);
                    }
                }
                // Outdated.
                Some(Source::Listener(_) | Source::Connection(_)) => {}
            }
        }
    }
}
