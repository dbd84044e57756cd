//! Plain lines, many at a time: their columns are added up first and carried once, as on paper.
//!
//! A plain line is a minus or none, 1 to 16 digits of which the first is no 0, and LF; nearly all
//! lines of a long stream are. No plain line is the 0 that ends a sum. Where another line comes, or
//! the end of the input is near, the caller reads on line by line: what a line means is said there,
//! and a test compares the two.
//!
//! Three things make it fast, and the compiler makes vector instructions of them:
//! - the ends of the lines in a block are found together, 8 bytes in a few operations on a word;
//! - a line is the 16 bytes that end where it ends, those before its first digit blanked by a table,
//!   so its length, which no processor can foresee, decides no branch;
//! - a line costs one addition of 16 bytes, digits and all, and no multiplication.

/// Bytes that a line is read as: one for each column.
pub(super) const COLUMNS: usize = 16;

/// Bytes in which the ends of lines are looked for together.
///
/// Half as many plain lines can end there, and that many digits of 9 fit into a byte.
pub(super) const BLOCK: usize = 56;

/// The most bytes that the caller reads line by line before it tries again.
pub(super) const SPAN_MAX: usize = 64 * BLOCK;

/// Blocks after which columns are carried: as many as fit into 16 bits.
const BLOCKS_PER_CARRY: usize = 128;

const _: () = assert!(BLOCK / 2 * 9 <= u8::MAX as usize && BLOCK <= u64::BITS as usize);
const _: () = assert!(BLOCK / 2 * 9 * BLOCKS_PER_CARRY <= i16::MAX as usize);

/// For each number of digits: all bits of the columns that they fill, on the right.
const FILLED: [[u8; COLUMNS]; COLUMNS + 1] = {
    let mut filled = [[0; COLUMNS]; COLUMNS + 1];
    let mut digits = 1;
    while digits <= COLUMNS {
        let mut column = COLUMNS - digits;
        while column < COLUMNS {
            filled[digits][column] = u8::MAX;
            column += 1;
        }
        digits += 1;
    }
    filled
};

/// The same, without a minus and with one: only what is negative. With one row for each sign alone
/// the compiler would make a branch of it, which is wrong half of the time and costs as much as all
/// the rest.
const NEGATIVE: [[[u8; COLUMNS]; COLUMNS + 1]; 2] = [[[0; COLUMNS]; COLUMNS + 1], FILLED];

/// The digits of all lines, added up by columns, and once more those of the negative ones.
type Columns = [[i16; COLUMNS]; 2];

/// Adds up plain lines of `input` from `from` on, where a line begins; returns their sum and where
/// the first line begins that is not in it.
///
/// Lines are taken by whole blocks, so the one that is not plain stands there or soon after: the
/// caller reads [`BLOCK`] bytes itself before it calls again. A line is looked at with the bytes before
/// it, so none is taken that ends in the first [`COLUMNS`] bytes of `input`.
pub(super) fn add(input: &[u8], from: usize) -> (i128, usize) {
    let (mut sum, mut start, mut at) = (0_i128, from, from);
    let (blocks, _) = input.get(from..).unwrap_or_default().as_chunks();
    for blocks in blocks.chunks(BLOCKS_PER_CARRY) {
        let mut columns = [[0; COLUMNS]; 2];
        for block in blocks {
            let Some(next) = add_block(input, (start, at), line_ends(block), &mut columns) else {
                // Carrying costs as much as some lines.
                let carried = if start > from { carry(&columns) } else { 0 };
                return (sum + carried, start);
            };
            start = next;
            at += BLOCK;
        }
        sum += carry(&columns);
    }
    (sum, start)
}

/// A bit for each LF of the block, the first byte's in the lowest place.
#[inline]
fn line_ends(block: &[u8; BLOCK]) -> u64 {
    const LOW_BITS: u64 = u64::from_ne_bytes([0x7f; 8]);
    const LINE_FEEDS: u64 = u64::from_ne_bytes([b'\n'; 8]);
    // Gathers the lowest bits of 8 bytes in the topmost one: each is shifted to a place of its own.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let (words, _) = block.as_chunks();
    let mut ends = 0;
    for (place, word) in words.iter().enumerate() {
        let other = u64::from_le_bytes(*word) ^ LINE_FEEDS;
        // The highest bit of a byte is set where any of its bits is, and nothing carries into the next.
        let some = ((other & LOW_BITS) + LOW_BITS) | other | LOW_BITS;
        ends |= ((!some >> 7).wrapping_mul(GATHER) >> 56) << (8 * place);
    }
    ends
}

/// Adds the lines that end in a block, the first of which begins at `start`, to the columns; returns
/// where the next line begins, or `None`, and nothing is added, where one of them is not plain.
#[inline]
fn add_block(
    input: &[u8],
    (mut start, block_at): (usize, usize),
    mut ends: u64,
    columns: &mut Columns,
) -> Option<usize> {
    let mut all = [0_u8; COLUMNS];
    let mut negative = [0_u8; COLUMNS];
    let mut worst = [0_u8; COLUMNS];
    if ends == 0 {
        // No plain line is as long.
        return None;
    }
    while ends != 0 {
        let end = block_at.wrapping_add(ends.trailing_zeros() as usize);
        ends &= ends.wrapping_sub(1);
        let bytes = input.get(..end)?.last_chunk::<COLUMNS>()?;
        let minus = usize::from(*input.get(start)? == b'-');
        let first = start.wrapping_add(minus);
        let digits = end.wrapping_sub(first);
        let filled = FILLED.get(digits)?;
        let taken_off = &NEGATIVE[minus][digits];
        if *input.get(first)? <= b'0' {
            return None;
        }
        for column in 0..COLUMNS {
            let digit = bytes[column] ^ b'0';
            let filled_digit = digit & filled[column];
            worst[column] = worst[column].max(filled_digit);
            all[column] = all[column].wrapping_add(filled_digit);
            negative[column] = negative[column].wrapping_add(digit & taken_off[column]);
        }
        start = end.wrapping_add(1);
    }
    if worst.iter().fold(0, |worst, digit| worst.max(*digit)) > 9 {
        return None;
    }
    for column in 0..COLUMNS {
        columns[0][column] = columns[0][column].wrapping_add(i16::from(all[column]));
        columns[1][column] = columns[1][column].wrapping_add(i16::from(negative[column]));
    }
    Some(start)
}

/// What the columns come to, the units on the right.
///
/// Not inlined: it is rare, and would take apart what `add_block` has in vectors.
#[inline(never)]
fn carry([all, negative]: &Columns) -> i128 {
    let append = |sum, column: &i16| sum * 10 + i128::from(*column);
    // The negative ones were counted with the wrong sign, so they are taken off twice.
    all.iter().fold(0, append) - 2 * negative.iter().fold(0, append)
}

#[cfg(test)]
mod tests;
