//! What PostgreSQL promises beyond what every store does: several gateways at once, tables of other
//! versions, a server that is away or hangs, secrets, TLS, and the way from SQLite.

mod away;
mod copying;
mod ground;
mod ledger;
mod shared;
mod tables;
mod tls;
