//! The real binary as a client, against servers that do what no good server does.

mod echo;
mod filer;
mod files;
mod files_ends;
mod guess;
mod kiosk;
mod locker;
mod lockers;
mod ping;
mod sum;
mod support;
mod talk;
mod terminal;
mod tftp;
mod tftp_server;
mod usage;
mod write;
