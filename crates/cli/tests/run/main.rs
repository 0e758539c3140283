//! The batch runner as people and crashes meet it: the real binary against the simulator.
#![cfg(unix)]

mod ends;
mod kill;
mod pace;
mod world;
