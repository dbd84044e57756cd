//! The probe of `lanes.rs`: a service that hands over jobs and pauses as its bytes say, and checks each
//! callback against what it was promised.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use switchboard::service::{CloseReason, Cx, Entry, Host, Kit, Lane, Service, ServiceCx, SourceId};

pub const PROBE: Entry = Entry {
    name: "probe",
    summary: "",
    about: "",
    options: &[],
    datagrams: None,
    console: &[],
    transfers: false,
    secret: false,
    takes_lines: false,
    board: &[],
    build: |listeners| Host::build(listeners, |_| Ok(Probe::default())),
};

pub const ORDERED_MAX: usize = 3;
const BATCH_MAX: usize = 2;
const POOLED_MAX: usize = 2;
pub const THREADS: usize = 2;
pub const PAUSE: Duration = Duration::from_millis(20);

/// What is known of one connection, by its number.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// All that it was given, in order.
    pub eaten: Vec<u8>,
    pub ended: bool,
    pub told: u32,
    /// Nudges that it sent itself, and those that came.
    pub nudges: (u32, u32),
    /// Jobs that a lane took, and results.
    pub jobs: u32,
    pub done: u32,
    pub orphaned: u32,
    pub is_open: bool,
    pub paused: bool,
}

#[derive(Default)]
pub struct All {
    pub seen: Vec<Seen>,
    /// Jobs that wait in the ordered lane, then those whose result was not delivered yet.
    pub ordered: VecDeque<u32>,
    results: VecDeque<u32>,
    /// How many wait in the pool.
    pooled: usize,
    /// Lanes that were full.
    pub full: u32,
}

thread_local! {
    static ALL: RefCell<All> = RefCell::default();
}

pub fn all<R>(f: impl FnOnce(&mut All) -> R) -> R {
    ALL.with_borrow_mut(f)
}

pub fn seen<R>(number: u32, f: impl FnOnce(&mut Seen) -> R) -> R {
    all(|all| {
        let place = number as usize;
        all.seen
            .resize(all.seen.len().max(place + 1), Seen::default());
        f(&mut all.seen[place])
    })
}

/// A job: its number, and that of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Job(u32, u32);

enum Done {
    Ordered(Job),
    Pooled(Job),
}

/// Each byte is a command. `o` hands a job to the ordered lane and pauses until it is done, `O` does
/// so without a pause, `p` hands one to the pool; `z` pauses until a deadline; `y` leaves the rest
/// for its next turn; `n` nudges the session itself; others are eaten.
#[derive(Default)]
struct Probe {
    ordered: Lane<Job>,
    pool: Lane<Job>,
    jobs: u32,
}

struct Session {
    number: u32,
    id: SourceId,
    left: Vec<u8>,
    paused: bool,
    /// The job that ends the pause.
    waits_for: Option<u32>,
    jobs: BTreeSet<u32>,
    ended: bool,
    closing: bool,
}

impl Session {
    fn alive(&self) {
        assert!(!self.closing, "no callback but closed after close");
    }

    fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        seen(self.number, |seen| seen.paused = paused);
    }
}

impl Probe {
    /// Hands over a job; whether the lane took it.
    fn hand_over(&mut self, s: &mut Session, ordered: bool, cx: &mut Cx<'_, Self>) -> Option<u32> {
        self.jobs += 1;
        let job = Job(self.jobs, s.number);
        let (lane, waiting, most) = match ordered {
            true => (&self.ordered, all(|all| all.ordered.len()), ORDERED_MAX),
            false => (&self.pool, all(|all| all.pooled), POOLED_MAX),
        };
        match cx.offload(lane, job) {
            Err(back) => {
                assert_eq!(back, job, "the job comes back");
                assert_eq!(waiting, most, "a lane refuses what it has no room for");
                all(|all| all.full += 1);
                None
            }
            Ok(()) => {
                assert!(waiting < most, "a lane is bounded");
                all(|all| match ordered {
                    true => all.ordered.push_back(job.0),
                    false => all.pooled += 1,
                });
                seen(s.number, |seen| seen.jobs += 1);
                s.jobs.insert(job.0);
                Some(job.0)
            }
        }
    }

    /// A result, whoever gets it.
    fn took(done: &Done) -> Job {
        match done {
            Done::Ordered(job) => {
                let first = all(|all| all.results.pop_front());
                assert_eq!(
                    first,
                    Some(job.0),
                    "results of an ordered lane are in order"
                );
                *job
            }
            Done::Pooled(job) => *job,
        }
    }
}

