//! Prints `docs/errors.md`: `cargo run -p mainstay-core --example errors_page > docs/errors.md`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

fn main() {
    print!("{}", mainstay_core::catalogue::errors_page());
}
