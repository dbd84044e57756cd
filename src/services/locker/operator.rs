//! The administrator at the console, and what comes of work that no session waits for.

use super::Lockers;
use super::ask::{Answer, Refusal};
use super::calls::{Call, Called, seconds};
use super::guard::{Source, Unused};
use super::password::{Checked, HashOutcome};
use super::store::{Change, Job, Outcome};
use super::under_way::Hashing;
use super::utc::utc;
use crate::config::limits::LOCKERS_SHOWN_MAX;
use crate::service::{Cx, Peer, ServiceCx, SourceId};
use crate::wire::Readable;

impl Lockers {
    /// Takes a call for the administrator, and shows it.
    pub(super) fn call_administrator(
        &mut self,
        source: Source,
        (locker, epoch): (u32, u64),
        cx: &mut Cx<'_, Self>,
    ) -> Answer {
        if !cx.operator_present() {
            return Answer::No(Refusal::NobodyThere);
        }
        self.end_old_calls(&mut cx.service());
        let (id, from, now) = (cx.id(), cx.peer().to_string(), cx.now());
        let called = self
            .calls
            .add((id, source), (locker, epoch), from.clone(), now);
        match called {
            Called::New(number) => {
                cx.service().print(format_args!(
                    "call {number}: {from} wants locker {locker} reset; \
                     'approve {number}' or 'deny {number}'"
                ));
                Answer::Waiting
            }
            Called::Again => Answer::Waiting,
            Called::TooMany => Answer::No(Refusal::TooManyCalls),
        }
    }

    /// A line of the operator's.
    pub(super) fn command(&mut self, line: &str, cx: &mut ServiceCx<'_>) {
        self.end_old_calls(cx);
        let mut words = line.split_whitespace();
        let (command, argument, more) = (words.next(), words.next(), words.next());
        let number = argument.and_then(|word| word.parse::<u32>().ok());
        match (command, number, more) {
            (Some("lockers"), None, None) if argument.is_none() => self.show(cx),
            (Some("approve"), Some(number), None) => self.approve(number, cx),
            (Some("deny"), Some(number), None) => self.deny(number, cx),
            (Some("taken"), Some(locker), None) => self.ask_taken(locker, cx),
            (Some("lockers"), ..) => cx.print(format_args!("write lockers, and nothing behind it")),
            (Some(word), ..) => cx.print(format_args!("write {word} N, N being a number")),
            (None, ..) => {}
        }
    }

    fn show(&self, cx: &mut ServiceCx<'_>) {
        let used = self.lockers.iter().filter(|locker| locker.in_use).count();
        let free = self.lockers.len() - used;
        cx.print(format_args!("{used} lockers in use, {free} free"));
        let in_use = (0_u32..)
            .zip(&self.lockers)
            .filter(|(_, locker)| locker.in_use);
        for (number, locker) in in_use.take(LOCKERS_SHOWN_MAX) {
            let default = match locker.is_default {
                true => ", password 0000 since a reset",
                false => "",
            };
            let items = locker.items;
            cx.print(format_args!("locker {number}: {items} items{default}"));
        }
        if used > LOCKERS_SHOWN_MAX {
            cx.print(format_args!("... and {} more", used - LOCKERS_SHOWN_MAX));
        }
        let now = cx.now();
        for Call {
            number,
            locker,
            from,
            since,
            ..
        } in self.calls.iter()
        {
            let waits = seconds(*since, now);
            cx.print(format_args!(
                "call {number}: {from} wants locker {locker} reset, for {waits} s"
            ));
        }
    }

    fn approve(&mut self, number: u32, cx: &mut ServiceCx<'_>) {
        let Some(call) = self.calls.take(number) else {
            return cx.print(format_args!("there is no call {number}"));
        };
        let (locker, id) = (call.locker, call.id);
        // Its caller may have given the locker back, and then it is somebody else's.
        let now = self.lockers.get(locker as usize).map(|found| found.epoch);
        if now != Some(call.epoch) {
            cx.print(format_args!(
                "call {number}: locker {locker} has another password since; the call is forgotten"
            ));
            return cx.notify(id);
        }
        let actor = format!("operator, for {}", call.from);
        if !self.reset_for_operator((number, locker, call.epoch), actor, cx) {
            cx.print(format_args!("busy, try again: call {number} still waits"));
            return self.calls.put_back(call);
        }
        cx.note(format_args!("call {number} of {}: approved", call.from));
        self.approved.push((locker, id));
    }

    /// A reset that the operator has approved is done, or can't be: whoever called need not wait.
    fn end_approved(&mut self, locker: u32, cx: &mut ServiceCx<'_>) {
        for (_, caller) in self.approved.extract_if(.., |(of, _)| *of == locker) {
            cx.notify(caller);
        }
    }

