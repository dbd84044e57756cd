//! Between the rules and the store: jobs go out, and what became of them comes back.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::ask::{Answer, Ask, Refusal};
use super::guard::Source;
use super::mirror::Locker;
use super::store::{self, Change, Job, Outcome, Store};
use super::under_way::{Done, Shown};
use super::{Lockers, Session};
use crate::service::{Cx, Peer, Results, ServiceCx, SourceId};

/// A batch of the store's lane: done in one transaction, then reported.
pub(super) fn run_store(
    store: &mut Store,
    jobs: &mut Vec<(SourceId, (Source, Job))>,
    results: &Results<Done>,
) {
    let mut whose = Vec::with_capacity(jobs.len());
    let mut batch = Vec::with_capacity(jobs.len());
    for (id, (source, job)) in jobs.drain(..) {
        whose.push((id, source));
        batch.push(job);
    }
    let (outcomes, reread) = store.run(&batch);
    if let Some(lockers) = reread {
        results.send(SourceId::NOBODY, Done::Reread(lockers));
    }
    for (((id, source), job), outcome) in whose.into_iter().zip(batch).zip(outcomes) {
        results.send(id, Done::Kept(source, job, outcome));
    }
}

impl Lockers {
    /// Gives the store a change.
    pub(super) fn change(
        &mut self,
        source: Source,
        locker: u32,
        change: Change,
        cx: &mut Cx<'_, Self>,
    ) -> Result<(), Answer> {
        let job = job(locker, change, cx.peer());
        cx.offload(&self.store, (source, job))
            .map_err(|_| Answer::No(Refusal::Busy))
    }

    pub(super) fn back_up(&mut self, path: PathBuf, cx: &mut Cx<'_, Self>) -> Result<(), Answer> {
        // Not for those of `admins=`: the server would write for them where they may not.
        let allowed = matches!(cx.peer(), Peer::Unix { uid, .. } if self.is_admin(*uid));
        if !allowed {
            return Err(Answer::No(Refusal::NotAllowed));
        }
        if !path.is_absolute() {
            return Err(Answer::No(Refusal::NotAbsolute));
        }
        let job = (Source::of(cx.peer()), Job::Backup { path });
        cx.offload(&self.store, job)
            .map_err(|_| Answer::No(Refusal::Busy))
    }

    /// Has the store read its database anew before anything is answered by what was known.
    pub(super) fn look_first(
        &mut self,
        s: &mut Session,
        ask: Ask,
        cx: &mut Cx<'_, Self>,
    ) -> Result<(), Answer> {
        cx.offload(&self.store, (s.source, Job::Look))
            .map_err(|_| Answer::No(Refusal::Busy))?;
        s.doubted = Some(Box::new(ask));
        Ok(())
    }

    /// The database is in order again, or not.
    fn looked(
        &mut self,
        s: &mut Session,
        outcome: Outcome,
        cx: &mut Cx<'_, Self>,
    ) -> Option<Answer> {
        let ask = *s.doubted.take()?;
        match (outcome, ask) {
            // What was acknowledged last can be shown at any time.
            (Outcome::Failed(_), Ask::Show) => self.ask_as_known(s, Ask::Show, cx),
            (Outcome::Failed(words), _) => Some(Answer::No(Refusal::Failed(words))),
            (_, ask) => self.ask(s, ask, cx),
        }
    }

