//! Passwords and their records, at the least cost but for one test.

use super::*;

fn cost(text: &str) -> Cost {
    Cost::parse(text).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes())
}

fn quick() -> Hasher {
    Hasher::new(cost("8,1"))
}

const PASSWORD: &str = "correct horse battery staple";

#[test]
fn a_password_is_right_for_its_record_and_no_other_is() {
    let mut hasher = quick();
    for password in ["x", "0000", PASSWORD, "\u{e4}\0\n", &"a".repeat(128)] {
        let record = hasher.hash(&secret(password)).unwrap();
        assert!(
            record.starts_with("$argon2id$v=19$m=8,t=1,p=1$"),
            "{record}"
        );
        assert_eq!(hasher.verify(&secret(password), &record), Ok(true));
        for wrong in [
            "",
            "X",
            "x ",
            &password[..password.len() - 1],
            &format!("{password}\0"),
        ] {
            assert_eq!(
                hasher.verify(&secret(wrong), &record),
                Ok(false),
                "{wrong:?}"
            );
        }
    }
    let again = hasher.hash(&secret("x")).unwrap();
    assert_ne!(
        again,
        hasher.hash(&secret("x")).unwrap(),
        "each has its salt"
    );
}

#[test]
fn records_are_what_other_programs_write_and_read() {
    use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
    let other = Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(64, 3, 1, None).unwrap(),
    );
    let theirs = other
        .hash_password(PASSWORD.as_bytes())
        .unwrap()
        .to_string();
    assert_eq!(quick().verify(&secret(PASSWORD), &theirs), Ok(true));
    let ours = Hasher::new(cost("40,2")).hash(&secret(PASSWORD)).unwrap();
    let ours = PasswordHash::new(&ours).unwrap();
    assert!(other.verify_password(PASSWORD.as_bytes(), &ours).is_ok());
}

#[test]
fn records_of_another_cost_are_still_right() {
    let mut hasher = quick();
    for other in ["8,2", "9,1", "1024,3", "8,1", "70000,1"] {
        let record = Hasher::new(cost(other)).hash(&secret(PASSWORD)).unwrap();
        assert_eq!(
            hasher.verify(&secret(PASSWORD), &record),
            Ok(true),
            "{other}"
        );
        assert_eq!(
            hasher.verify(&secret("other"), &record),
            Ok(false),
            "{other}"
        );
        assert!(hasher.blocks.len() <= LOCKER_HASH_KEPT_KIB, "given back");
        assert!(hasher.blocks.iter().all(|block| block.as_ref() == [0; 128]));
    }
}

#[test]
fn a_damaged_record_is_an_error_in_words() {
    let good = quick().hash(&secret(PASSWORD)).unwrap();
    let put = |from: &str, to: &str| good.replacen(from, to, 1);
    for (record, word) in [
        (String::new(), "no PHC string"),
        ("0000".to_owned(), "no PHC string"),
        (put("argon2id", "argon2i"), "not of Argon2id"),
        (put("v=19", "v=16"), "not of Argon2id"),
        (put("$v=19", ""), "not of Argon2id"),
        (put("m=8", "m=1048577"), "wants 1048577 KiB"),
        (put("m=8", "m=4294967295"), "wants 4294967295 KiB"),
        (put("m=8", "m=7"), "other parameters"),
        (put("t=1", "t=65"), "wants 65 passes"),
        (put("t=1", "t=0"), "other parameters"),
        (put("p=1", "p=0"), "other parameters"),
        (put("m=8,t=1,p=1", "m=16,t=1,p=2"), "never written"),
        (put("p=1", "p=1,data=aGFsbG8"), "never written"),
        (put("m=8,t=1", "t=1,m=8"), "never written"),
        (put("p=1", "x=1"), "other parameters"),
        (good[..good.len() - 40].to_owned(), "no PHC string"),
        (good[..good.len() - 27].to_owned(), "too short a hash"),
        (
            good[..good.rfind('$').unwrap()].to_owned(),
            "no salt or no hash",
        ),
        (format!("{good}$x"), "no PHC string"),
        (put("m=8", "m=8,m=9"), "never written"),
    ] {
        let error = quick().verify(&secret(PASSWORD), &record).unwrap_err();
        assert!(error.contains(word), "{record}: {error}");
        assert!(error.starts_with("the record of the password is damaged: it "));
        assert!(!is_weaker(&record, Cost::default()), "{record}");
    }
    // One bit of the hash is a wrong password: the store's checksum is what finds it.
    let last = if good.ends_with('A') { "E" } else { "A" };
    let record = format!("{}{last}", &good[..good.len() - 1]);
    assert_ne!(quick().verify(&secret(PASSWORD), &record), Ok(true));
}