impl Service for Probe {
    type Options = ();
    type Session = Session;
    type Done = Done;

    fn start(&mut self, kit: &mut Kit<'_, Done>) -> Result<(), String> {
        let sizes = (ORDERED_MAX, BATCH_MAX);
        let ordered = kit.ordered("ordered", sizes, |jobs: &mut Vec<(_, Job)>, results| {
            assert!(!jobs.is_empty() && jobs.len() <= BATCH_MAX);
            for (id, job) in jobs.drain(..) {
                let first = all(|all| all.ordered.pop_front());
                assert_eq!(first, Some(job.0), "jobs of an ordered lane are in order");
                all(|all| all.results.push_back(job.0));
                results.send(id, Done::Ordered(job));
            }
        });
        let pool = kit.pool("pool", (POOLED_MAX, THREADS), || {
            |job| {
                all(|all| all.pooled -= 1);
                Done::Pooled(job)
            }
        });
        self.ordered = ordered.map_err(|error| error.to_string())?;
        self.pool = pool.map_err(|error| error.to_string())?;
        Ok(())
    }

    fn open(&mut self, cx: &mut Cx<'_, Self>) -> Session {
        seen(cx.number(), |seen| seen.is_open = true);
        Session {
            number: cx.number(),
            id: cx.id(),
            left: Vec::new(),
            paused: false,
            waits_for: None,
            jobs: BTreeSet::new(),
            ended: false,
            closing: false,
        }
    }

    fn receive(&mut self, s: &mut Session, input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        s.alive();
        assert!(!s.paused, "a paused session is given nothing");
        assert!(input.starts_with(&s.left), "what was left comes first");
        let mut used = 0;
        for command in input {
            used += 1;
            match command {
                b'o' => s.waits_for = self.hand_over(s, true, cx),
                b'O' => drop(self.hand_over(s, true, cx)),
                b'p' => drop(self.hand_over(s, false, cx)),
                b'z' => {
                    cx.set_deadline(PAUSE);
                    s.set_paused(true);
                }
                b'n' => {
                    seen(s.number, |seen| seen.nudges.0 += 1);
                    let me = s.id;
                    cx.service().notify(me);
                }
                b'y' => {
                    cx.yield_turn();
                    break;
                }
                _ => {}
            }
            if s.paused || s.waits_for.is_some() {
                s.set_paused(true);
                cx.pause();
                break;
            }
        }
        seen(s.number, |seen| {
            seen.eaten.extend_from_slice(&input[..used])
        });
        s.left = input[used..].to_vec();
        used
    }

    fn end_of_input(&mut self, s: &mut Session, rest: &[u8], cx: &mut Cx<'_, Self>) {
        s.alive();
        assert!(!s.paused, "a paused session is not told of the end");
        assert_eq!(rest, s.left, "the rest is what was never used");
        assert!(rest.is_empty(), "all was offered before the end");
        s.ended = true;
        seen(s.number, |seen| seen.ended = true);
        if s.jobs.is_empty() {
            s.closing = true;
            cx.close(CloseReason::ClientEnded);
        }
    }

    fn deadline(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        s.alive();
        assert!(s.paused, "it was set with the pause");
        s.set_paused(false);
        cx.resume();
    }

    fn notified(&mut self, s: &mut Session, _: &mut Cx<'_, Self>) {
        s.alive();
        seen(s.number, |seen| seen.nudges.1 += 1);
    }

    fn shutting_down(&mut self, s: &mut Session, _: &mut Cx<'_, Self>) {
        s.alive();
        seen(s.number, |seen| seen.told += 1);
    }

    fn done(&mut self, s: &mut Session, done: Done, cx: &mut Cx<'_, Self>) {
        s.alive();
        let job = Self::took(&done);
        assert_eq!(job.1, s.number, "to the session that handed it over");
        assert!(s.jobs.remove(&job.0), "one result for each job");
        seen(s.number, |seen| seen.done += 1);
        if s.waits_for == Some(job.0) {
            s.waits_for = None;
            s.set_paused(false);
            cx.resume();
        }
        if s.ended && s.jobs.is_empty() {
            s.closing = true;
            cx.close(CloseReason::ClientEnded);
        }
    }

    fn orphaned(&mut self, done: Done, _: &mut ServiceCx<'_>) {
        let job = Self::took(&done);
        seen(job.1, |seen| {
            assert!(!seen.is_open, "its session has closed");
            seen.orphaned += 1;
        });
    }

    fn closed(&mut self, s: Session, _: &mut ServiceCx<'_>) {
        seen(s.number, |seen| seen.is_open = false);
    }
}
