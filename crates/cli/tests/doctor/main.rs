//! `mainstay doctor` before things that are really broken: certificates, proxies, keys, queues,
//! portals, networks, clocks, disks.
#![cfg(unix)]

mod answers;
mod machine;
mod streams;
mod way;
mod world;
