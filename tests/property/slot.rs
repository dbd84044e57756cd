//! The slot against its model, with several writers, any times and any cuts.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use switchboard::services::slot::ENTRY;

use crate::bytes::{Cuts, cuts};
use crate::cases;
use crate::script::{Action, PEERS, run, script};
use crate::slot_model::Model;

fn options() -> impl Strategy<Value = (usize, u64, u64)> {
    let size = prop_oneof![4 => Just(20_usize), 1 => 2_usize..30, 1 => Just(5_000)];
    let delay = prop_oneof![4 => Just(2_000_u64), 1 => Just(0), 1 => 1_u64..100];
    let gap = prop_oneof![4 => Just(50_u64), 1 => Just(0), 1 => 1_u64..100];
    (size, delay, gap)
}

/// One writer that sends a few letters and hesitates about as long as the gap, again and again.
fn hesitant() -> impl Strategy<Value = Vec<Action>> {
    let piece = (1_usize..5, 40_u64..60);
    vec(piece, 1..7).prop_map(|pieces| {
        let actions = pieces.into_iter().flat_map(|(letters, pause)| {
            let pause = Duration::from_millis(pause);
            [Action::Feed(0, vec![b'h'; letters]), Action::Advance(pause)]
        });
        actions
            .chain([Action::Advance(Duration::from_secs(60))])
            .collect()
    })
}

/// Plays a script to the slot and to its model, and compares what each peer sees of either.
fn alike(script: &[Action], cuts: &Cuts, options: (usize, u64, u64)) -> Result<(), TestCaseError> {
    let (size, delay, gap) = options;
    let listener = format!("size={size}&delay={delay}ms&gap={gap}ms");
    let seen = run(&ENTRY, &[&listener], script, cuts);
    let (delay, gap) = (Duration::from_millis(delay), Duration::from_millis(gap));
    let mut model = Model::new(size, delay, gap, PEERS);
    let mut ended = [false; PEERS];
    for (action, seen) in script.iter().zip(&seen) {
        match action {
            Action::Feed(peer, bytes) if !ended[*peer] => model.feed(*peer, bytes),
            Action::Feed(..) => {}
            Action::End(peer) => {
                ended[*peer] = true;
                model.end(*peer);
            }
            Action::Vanish(peer) => model.vanish(*peer),
            Action::Advance(by) => model.advance(*by),
            Action::ShutDown => model.shut_down(),
        }
        for peer in 0..PEERS {
            let expected = std::mem::take(&mut model.writers[peer].sent);
            prop_assert_eq!(
                seen.sent[peer].escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "peer {} after {:?}",
                peer,
                action
            );
            prop_assert_eq!(seen.closed[peer].is_some(), model.is_closed(peer));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(2_500))]

    #[test]
    fn the_slot_does_what_its_model_does(
        script in script(), cuts in cuts(), options in options(),
    ) {
        alike(&script, &cuts, options)?;
    }

    #[test]
    fn a_hesitant_writer_is_served_as_by_the_model(script in hesitant(), cuts in cuts()) {
        alike(&script, &cuts, (20, 2_000, 50))?;
    }
}
