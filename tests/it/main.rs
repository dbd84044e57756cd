//! Integration: the real binary, and many real client processes. One test binary, so that support
//! is built once. Each module is one theme.

mod support;

mod accepts;
mod closing;
mod echo;
mod exec;
mod exec_ends;
mod exec_faults;
mod exec_load;
mod fairness;
mod faults;
mod foreign;
mod foreign_datagrams;
mod foreign_ends;
mod foreign_streams;
mod guess;
mod guess_udp;
mod idle;
mod limits;
mod locker;
mod locker_admin;
mod locker_attack;
mod locker_count;
mod locker_crash;
mod locker_disk;
mod locker_files;
mod locker_full;
mod locker_load;
mod locker_migration;
mod locker_race;
mod locker_secrets;
mod output;
mod paths;
mod permissions;
mod races;
mod services;
mod shutdown;
mod signals;
mod slot;
mod sum;
mod talk;
mod tour;
mod udp;
mod udp_forged;
mod usage;
