//! What every store promises. The same stories run on each of them.

mod budgets;
mod ground;
mod keys;
mod limits;
mod members;
mod nodes;
mod objects;
mod replays;
mod requests;
