//! TLS as `sslmode` says, against a server with a certificate of its own authority.

use std::fs::{copy, write};
use std::path::Path;
use std::time::Duration;

use mainstay_store::inspect_postgres;
use mainstay_store::testing::postgres::Own;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::ground::open;

/// Writes an authority, and a certificate and a key that it signed for `name`.
fn certificates(folder: &Path, name: &str) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(authority, key).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    let signed = params.signed_by(&key, &authority).expect("a certificate");
    write(folder.join("authority.pem"), authority.pem()).expect("a file");
    write(folder.join("server.pem"), signed.pem()).expect("a file");
    write(folder.join("server.key"), key.serialize_pem()).expect("a file");
}

#[test]
fn what_is_checked_of_the_certificate_is_what_sslmode_says() {
    let Some(server) = Own::start("") else { return };
    let folder = tempfile::tempdir().expect("the test's own ground");
    let url = |more: &str| format!("{}?{more}", server.url());
    assert!(open(&url("sslmode=disable")).is_ok());
    let without = open(&url("sslmode=require")).unwrap_err();
    assert!(without.to_string().contains("TLS"), "{without}");

    certificates(folder.path(), "127.0.0.1");
    server.use_certificate(&folder.path().join("server.pem"), &folder.path().join("server.key"));
    let authority = folder.path().join("authority.pem");
    let trusting = |mode: &str| url(&format!("sslmode={mode}&sslrootcert={}", authority.display()));
    for (url, tls) in [
        (url("sslmode=disable"), false),
        (url("sslmode=prefer"), true),
        (url("sslmode=require"), true),
        (trusting("require"), true),
        (trusting("verify-ca"), true),
        (trusting("verify-full"), true),
    ] {
        let seen = inspect_postgres(&url, Duration::from_secs(30)).expect(&url);
        assert_eq!(seen.tls, tls, "{url}");
    }
    let stranger = open(&url("sslmode=verify-full")).unwrap_err();
    assert!(stranger.to_string().contains("certificate"), "{stranger}");

    // Another name: only `verify-full` asks for it.
    let kept = folder.path().join("kept.pem");
    certificates(folder.path(), "elsewhere.example");
    copy(&authority, &kept).expect("a file");
    server.use_certificate(&folder.path().join("server.pem"), &folder.path().join("server.key"));
    assert!(open(&trusting("verify-ca")).is_ok());
    let other = open(&trusting("verify-full")).unwrap_err();
    assert!(other.to_string().contains("not valid for"), "{other}");
    let nowhere = url("sslmode=verify-ca&sslrootcert=/no/such.pem");
    let unread = open(&nowhere).unwrap_err();
    assert!(unread.to_string().contains("/no/such.pem"), "{unread}");
}