    /// The store has answered this session's job.
    pub(super) fn kept(
        &mut self,
        s: &mut Session,
        source: Source,
        job: &Job,
        outcome: Outcome,
        cx: &mut Cx<'_, Self>,
    ) -> Option<Answer> {
        if let Job::Look = job {
            return self.looked(s, outcome, cx);
        }
        self.take_in(source, job, &outcome, &mut cx.service());
        if let Job::Change {
            change: Change::Register { .. },
            ..
        } = job
        {
            // The password is right for the epoch that was made for it, and for no other: somebody
            // else may have come first.
            s.shown = match (s.shown.take(), &outcome) {
                (Some(shown), Outcome::Registered { epoch }) => Some(Box::new(Shown {
                    epoch: *epoch,
                    ..*shown
                })),
                _ => None,
            };
        }
        let locker = match job {
            Job::Change { locker, .. } | Job::Taken { locker } => *locker,
            Job::Backup { .. } | Job::Look => 0,
        };
        Some(match outcome {
            Outcome::Registered { .. } => Answer::Registered(locker),
            Outcome::Stored { items } => Answer::Stored(items),
            Outcome::Retrieved { items } | Outcome::Again { items } => Answer::Retrieved(items),
            Outcome::Reset { .. } => Answer::Reset,
            Outcome::BackedUp { bytes } => Answer::BackedUp(bytes),
            Outcome::Refused(refusal) => return self.refused(s, job, locker, refusal, cx),
            Outcome::Failed(words) => Answer::No(Refusal::Failed(words)),
            Outcome::Unknown => Answer::Unknown,
            // Not asked for by a session.
            Outcome::Rehashed | Outcome::Looked | Outcome::Taken { .. } => return None,
        })
    }

    /// The locker was not as it had to be when the store came to the job.
    fn refused(
        &mut self,
        s: &mut Session,
        job: &Job,
        locker: u32,
        refusal: store::Refusal,
        cx: &mut Cx<'_, Self>,
    ) -> Option<Answer> {
        let change = match job {
            Job::Change { change, .. } => Some(change),
            _ => None,
        };
        Some(Answer::No(match (refusal, change) {
            // Taken out by the same owner a moment ago: the same answer is theirs.
            (store::Refusal::Free, Some(Change::Retrieve { epoch })) => {
                let again = Change::Again { epoch: *epoch };
                return self.change(s.source, locker, again, cx).err();
            }
            // Somebody has registered it meanwhile: the old password is worth nothing.
            (store::Refusal::InUse, Some(Change::Again { .. })) => Refusal::WrongPassword(locker),
            (store::Refusal::InUse, _) => Refusal::InUse(locker),
            (store::Refusal::Free | store::Refusal::TooLate, _) => Refusal::Free(locker),
            (store::Refusal::Changed, _) => Refusal::WrongPassword(locker),
            (store::Refusal::Full, _) => Refusal::Full(locker),
        }))
    }

    /// Keeps the mirror and the guard in step with the store.
    pub(super) fn take_in(
        &mut self,
        source: Source,
        job: &Job,
        outcome: &Outcome,
        cx: &mut ServiceCx<'_>,
    ) {
        let Job::Change { locker, change, .. } = job else {
            return;
        };
        if let Some(found) = self.lockers.get_mut(*locker as usize) {
            found.apply(change, outcome, cx.now());
        }
        if let Outcome::Registered { .. } = outcome {
            self.guard.renewed(*locker, source);
        }
        if let Outcome::Unknown = outcome {
            self.in_doubt = true;
            cx.note(format_args!(
                "the outcome of a change of locker {locker} is unknown: the disk failed"
            ));
        }
    }

    /// The store has read its database anew.
    pub(super) fn reread(&mut self, lockers: Vec<store::Locker>, cx: &mut ServiceCx<'_>) {
        self.in_doubt = false;
        let now = cx.now();
        let read = |locker| Locker::read(locker, now);
        self.lockers = lockers.into_iter().map(read).collect();
        cx.note(format_args!("the lockers were read anew from the disk"));
    }
}

/// Bytes of nearly all that a peer is shown as: a long address of IPv6 with its port has 47.
const ACTOR_BYTES: usize = 48;

/// A change, signed with who wants it.
pub(super) fn job(locker: u32, change: Change, peer: &Peer) -> Job {
    // With room from the start: a text that grows part by part is moved several times.
    let mut actor = String::with_capacity(ACTOR_BYTES);
    // Into a text, which takes anything.
    let _ = write!(actor, "{peer}");
    Job::Change {
        locker,
        change,
        actor,
    }
}
