//! `docs/errors.md` is what the catalogue says.

#[test]
fn the_page_of_errors_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
    let page = std::fs::read_to_string(path).expect("docs/errors.md exists");
    assert!(
        page == mainstay_core::catalogue::errors_page(),
        "docs/errors.md is not current; write it again from the repository's root with\n  \
         cargo run -p mainstay-core --example errors_page > docs/errors.md"
    );
}
