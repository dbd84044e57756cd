//! Bytes as clients send them, right and wrong: what the wires look at comes up far more often than
//! by chance, and so do lengths around the limits.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Some bytes, perhaps none.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(fragment(), 0..6).prop_map(|fragments| fragments.concat())
}

fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let ends = select(vec![
        &b"\n"[..],
        b"\r\n",
        b"\0",
        b"\r",
        b"\r\r",
        b"0\n",
        b"\0\0\0\0",
        b" \t",
    ]);
    let kiosks = select(vec![
        "register 0 a\n",
        "register 1 b\n",
        "store 0 a book\n",
        "store 1 b pen\n",
        "retrieve 0 a\n",
        "retrieve 0 b\n",
        "show\r\n",
        "reset 0\n",
        "help\n",
        "quit\n",
    ]);
    prop_oneof![
        4 => kiosks.prop_map(|line| line.as_bytes().to_vec()),
        3 => (1_i32..7, -1_i32..3, 0_u8..3).prop_map(choice),
        6 => ends.prop_map(<[u8]>::to_vec),
        3 => any::<i64>().prop_map(|value| format!("{value}\n").into_bytes()),
        2 => (-9_i64..9).prop_map(|value| format!("{value}").into_bytes()),
        3 => any::<i32>().prop_map(|value| value.to_ne_bytes().to_vec()),
        2 => (1_i32..99).prop_map(|value| value.to_ne_bytes().to_vec()),
        3 => vec(any::<u8>(), 1..8),
        3 => (1_usize..24).prop_map(|len| vec![b'a'; len]),
        2 => (0_usize..20).prop_map(block),
        2 => long_line(),
    ]
}

/// A choice of a kiosk on the binary wire, with a locker and a password.
fn choice((choice, locker, password): (i32, i32, u8)) -> Vec<u8> {
    let mut bytes = [choice.to_ne_bytes(), locker.to_ne_bytes()].concat();
    bytes.push(b'a' + password);
    bytes.resize(18, 0);
    bytes
}

/// A line about as long as a line may be, with and without an end.
fn long_line() -> impl Strategy<Value = Vec<u8>> {
    let end = select(vec![&b"\n"[..], b"\r\n", b"\r", b"\rx\n", b""]);
    // Blanks in front of a number: the line still counts where it is not too long.
    (4_093_usize..4_098, end).prop_map(|(len, end)| [&vec![b' '; len - 1][..], b"7", end].concat())
}

/// A C program's buffer of 20 bytes with a string of this length in it.
fn block(len: usize) -> Vec<u8> {
    let mut block = vec![b'b'; len];
    block.resize(20, 0);
    block
}

/// How bytes are cut into segments.
#[derive(Debug, Clone)]
pub enum Cuts {
    /// One by one.
    Bytewise,
    /// In these places.
    At(Vec<Index>),
}

/// A way to cut.
pub fn cuts() -> impl Strategy<Value = Cuts> {
    prop_oneof![
        1 => Just(Cuts::Bytewise),
        4 => vec(any::<Index>(), 0..6).prop_map(Cuts::At),
    ]
}

impl Cuts {
    /// The segments, none of them empty.
    pub fn cut<'a>(&self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        if bytes.is_empty() {
            return Vec::new();
        }
        let mut places: Vec<_> = match self {
            Cuts::Bytewise => (1..bytes.len()).collect(),
            Cuts::At(indices) => indices
                .iter()
                .map(|index| index.index(bytes.len()))
                .collect(),
        };
        places.sort_unstable();
        places.dedup();
        let mut segments = Vec::new();
        let mut from = 0;
        for place in places
            .into_iter()
            .filter(|place| *place > 0)
            .chain([bytes.len()])
        {
            segments.push(&bytes[from..place]);
            from = place;
        }
        segments
    }
}
