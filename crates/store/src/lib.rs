//! Mainstay remembers: keys, organizations, ledger and records in SQLite.
