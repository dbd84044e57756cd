//! What a service wants beyond the one session that was called: mail for other sessions, lines for
//! the operator's terminal, and the operator's lines for services.

use log::{info, trace};

use super::Reactor;
use super::connection::Phase;
use super::hex::Said;
use crate::config::limits::MAIL_PER_ITERATION;
use crate::service::{Item, Mail, SourceId};

impl Reactor {
    /// Takes what the last callback of this connection's service wants beyond the connection, and
    /// forgets the rest of the effects.
    pub(super) fn post(&mut self, id: SourceId) {
        match self.sources.connection(id).map(|c| c.service) {
            Some(service) => self.post_of(service),
            None => self.effects.clear(),
        }
    }

    /// As [`Reactor::post`], for a callback of that service.
    pub(super) fn post_of(&mut self, service: u8) {
        let Self {
            effects,
            mail,
            stdout,
            ..
        } = self;
        // Most callbacks want nothing of it.
        if effects.mail.len() | effects.prints.len() > 0 {
            mail.extend(effects.mail.drain(..).map(|mail| (service, mail)));
            for line in effects.prints.drain(..) {
                stdout.write(format!("{line}\n").as_bytes());
            }
        }
        effects.clear();
    }

    /// Delivers mail in order, a bounded amount; what it causes is delivered too.
    pub(super) fn deliver_mail(&mut self) {
        for _ in 0..MAIL_PER_ITERATION {
            let Some((service, Mail { to, item })) = self.mail.pop_front() else {
                return;
            };
            let Self {
                sources,
                services,
                effects,
                poll,
                now,
                ..
            } = self;
            let Some(c) = sources.connection(to) else {
                continue;
            };
            // Mail stays within a service: another's session can't be named, but an id could err.
            if c.phase != Phase::Open || c.service != service {
                continue;
            }
            let kept_before = c.kept();
            match item {
                Item::Bytes(bytes) if c.is_flow() => {
                    effects.output.extend_from_slice(&bytes);
                    effects.datagrams.push(bytes.len());
                    self.settle(to);
                }
                Item::Bytes(bytes) => {
                    let entry = services[usize::from(service)].entry;
                    let (name, secret) = (entry.name, entry.secret);
                    let said = Said {
                        bytes: &bytes,
                        secret,
                    };
                    trace!(target: "switchboard", "{name} #{} sends{said}", c.number);
                    if c.send(&bytes) {
                        c.active_at = *now;
                    }
                    c.ask(to, poll.registry());
                }
                Item::Close(reason) => c.close(reason),
                Item::Notify => {
                    self.call_session(to, |host, session, call| host.notified(session, call));
                }
            }
            self.conclude(to, kept_before);
        }
    }

    /// Gives the operator's line to the service whose console word it begins with, else to the one
    /// that takes all lines. False where there is none.
    pub(super) fn operator_line(&mut self, line: &str) -> bool {
        let first = line.split_whitespace().next().unwrap_or_default();
        let claims = |word: &str| word == first || (word == "@N" && first.starts_with('@'));
        let by_word = self.services.iter().position(|served| {
            served
                .entry
                .console
                .iter()
                .any(|console| claims(console.word))
        });
        let taker = || {
            self.services
                .iter()
                .position(|served| served.entry.takes_lines)
        };
        let Some(service) = by_word.or_else(taker) else {
            return false;
        };
        let Self {
            services,
            effects,
            mail,
            stdout,
            now,
            ..
        } = self;
        let served = &mut services[service];
        served.host.operator(line, *now, effects);
        for note in &effects.notes {
            info!(target: "switchboard", "{}: {note}", served.entry.name);
        }
        // There are as many services as lines in the registry, a dozen.
        let key = u8::try_from(service).unwrap_or(u8::MAX);
        mail.extend(effects.mail.drain(..).map(|mail| (key, mail)));
        for line in effects.prints.drain(..) {
            stdout.write(format!("{line}\n").as_bytes());
        }
        effects.clear();
        self.deliver_mail();
        true
    }
}
