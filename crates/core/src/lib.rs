//! core
#![cfg_attr(not(test), no_std)] // No clock, no IO: the compiler keeps it. Tests may use std.
extern crate alloc;
