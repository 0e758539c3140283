use http::header;
use mainstay_core::keys::KeyText;
use mainstay_core::store::{Changes, Scopes};
use mainstay_store::digest;

use super::*;

const NOW: UnixMillis = UnixMillis(1_000_000);

fn record(text: &KeyText) -> KeyRecord {
    KeyRecord {
        public: text.public(),
        digest: digest(text.secret().as_bytes()),
        name: "test".into(),
        project: "proj_default".into(),
        org: "org-default".into(),
        user: None,
        scopes: Scopes::default(),
        models: Box::new([]),
        created_at: UnixMillis(0),
        expires_at: None,
        revoked_at: None,
        rotated: None,
    }
}

fn mint(seed: u8) -> KeyText {
    let mut next = seed;
    KeyText::mint(|bytes| {
        for byte in bytes {
            next = next.wrapping_mul(31).wrapping_add(17);
            *byte = next;
        }
    })
}

fn book(records: Vec<KeyRecord>) -> KeyBook {
    let changes = Changes { epoch: 1, keys: records, ..Changes::default() };
    KeyBook(ArcSwap::from_pointee(KeySnapshot::default().apply(changes)))
}

fn ask(book: &KeyBook, header: &[u8]) -> Result<Caller, Refused> {
    let mut headers = Fields::default();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(header).unwrap());
    authenticate(Auth::Keys, &headers, &book.snapshot(), NOW)
}

fn bearer_of(text: &KeyText) -> Vec<u8> {
    format!("Bearer {}", text.expose()).into_bytes()
}

#[test]
fn a_known_key_is_let_in_whatever_the_case_of_the_scheme() {
    let key = mint(1);
    let book = book(vec![record(&key)]);
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let caller = ask(&book, format!("{scheme}  {} ", key.expose()).as_bytes()).unwrap();
        assert_eq!(caller.key.unwrap().record.public, key.public());
    }
}

#[test]
fn every_way_to_be_wrong_has_its_kind_and_says_what_to_do() {
    let (good, expired, revoked, stranger) = (mint(1), mint(2), mint(3), mint(4));
    let records = vec![
        record(&good),
        KeyRecord { expires_at: Some(NOW), ..record(&expired) },
        KeyRecord { revoked_at: Some(UnixMillis(1)), ..record(&revoked) },
    ];
    let book = book(records);
    let mut typo = bearer_of(&good);
    let last = typo.len() - 1;
    typo[last] = if typo[last] == b'0' { b'1' } else { b'0' };
    let cases: [(&[u8], Kind, &str); 9] = [
        (b"Bearer ", Kind::InvalidAuthentication, "no key after"),
        (b"Bearer", Kind::InvalidAuthentication, "no key after"),
        (b"Basic dXNlcjpwYXNz", Kind::InvalidAuthentication, "scheme `Basic`"),
        (b"Bearer My API Key", Kind::IncorrectApiKey, "begins with sk-ms-"),
        (b"Bearer \xff\xfe\x80", Kind::IncorrectApiKey, "begins with sk-ms-"),
        (&typo, Kind::IncorrectApiKey, "checksum"),
        (&bearer_of(&stranger), Kind::IncorrectApiKey, "not known here"),
        (&bearer_of(&expired), Kind::ExpiredApiKey, "expired"),
        (&bearer_of(&revoked), Kind::RevokedApiKey, "revoked"),
    ];
    for (header, kind, word) in cases {
        let refused = ask(&book, header).unwrap_err();
        assert_eq!(refused.kind, kind, "{}", refused.message);
        assert!(refused.message.contains(word), "{}", refused.message);
    }
    let none = authenticate(Auth::Keys, &Fields::default(), &book.snapshot(), NOW).unwrap_err();
    assert_eq!(none.kind, Kind::InvalidAuthentication);
}

#[test]
fn no_message_holds_a_key() {
    let (known, other) = (mint(1), mint(4));
    let book = book(vec![record(&known)]);
    for header in
        [bearer_of(&other), b"Bearer sk-proj-abcdefghijklmnopqrstuvwxyz0123456789".to_vec()]
    {
        let message = ask(&book, &header).unwrap_err().message;
        let key = String::from_utf8(header[7..].to_vec()).unwrap();
        assert!(message.contains(&key[..6]), "{message}");
        assert!(!message.contains(&key[..16]), "{message}");
    }
}

#[test]
fn a_key_of_64_kib_is_refused_like_any_other() {
    let mut header = b"Bearer sk-ms-".to_vec();
    header.resize(64 * 1024, b'a');
    assert_eq!(ask(&book(vec![]), &header).unwrap_err().kind, Kind::IncorrectApiKey);
}

#[test]
fn two_credentials_in_one_request_are_refused() {
    let mut headers = Fields::default();
    headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer a"));
    headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer b"));
    let refused = authenticate(Auth::Keys, &headers, &book(vec![]).snapshot(), NOW).unwrap_err();
    assert!(refused.message.contains("more than one"));
}
