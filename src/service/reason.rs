//! Why a connection ended, in a form that costs nothing and in words that a beginner understands.

use std::fmt;

/// Why a connection ended. The `Display` form says which side ended it, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The service had sent all that it had to say.
    Answered,
    /// The peer ended its writing and nothing was owed to it.
    ClientEnded,
    /// The peer said that it leaves.
    ClientLeft,
    /// What the peer was asked for could not be taken any more, and its wire has no word for that.
    ItemRefused,
    /// The file that was being sent has changed meanwhile.
    FileChanged,
    /// The file that was being sent could not be read.
    FileFailed,
    /// What came of the peer's file is kept, and the peer can go on with it later.
    UploadCut,
    /// The peer was sent an error that says why it does not get what it asked for.
    RequestRefused,
    /// The service did not take the peer's file, and nothing of it is kept.
    UploadRefused,
    /// Whether the peer's change is done nobody knows: the disk failed in the middle.
    OutcomeUnknown,
    /// The peer's message was empty.
    MessageEmpty,
    /// The peer's message was longer than the service takes.
    MessageTooLong,
    /// The peer had sent nothing that gets an answer, or not in time.
    NotAnswered,
    /// The message was for the operator, and nobody is at the console.
    NobodyThere,
    /// A limit of the service was reached: too many wait for it already.
    Busy,
    /// More unfinished input than the reactor keeps for one connection.
    InputTooLong,
    /// Nothing that the session could use came for `--idle-timeout`.
    IdleTimeout,
    /// Output waited, and the peer took nothing of it for `--idle-timeout`.
    NotRead,
    /// The program that had the connection's socket has ended.
    ProgramEnded,
    /// The program that was to have the connection's socket could not be started.
    ProgramFailed,
    /// Too many others came, and this one had not proved that it is there.
    Crowded,
    /// The server is shutting down.
    Shutdown,
    /// The server was shutting down and the grace ended with something still owed.
    GraceOver,
    /// The peer reset the connection, or closed it before it had read everything (ECONNRESET, EPIPE);
    /// of a flow, its port is closed (ECONNREFUSED).
    Reset,
    /// The network gave up on the peer (ETIMEDOUT, EHOSTUNREACH).
    Vanished,
    /// Another error of the socket, by its number (errno(3)).
    Io(u16),
}

impl CloseReason {
    /// The reason behind an error of a read or write on a stream.
    pub fn from_errno(errno: Option<i32>) -> Self {
        // Numbers of Linux (errno(3)); they are the same on every architecture but MIPS and SPARC.
        const EPIPE: i32 = 32;
        const ECONNRESET: i32 = 104;
        const ETIMEDOUT: i32 = 110;
        const ECONNREFUSED: i32 = 111;
        const EHOSTUNREACH: i32 = 113;
        match errno {
            Some(EPIPE | ECONNRESET | ECONNREFUSED) => Self::Reset,
            Some(ETIMEDOUT | EHOSTUNREACH) => Self::Vanished,
            Some(other) => Self::Io(u16::try_from(other).unwrap_or(0)),
            None => Self::Io(0),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "the server ended it: the answer was sent",
            Self::ClientEnded => "the client ended it",
            Self::ClientLeft => "the client ended it: it said that it leaves",
            Self::ItemRefused => {
                "the server ended it: it could not take the item that it had asked for"
            }
            Self::FileChanged => "the server ended it: the file has changed meanwhile",
            Self::FileFailed => "the server ended it: the file could not be read",
            Self::UploadCut => "the upload is not whole; what came of it is kept",
            Self::RequestRefused => {
                "the server ended it: what was asked for was refused, by an error"
            }
            Self::UploadRefused => {
                "the server ended it: the upload was refused; nothing of it is kept"
            }
            Self::OutcomeUnknown => {
                "the server ended it: the disk failed, and nobody knows how far"
            }
            Self::MessageEmpty => "the server ended it: the message was empty",
            Self::MessageTooLong => "the server ended it: the message was too long",
            Self::NotAnswered => "the server ended it: nothing came that is answered",
            Self::NobodyThere => "the server ended it: nobody is at its console to answer",
            Self::Busy => "the server ended it: too many wait already",
            Self::InputTooLong => "the server ended it: the input had no end",
            Self::ProgramEnded => "the program ended it",
            Self::ProgramFailed => "the server ended it: the program could not be started",
            Self::IdleTimeout => "the server ended it: nothing came for the idle timeout",
            Self::NotRead => "the server ended it: the client did not read for the idle timeout",
            Self::Crowded => "the server ended it: too many others came",
            Self::Shutdown => "the server ended it: it is shutting down",
            Self::GraceOver => "the server ended it: it is shutting down and the grace is over",
            Self::Reset => "the client broke it off",
            Self::Vanished => "the network lost it: the client no longer answers",
            Self::Io(errno) => {
                let error = std::io::Error::from_raw_os_error(i32::from(*errno));
                return write!(f, "the system ended it: {error}");
            }
        })
    }
}
