//! The simulator over real sockets, seen by a client that reads raw bytes.

mod answers;
mod families;
mod faults;
mod kinds;
mod limits;
mod raw;
mod runs;
mod scenarios;
mod stored;