#[test]
fn a_record_is_made_anew_when_the_cost_is_raised_and_never_when_it_is_lowered() {
    let record = Hasher::new(cost("16,2")).hash(&secret(PASSWORD)).unwrap();
    for (now, weaker) in [
        ("16,2", false),
        ("17,2", true),
        ("16,3", true),
        ("17,1", false),
        ("8,2", false),
        ("15,64", false),
    ] {
        assert_eq!(is_weaker(&record, cost(now)), weaker, "{now}");
        let check = |password| HashJob::Check {
            password: secret(password),
            phc: record.clone(),
        };
        let mut hasher = Hasher::new(cost(now));
        let HashOutcome::Checked(Ok(Checked::Right { better })) = hasher.run(check(PASSWORD))
        else {
            panic!("the password is right");
        };
        assert_eq!(better.is_some(), weaker, "{now}");
        if let Some(better) = better {
            assert!(!is_weaker(&better, cost(now)));
            assert_eq!(hasher.verify(&secret(PASSWORD), &better), Ok(true));
        }
        let wrong = HashOutcome::Checked(Ok(Checked::Wrong));
        assert_eq!(
            hasher.run(check("other")),
            wrong,
            "a wrong one makes no record"
        );
    }
}

#[test]
fn jobs_have_their_outcomes() {
    let mut hasher = quick();
    let password = secret(PASSWORD);
    let HashOutcome::Made(Ok(record)) = hasher.run(HashJob::Make { password }) else {
        panic!("a record is made");
    };
    assert_eq!(hasher.verify(&secret(PASSWORD), &record), Ok(true));
    let damaged = HashJob::Check {
        password: secret(PASSWORD),
        phc: "x".to_owned(),
    };
    assert!(matches!(hasher.run(damaged), HashOutcome::Checked(Err(_))));
}

#[test]
fn costs_are_read_and_bounded() {
    assert_eq!(Cost::default(), cost("19456,2"));
    assert_eq!(Cost::default().to_string(), "19456,2");
    let most = cost("1048576,64");
    assert_eq!((most.kib(), most.passes()), (1_048_576, 64));
    for (text, word) in [
        ("", "is not KIB,PASSES"),
        ("19456", "is not KIB,PASSES"),
        ("19456,", "is not KIB,PASSES"),
        (",2", "is not KIB,PASSES"),
        ("+8,1", "is not KIB,PASSES"),
        ("8, 1", "is not KIB,PASSES"),
        ("8,1,1", "is not KIB,PASSES"),
        ("7,1", "wants 7 KiB"),
        ("1048577,1", "wants 1048577 KiB"),
        ("99999999999,1", "KiB of memory"),
        ("8,0", "wants 0 passes"),
        ("8,65", "wants 65 passes"),
    ] {
        let error = Cost::parse(text).unwrap_err();
        assert!(error.contains(word), "{text}: {error}");
    }
    for (kib, passes) in EQUALS {
        let least = Cost { kib, passes };
        assert!(!least.is_weak(), "{least}");
        assert!(cost(&format!("{},{passes}", kib - 1)).is_weak());
    }
    assert!(cost("8,64").is_weak() && cost("19456,1").is_weak() && !cost("65536,64").is_weak());
}

#[test]
fn no_text_has_a_password_in_it() {
    let mut hasher = quick();
    let record = hasher.hash(&secret(PASSWORD)).unwrap();
    let prover = Prover::new([7; 32]);
    let check = HashJob::Check {
        password: secret(PASSWORD),
        phc: "$argon2id$v=19$m=8,t=1,p=1$x".to_owned(),
    };
    let make = HashJob::Make {
        password: secret(PASSWORD),
    };
    assert_eq!(format!("{:?}", secret(PASSWORD)), "Secret(28 bytes)");
    let texts = format!(
        "{make:?}{check:?}{:?}{prover:?}{hasher:?}{record}",
        prover.proof(1, &secret(PASSWORD)),
    );
    let texts = format!("{texts}{:?}", hasher.run(check));
    for word in PASSWORD.split(' ') {
        assert!(!texts.contains(word), "{texts}");
    }
    // Nor the bytes of it, as numbers.
    assert!(!texts.contains("99, 111, 114"), "{texts}");
}

#[test]
fn a_proof_holds_for_one_password_locker_and_process() {
    let prover = Prover::new([7; 32]);
    let proof = prover.proof(1, &secret("0000"));
    assert_eq!(proof, prover.proof(1, &secret("0000")));
    assert_eq!(proof, proof.clone());
    for other in [
        prover.proof(2, &secret("0000")),
        prover.proof(1, &secret("0001")),
        prover.proof(1, &secret("")),
        prover.proof(1, &secret("0000\0")),
        Prover::new([8; 32]).proof(1, &secret("0000")),
        Prover::random().unwrap().proof(1, &secret("0000")),
    ] {
        assert_ne!(proof, other);
    }
}
