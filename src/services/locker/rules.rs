//! What happens between a question and its answer: the guard, the hash, the store.
//!
//! A password that is right changes nothing by itself: the store does the change only if the locker
//! still has the epoch that the password was right for, in the same transaction.

use super::ask::{Answer, Ask, Purpose, Refusal, check_item, check_length};
use super::guard::{Source, Standing, Unused, Verdict};
use super::mirror::Locker;
use super::outcome::job;
use super::password::{Checked, HashJob, HashOutcome, Proof, Secret};
use super::store::Change;
use super::under_way::{Delayed, Hashing, NO_EPOCH, Shown, Try};
use super::{Lockers, Session};
use crate::config::limits::LOCKER_ITEMS_MAX;
use crate::service::{Cx, ServiceCx, SourceId};

/// The password of a locker that an administrator has reset.
const DEFAULT_PASSWORD: &[u8] = b"0000";

impl Lockers {
    /// How many lockers there are.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.lockers.len()).unwrap_or(u32::MAX)
    }

    /// Whether that user is an administrator on every listener.
    pub(super) fn is_admin(&self, uid: u32) -> bool {
        uid == self.user || uid == 0
    }

    fn locker(&self, locker: u32) -> Result<&Locker, Answer> {
        let count = self.count();
        let refusal = Refusal::NoLocker { locker, count };
        self.lockers.get(locker as usize).ok_or(Answer::No(refusal))
    }

    /// Begins what a client asks for; `None` while the answer is being made.
    pub(super) fn ask(
        &mut self,
        s: &mut Session,
        ask: Ask,
        cx: &mut Cx<'_, Self>,
    ) -> Option<Answer> {
        match self.in_doubt {
            true => self.look_first(s, ask, cx).err(),
            false => self.ask_as_known(s, ask, cx),
        }
    }

    /// The same, where the lockers are taken to be as they were last known.
    pub(super) fn ask_as_known(
        &mut self,
        s: &mut Session,
        ask: Ask,
        cx: &mut Cx<'_, Self>,
    ) -> Option<Answer> {
        let begun = match ask {
            Ask::Show => {
                let free = self.lockers.iter().map(|locker| !locker.in_use);
                return Some(Answer::Lockers(free.collect()));
            }
            Ask::Register { locker, password } => self.register(s, locker, password, cx),
            Ask::Open {
                locker,
                password,
                purpose,
            } => self.open_locker(s, (locker, password, purpose), cx),
            Ask::Put { locker, item } => self.put(s, locker, item, cx),
            Ask::Reset { locker } => self.reset(s, locker, cx),
            Ask::Backup { path } => self.back_up(path, cx),
        };
        begun.err()
    }

    fn prove(&self, locker: u32, password: &Secret) -> Result<Proof, Answer> {
        let prover = self.prover.as_ref();
        let prover = prover.ok_or(Answer::No(Refusal::Busy))?;
        Ok(prover.proof(locker, password))
    }

    fn register(
        &mut self,
        s: &mut Session,
        locker: u32,
        password: Secret,
        cx: &mut Cx<'_, Self>,
    ) -> Result<(), Answer> {
        let found = self.locker(locker)?;
        check_length(&password)?;
        if found.in_use {
            return Err(Answer::No(Refusal::InUse(locker)));
        }
        let proof = self.prove(locker, &password)?;
        let hashing = Hashing::Register { locker, proof };
        let job = HashJob::Make { password };
        let standing = self.guard.standing(locker, s.source, cx.now());
        self.hash((standing, s.source, locker), (hashing, job), cx)
    }

    fn open_locker(
        &mut self,
        s: &mut Session,
        (locker, password, purpose): (u32, Secret, Purpose),
        cx: &mut Cx<'_, Self>,
    ) -> Result<(), Answer> {
        let found = self.locker(locker)?;
        check_length(&password)?;
        if let Purpose::Store(item) = &purpose {
            check_item(item)?;
        }
        let epoch = found.epoch;
        if found.lock(purpose == Purpose::Retrieve, cx.now()).is_none() {
            return Err(Answer::No(Refusal::Free(locker)));
        }
        let proof = self.prove(locker, &password)?;
        if s.shown.as_ref().is_some_and(|shown| {
            shown.locker == locker && shown.epoch == epoch && shown.proof == proof
        }) {
            return self.opened(s, (locker, epoch), purpose, cx);
        }
        let reservation = match self.guard.try_at(locker, s.source, cx.now()) {
            Verdict::Granted(reservation) => reservation,
            Verdict::Refused { wait } => {
                return Err(Answer::No(Refusal::TooMany { locker, wait }));
            }
        };
        let at = reservation.at();
        let tried = Try {
            reservation,
            locker,
            epoch,
            purpose,
            proof,
        };
        let delayed = Delayed { tried, password };
        if at > cx.now() {
            cx.set_deadline(at.since(cx.now()));
            s.delayed = Some(Box::new(delayed));
            return Ok(());
        }
        self.check(delayed, cx).map_or(Ok(()), Err)
    }

    /// Has a password looked at, whose time has come.
    pub(super) fn check(&mut self, delayed: Delayed, cx: &mut Cx<'_, Self>) -> Option<Answer> {
        let Delayed { tried, password } = delayed;
        let retrieves = tried.purpose == Purpose::Retrieve;
        let lock = self
            .lockers
            .get(tried.locker as usize)
            .filter(|locker| locker.epoch == tried.epoch)
            .map(|locker| locker.lock(retrieves, cx.now()).map(str::to_owned));
        let Some(Some(phc)) = lock else {
            // It has changed hands while this try waited, or is free now.
            self.guard.given_back(tried.reservation, Unused::ByServer);
            return Some(Answer::No(match lock {
                Some(_) => Refusal::Free(tried.locker),
                None => Refusal::WrongPassword(tried.locker),
            }));
        };
        let reservation = &tried.reservation;
        let place = (reservation.standing(), reservation.source(), tried.locker);
        let job = HashJob::Check { password, phc };
        self.hash(place, (Hashing::Open(Box::new(tried)), job), cx)
            .err()
    }

    /// Queues a password to be hashed.
    fn hash(
        &mut self,
        (standing, source, locker): (Standing, Source, u32),
        work: (Hashing, HashJob),
        cx: &mut Cx<'_, Self>,
    ) -> Result<(), Answer> {
        let id = cx.id();
        if let Err((hashing, _)) = self.line.push(standing, source, locker, id, work) {
            if let Hashing::Open(tried) = hashing {
                self.guard.given_back(tried.reservation, Unused::ByServer);
            }
            return Err(Answer::No(Refusal::Busy));
        }
        self.feed(&mut cx.service());
        Ok(())
    }

    /// Gives the pool what waits, as far as it has room: what waits here keeps its order by rank.
    pub(super) fn feed(&mut self, cx: &mut ServiceCx<'_>) {
        while self.hashing < self.slots {
            let Some((id, work)) = self.line.pop() else {
                return;
            };
            match cx.offload(&self.hasher, id, work) {
                Ok(()) => self.hashing += 1,
                // The pool has died, and the server goes down with it.
                Err(_) => return,
            }
        }
    }

    /// A password of this session was hashed; `None` while the answer is still being made.
    pub(super) fn hashed(
        &mut self,
        s: &mut Session,
        hashing: Hashing,
        outcome: HashOutcome,
        cx: &mut Cx<'_, Self>,
    ) -> Option<Answer> {
        let begun = match (hashing, outcome) {
            (Hashing::Register { locker, proof }, HashOutcome::Made(Ok(hash))) => {
                // Which epoch it is right for the store will say.
                let shown = Box::new(Shown {
                    locker,
                    epoch: NO_EPOCH,
                    proof,
                });
                let begun = self.change(s.source, locker, Change::Register { hash }, cx);
                s.shown = begun.is_ok().then_some(shown);
                begun
            }
            (Hashing::Reset { locker, epoch, .. }, HashOutcome::Made(Ok(hash))) => {
                match self.lockers.get(locker as usize) {
                    Some(found) if !found.in_use => Err(Answer::No(Refusal::Free(locker))),
                    Some(found) if found.epoch == epoch => {
                        self.change(s.source, locker, Change::Reset { hash }, cx)
                    }
                    _ => Err(Answer::No(Refusal::ChangedHands(locker))),
                }
            }
            (Hashing::Open(tried), HashOutcome::Checked(Ok(checked))) => {
                self.checked(s, *tried, checked, cx)
            }
            (Hashing::Open(tried), HashOutcome::Checked(Err(words))) => {
                self.guard.given_back(tried.reservation, Unused::ByServer);
                Err(Answer::No(Refusal::Failed(words)))
            }
            (_, HashOutcome::Made(Err(words))) => Err(Answer::No(Refusal::Failed(words))),
            // A job gives the outcome of its kind.
            _ => Err(Answer::No(Refusal::Busy)),
        };
        begun.err()
    }

    fn checked(
        &mut self,
        s: &mut Session,
        tried: Try,
        checked: Checked,
        cx: &mut Cx<'_, Self>,
    ) -> Result<(), Answer> {
        let Try {
            reservation,
            locker,
            epoch,
            purpose,
            proof,
        } = tried;
        let Checked::Right { better } = checked else {
            self.guard.failed(reservation);
            cx.note(format_args!("showed a wrong password for locker {locker}"));
            return Err(Answer::No(Refusal::WrongPassword(locker)));
        };
        self.guard.succeeded(reservation);
        s.shown = Some(Box::new(Shown {
            locker,
            epoch,
            proof,
        }));
        if let Some(hash) = better {
            let job = job(locker, Change::Rehash { epoch, hash }, cx.peer());
            // Where the store is busy the next try makes it better.
            let lane = &self.store;
            let _ = cx
                .service()
                .offload(lane, SourceId::NOBODY, (s.source, job));
        }
        self.opened(s, (locker, epoch), purpose, cx)
    }

    /// The password is right.
    fn opened(
        &mut self,
        s: &mut Session,
        (locker, epoch): (u32, u64),
        purpose: Purpose,
        cx: &mut Cx<'_, Self>,
    ) -> Result<(), Answer> {
        let found = self.locker(locker)?;
        let change = match purpose {
            // The item will have no answer of its own, so this one has to be true of it.
            Purpose::Check => {
                return Err(match found {
                    found if !found.in_use => Answer::No(Refusal::Free(locker)),
                    found if found.epoch != epoch => Answer::No(Refusal::WrongPassword(locker)),
                    found if found.items >= LOCKER_ITEMS_MAX => Answer::No(Refusal::Full(locker)),
                    _ => {
                        s.item = Some(locker);
                        Answer::Right
                    }
                });
            }
            Purpose::Store(item) => Change::Store { epoch, item },
            Purpose::Retrieve if found.in_use => Change::Retrieve { epoch },
            Purpose::Retrieve => Change::Again { epoch },
        };
        self.change(s.source, locker, change, cx)
    }

    fn put(
        &mut self,
        s: &mut Session,
        locker: u32,
        item: Vec<u8>,
        cx: &mut Cx<'_, Self>,
    ) -> Result<(), Answer> {
        check_item(&item)?;
        match &s.shown {
            Some(shown) if shown.locker == locker => {
                let epoch = shown.epoch;
                self.change(s.source, locker, Change::Store { epoch, item }, cx)
            }
            _ => Err(Answer::No(Refusal::WrongPassword(locker))),
        }
    }

    fn reset(&mut self, s: &mut Session, locker: u32, cx: &mut Cx<'_, Self>) -> Result<(), Answer> {
        let found = self.locker(locker)?;
        if !found.in_use {
            return Err(Answer::No(Refusal::Free(locker)));
        }
        let epoch = found.epoch;
        if !s.is_admin {
            return Err(self.call_administrator(s.source, (locker, epoch), cx));
        }
        let actor = cx.peer().to_string();
        let work = reset_work((locker, epoch), actor);
        self.hash((Standing::Known, s.source, locker), work, cx)
    }

    /// Whether a locker is in use under the password of that epoch. What is handed to the store
    /// while it is comes there before anybody else can have it: who registers it has seen it free.
    pub(super) fn still_has(&self, locker: u32, epoch: u64) -> bool {
        let found = self.lockers.get(locker as usize);
        found.is_some_and(|found| found.in_use && found.epoch == epoch)
    }

    /// Begins a reset that the operator has approved; false where too much waits.
    pub(super) fn reset_for_operator(
        &mut self,
        (number, locker, epoch): (u32, u32, u64),
        actor: String,
        cx: &mut ServiceCx<'_>,
    ) -> bool {
        let work = reset_work((locker, epoch), actor);
        // On this machine, of which more may wait than of a source in the network.
        let (standing, source) = (Standing::Known, Source::User(self.user));
        // Nobody's, and another for each call: several may wait at once.
        let id = SourceId {
            generation: number,
            ..SourceId::NOBODY
        };
        let pushed = self.line.push(standing, source, locker, id, work);
        self.feed(cx);
        pushed.is_ok()
    }

    /// A client has gone: what waits for it alone is given up.
    pub(super) fn forget(&mut self, s: Session, cx: &mut ServiceCx<'_>) {
        let id = s.id;
        if let Some(delayed) = s.delayed {
            let reservation = delayed.tried.reservation;
            self.guard.given_back(reservation, Unused::ByClient);
        }
        if let Some((Hashing::Open(tried), _)) = self.line.remove(id) {
            self.guard.given_back(tried.reservation, Unused::ByClient);
        }
        self.withdraw_calls(id, "its client has left", cx);
    }
}

fn reset_work((locker, epoch): (u32, u64), actor: String) -> (Hashing, HashJob) {
    let password = Secret::new(DEFAULT_PASSWORD);
    let hashing = Hashing::Reset {
        locker,
        epoch,
        actor,
    };
    (hashing, HashJob::Make { password })
}
