//! A proof that a password was right: with it a session that has shown the password need not have
//! it hashed again. It holds while the password does and the process runs, and is never written.

use std::fmt;
use std::hint::black_box;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Secret, fill_with_random};

/// SHA-256 over a key of the process, the locker and the password.
///
/// The key is what makes it safe to keep: without it the proof of a four-digit password would be
/// found in no time. It stands in front, so proofs must not be shown to anybody, who could lengthen
/// the password behind it.
#[derive(Clone)]
pub struct Proof([u8; 32]);

/// Makes proofs.
pub struct Prover {
    key: Zeroizing<[u8; 32]>,
}

impl Prover {
    /// With that key, which has to be random and is never to be used again.
    #[cfg(test)]
    pub fn new(key: [u8; 32]) -> Self {
        Self {
            key: Zeroizing::new(key),
        }
    }

    /// With a key from the kernel; an error, in words, where it has none.
    pub fn random() -> Result<Self, String> {
        let mut key = Zeroizing::new([0; 32]);
        fill_with_random(key.as_mut_slice())?;
        Ok(Self { key })
    }

    /// The proof of that password for that locker. It is right as long as the password is: whoever
    /// keeps it keeps the epoch beside it.
    pub fn proof(&self, locker: u32, password: &Secret) -> Proof {
        let hash = Sha256::new()
            .chain_update(self.key.as_slice())
            .chain_update(locker.to_le_bytes())
            // Last, and all before it has a fixed length: no two inputs are the same bytes.
            .chain_update(&password.0[..]);
        Proof(hash.finalize().into())
    }
}

impl PartialEq for Proof {
    /// Looks at all bytes, whatever they are: the differences are gathered and looked at once, and
    /// `black_box` keeps the compiler from ending the loop early. That is constant enough, since
    /// nobody outside can choose a proof: what time could tell about it is of no use without the key.
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        let differences = pairs.fold(0, |all, (one, two)| black_box(all | (one ^ two)));
        differences == 0
    }
}

impl Eq for Proof {}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof")
    }
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prover")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_that_differ_in_one_bit_are_not_the_same() {
        let proof = Prover::new([7; 32]).proof(1, &Secret::new(b"0000"));
        for bit in 0..256 {
            let mut other = proof.clone();
            assert_eq!(proof, other);
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(proof, other, "bit {bit}");
        }
    }
}