    fn deny(&mut self, number: u32, cx: &mut ServiceCx<'_>) {
        let Some(Call {
            locker, from, id, ..
        }) = self.calls.take(number)
        else {
            return cx.print(format_args!("there is no call {number}"));
        };
        cx.print(format_args!("call {number} is denied"));
        cx.note(format_args!(
            "call {number} of {from}: denied, locker {locker} stays as it is"
        ));
        cx.notify(id);
    }

    fn ask_taken(&mut self, locker: u32, cx: &mut ServiceCx<'_>) {
        if locker >= self.count() {
            return cx.print(format_args!("there is no locker {locker}"));
        }
        let job = (Source::of(&Peer::Gone), Job::Taken { locker });
        if cx.offload(&self.store, SourceId::NOBODY, job).is_err() {
            cx.print(format_args!("busy, try again"));
        }
    }

    /// Calls that have waited too long end.
    pub(super) fn end_old_calls(&mut self, cx: &mut ServiceCx<'_>) {
        for call in self.calls.take_expired(cx.now()) {
            cx.print(format_args!(
                "call {} has waited too long and is forgotten",
                call.number
            ));
            cx.notify(call.id);
        }
    }

    /// Calls of a client that has gone end with it, and so they do when the operator has.
    pub(super) fn withdraw_calls(&mut self, id: SourceId, why: &str, cx: &mut ServiceCx<'_>) {
        for call in self.calls.take_of(id) {
            cx.print(format_args!("call {} is withdrawn: {why}", call.number));
        }
    }

    /// A password was hashed, and whoever waited for it has gone, or is the operator.
    pub(super) fn hashed_for_nobody(
        &mut self,
        hashing: Hashing,
        outcome: HashOutcome,
        cx: &mut ServiceCx<'_>,
    ) {
        match (hashing, outcome) {
            (Hashing::Reset { locker, epoch, .. }, HashOutcome::Made(Ok(_)))
                if !self.still_has(locker, epoch) =>
            {
                cx.print(format_args!(
                    "locker {locker} was not reset: it has changed hands"
                ));
                self.end_approved(locker, cx);
            }
            (Hashing::Reset { locker, actor, .. }, HashOutcome::Made(Ok(hash))) => {
                let change = Change::Reset { hash };
                let job = Job::Change {
                    locker,
                    change,
                    actor,
                };
                let job = (Source::of(&Peer::Gone), job);
                if cx.offload(&self.store, SourceId::NOBODY, job).is_err() {
                    cx.print(format_args!("busy: locker {locker} was not reset"));
                    self.end_approved(locker, cx);
                }
            }
            (Hashing::Reset { locker, .. }, HashOutcome::Made(Err(words))) => {
                cx.print(format_args!("locker {locker} was not reset: {words}"));
                self.end_approved(locker, cx);
            }
            (Hashing::Open(tried), HashOutcome::Checked(Ok(Checked::Right { .. }))) => {
                self.guard.succeeded(tried.reservation);
            }
            (Hashing::Open(tried), HashOutcome::Checked(Ok(Checked::Wrong))) => {
                self.guard.failed(tried.reservation);
            }
            (Hashing::Open(tried), _) => {
                let reservation = tried.reservation;
                self.guard.given_back(reservation, Unused::ByServer);
            }
            _ => {}
        }
    }

    /// The store has done a job, and whoever waited for it has gone, or is the operator.
    pub(super) fn kept_for_nobody(
        &mut self,
        source: Source,
        job: &Job,
        outcome: &Outcome,
        cx: &mut ServiceCx<'_>,
    ) {
        self.take_in(source, job, outcome, cx);
        match (job, outcome) {
            (Job::Taken { locker }, Outcome::Taken { at, items }) => {
                cx.print(format_args!(
                    "locker {locker}: {} items, taken out {}",
                    items.len(),
                    utc(*at)
                ));
                for item in items {
                    cx.print(format_args!("  {}", Readable(item)));
                }
            }
            (Job::Taken { locker }, Outcome::Refused(_)) => {
                cx.print(format_args!(
                    "nothing was taken out of locker {locker} so far"
                ));
            }
            (
                Job::Change {
                    locker,
                    change: Change::Reset { .. },
                    ..
                },
                outcome,
            ) => {
                let said = match outcome {
                    Outcome::Reset { .. } => "is reset, its password is 0000".to_owned(),
                    Outcome::Unknown => "may be reset or not: the disk failed".to_owned(),
                    Outcome::Failed(words) => format!("was not reset: {words}"),
                    _ => "was not reset: it is free".to_owned(),
                };
                cx.print(format_args!("locker {locker} {said}"));
                self.end_approved(*locker, cx);
            }
            _ => {}
        }
    }
}
