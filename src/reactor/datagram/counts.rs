//! What became of the datagrams of a socket, for the table of SIGUSR1.

use std::fmt;

/// What became of the datagrams of one socket.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::reactor) struct Counts {
    pub taken: u64,
    pub bytes_in: u64,
    pub sent: u64,
    pub bytes_out: u64,
    /// From sources that are never answered, or cut out of a loop.
    pub refused: u64,
    /// Beyond the rate of their source.
    pub over_rate: u64,
    /// New flows for which there was no room.
    pub no_room: u64,
    /// Not sent: beyond what an address that has not proved itself may get.
    pub over_credit: u64,
    /// Not sent: the queue was full, or the socket would not have them.
    pub unsent: u64,
    /// Lost before we saw them: the kernel's receive buffer was full. What was sent as one counts as one.
    pub overflowed: u64,
}

impl Counts {
    /// Adds those of a socket that is closed.
    pub(super) fn add(&mut self, other: &Self) {
        let Self {
            taken,
            bytes_in,
            sent,
            bytes_out,
            refused,
            over_rate,
            no_room,
            over_credit,
            unsent,
            overflowed: _,
        } = other;
        self.taken += taken;
        self.bytes_in += bytes_in;
        self.sent += sent;
        self.bytes_out += bytes_out;
        self.refused += refused;
        self.over_rate += over_rate;
        self.no_room += no_room;
        self.over_credit += over_credit;
        self.unsent += unsent;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} datagrams of {} bytes in, {} of {} bytes out; not answered: {} refused, {} over \
             their rate, {} without room; not sent: {} over their credit, {} lost; {} lost before \
             they were read",
            self.taken,
            self.bytes_in,
            self.sent,
            self.bytes_out,
            self.refused,
            self.over_rate,
            self.no_room,
            self.over_credit,
            self.unsent,
            self.overflowed,
        )
    }
}
