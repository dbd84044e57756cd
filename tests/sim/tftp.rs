//! TFTP: one client, one server, and a network that loses, doubles, delays and reorders, under
//! virtual time. Whatever happens, a file comes out whole or not at all, each end comes to an end,
//! and [`party`] holds each step against the rules of sending.

mod party;
mod plan;
mod transfer;

use switchboard::wire::tftp::{Code, End};

use self::plan::{Plan, Trouble};
use self::transfer::{CLIENT, Transfer};
use crate::random::Random;
use crate::{SEEDS, Seed, seeds};

/// Transfers of one seed: ten thousand with the seeds that are played by default.
const TRANSFERS: usize = 25;

/// How many transfers came to which end.
#[derive(Default)]
struct Count {
    whole: usize,
    broken: usize,
}

/// What must hold once all has ended; true if the file came over and both know it.
fn judge(plan: &Plan, transfer: &Transfer<'_>) -> bool {
    let client = &transfer.parties[CLIENT];
    let server = transfer.bound.and_then(|bound| transfer.parties.get(bound));
    for party in &transfer.parties {
        let is_gone = match plan.trouble {
            Trouble::ClientGoes(_) => !party.is_server,
            Trouble::ServerGoes(_) => party.is_server,
            _ => false,
        };
        let is_alone = plan.trouble == Trouble::Nothing;
        match &party.end {
            None => assert!(is_gone, "it comes to an end"),
            Some(End::Whole | End::Silent) => {}
            Some(End::Changed) => assert!(matches!(plan.trouble, Trouble::Change(_))),
            Some(End::Failed(_)) => assert!(matches!(plan.trouble, Trouble::Full(_))),
            Some(End::Refused { code, .. }) => {
                assert!(!is_alone && transfer.refused.contains(code));
            }
        }
    }
    let (sender, receiver) = match plan.is_put {
        true => (Some(client), server),
        false => (server, Some(client)),
    };
    let is_published = receiver.is_some_and(|receiver| receiver.is_published);
    let is_sent = sender.is_some_and(|sender| sender.end == Some(End::Whole));
    assert!(
        is_published || !is_sent,
        "who has sent it knows that it is safe"
    );
    if plan.trouble == Trouble::Beyond {
        let code = Code::OPTION_REFUSED;
        assert!(!is_published && (transfer.refused.contains(&code) || server.is_none()));
    }
    is_published && is_sent
}

fn play(plan: &Plan, random: &mut Random, count: &mut Count) {
    let transfer = Transfer::run(plan, random);
    let is_whole = judge(plan, &transfer);
    assert!(is_whole || !plan.is_quiet(), "nothing was in its way");
    match is_whole {
        true => count.whole += 1,
        false => count.broken += usize::from(plan.trouble == Trouble::Nothing),
    }
}

#[test]
fn tftp_brings_a_file_over_whole_or_not_at_all() {
    let mut count = Count::default();
    for seed in seeds(SEEDS) {
        let seed = Seed(seed);
        let mut random = Random(seed.0);
        for _ in 0..TRANSFERS {
            let plan = Plan::draw(&mut random);
            play(&plan, &mut random, &mut count);
        }
    }
    eprintln!(
        "{} whole, {} lost to the network",
        count.whole, count.broken
    );
    // A few are lost where three packets of ten are; all would be a sign that nothing is tested.
    assert!(count.broken * 10 <= count.whole || count.whole + count.broken < 1_000);
}

#[test]
fn tftp_counts_its_blocks_beyond_the_numbers_of_the_wire() {
    for is_put in [false, true] {
        let (mut random, mut count) = (Random(7), Count::default());
        let plan = Plan::long(is_put, &mut random);
        play(&plan, &mut random, &mut count);
        assert_eq!(count.whole, 1);
    }
}
