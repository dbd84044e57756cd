//! Native integers and fixed blocks padded with NULs, as C programs put them on a socket.

/// `text` in a block of `size` bytes, padded with NULs.
///
/// Text that leaves no room for a NUL is cut, so that a C program can print the block.
pub fn padded(text: &[u8], size: usize) -> Vec<u8> {
    let mut block = vec![0; size];
    let len = text.len().min(size.saturating_sub(1));
    block[..len].copy_from_slice(&text[..len]);
    block
}

/// What stands before the first NUL of a block; all of it where there is none.
pub fn unpadded(block: &[u8]) -> &[u8] {
    let end = block
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(block.len());
    &block[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_padded_and_keeps_room_for_a_nul() {
        assert_eq!(padded(b"ab", 4), b"ab\0\0");
        assert_eq!(padded(b"abcd", 4), b"abc\0");
        assert_eq!(padded(b"", 0), b"");
        assert_eq!(unpadded(b"ab\0c"), b"ab");
        assert_eq!(unpadded(b"abcd"), b"abcd");
    }
}
