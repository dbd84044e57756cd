//! A server that ends between any two steps: what is in the folders then, and what can follow.

use super::*;

/// Begins an upload of `new`, does so many steps of publishing, and stops there.
fn stopped_after(place: &Place, steps: usize, replace: bool) {
    let target = name("new");
    let wanted = Wanted {
        name: &target,
        size: Some(5),
        offset: 0,
        owner: b"somebody",
        replace,
    };
    let upload = place.begin_as(&wanted).unwrap();
    write(&upload, b"whole");
    let mut moved_to = None;
    for step in &STEPS[..steps] {
        place.uploads.step(&upload, &mut moved_to, *step).unwrap();
    }
}

#[test]
fn publishing_is_in_the_order_that_survives() {
    assert_eq!(
        STEPS,
        [Step::Count, Step::SyncFile, Step::Move, Step::SyncFolder]
    );
}

#[test]
fn a_stop_at_any_step_leaves_the_old_file_or_the_new_one() {
    for replace in [false, true] {
        for steps in 0..=STEPS.len() {
            let place = place();
            if replace {
                fs::write(place.path("new"), "old").unwrap();
            }
            stopped_after(&place, steps, replace);
            let place = place.restart();
            let moved = STEPS[..steps].contains(&Step::Move);
            let there = fs::read(place.path("new")).ok();
            let before = replace.then(|| b"old".to_vec());
            let expected = if moved {
                Some(b"whole".to_vec())
            } else {
                before
            };
            assert_eq!(there, expected, "after {steps} steps");
            assert_eq!(place.partials().len(), usize::from(!moved));
            assert!(place.visible().iter().all(|name| name == "new"));

            // And the client comes back: it is told the truth, and can end what it began.
            let target = name("new");
            let wanted = Wanted {
                name: &target,
                size: Some(5),
                offset: 5,
                owner: b"somebody",
                replace,
            };
            match place.begin_as(&wanted) {
                Err(why) => assert!(moved && why == Refusal::Exists),
                Ok(upload) => {
                    assert_eq!(upload.kept, if moved { 0 } else { 5 });
                    write(&upload, &b"whole"[usize::try_from(upload.kept).unwrap()..]);
                    place.uploads.publish(upload).unwrap();
                }
            }
            assert_eq!(fs::read(place.path("new")).unwrap(), b"whole");
            assert!(place.partials().is_empty());
        }
    }
}

#[test]
fn a_stop_while_receiving_leaves_what_had_come() {
    let place = place();
    for (kept, byte) in (0..).zip(b"whole") {
        let upload = place.begin("new", 5, 5).unwrap();
        assert_eq!(upload.kept, kept);
        write(&upload, &[*byte]);
        drop(upload);
        assert!(place.visible().is_empty());
    }
    let upload = place.begin("new", 5, 5).unwrap();
    place.uploads.publish(upload).unwrap();
    assert_eq!(fs::read(place.path("new")).unwrap(), b"whole");
}

#[test]
fn a_stop_while_taking_up_a_partial_promises_nothing_wrong() {
    // Cut, and then stopped before the name said so.
    let mut place = place();
    let upload = place.begin("new", 9, 0).unwrap();
    write(&upload, b"abcdef");
    place.uploads.keep(upload).unwrap();
    let path = place.path(".partial").join(&place.partials()[0]);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(2)
        .unwrap();
    place.uploads.boot = "0".repeat(32);
    assert_eq!(place.begin("new", 9, 9).unwrap().kept, 2);
}

/// Kills a process that uploads one file after the other, and looks at what it left.
#[test]
fn a_killed_process_leaves_only_whole_files_and_partials() {
    let place = place();
    for round in 0..20_u32 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture"])
            .arg("services::files::uploads::tests::crash::uploads_until_it_is_killed")
            .env("UPLOAD_TO", place.folder.path())
            .env("UPLOAD_ROUND", round.to_string())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let goal = place.path(&format!("{round}-{}", 3 * (1 + round % 5)));
        let limit = Instant::now() + Duration::from_secs(120);
        while !goal.exists() && Instant::now() < limit {
            thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(goal.exists(), "the process uploads nothing");
        for name in place.visible() {
            let content = fs::read(place.path(&name)).unwrap();
            assert_eq!(content, contents(&name), "{name}");
        }
        assert!(place.partials().len() <= 1);
        assert_eq!(
            place.uploads.sweep(Duration::MAX).unwrap().left,
            place.partials().len()
        );
        for partial in place.partials() {
            fs::remove_file(place.path(".partial").join(partial)).unwrap();
        }
    }
}

/// What a file of that name holds.
fn contents(name: &str) -> Vec<u8> {
    name.bytes().cycle().take(900).collect()
}

/// Run as a process of its own, by the test above.
#[test]
#[ignore = "runs until it is killed"]
fn uploads_until_it_is_killed() {
    let (Ok(folder), Ok(round)) = (std::env::var("UPLOAD_TO"), std::env::var("UPLOAD_ROUND"))
    else {
        return;
    };
    let root = Arc::new(Root::at(Path::new(&folder)).unwrap());
    let uploads = Uploads::open(root, LIMITS).unwrap();
    for number in 0..100_000 {
        // Every third one replaces the same file.
        let replace = number % 3 == 2;
        let text = if replace {
            "same".to_owned()
        } else {
            format!("{round}-{number}")
        };
        let target = name(&text);
        let wanted = Wanted {
            name: &target,
            size: Some(900),
            offset: 900,
            owner: b"",
            replace,
        };
        let (first, rest) = (&contents(&text)[..450], &contents(&text)[450..]);
        let upload = uploads.begin(&wanted).unwrap();
        assert_eq!(upload.kept, 0);
        write(&upload, first);
        uploads.keep(upload).unwrap();
        let upload = uploads.begin(&wanted).unwrap();
        assert_eq!(upload.kept, 450);
        write(&upload, rest);
        uploads.publish(upload).unwrap();
    }
}
