//! A browser before the console, as far as a test needs one.

use super::{Caller, Front, Reply, TOKEN};

/// What a browser sends.
pub(crate) fn send(front: &Front, method: &str, path: &str, more: &str, body: &str) -> Reply {
    let mut caller = Caller::to(front.gateway.admin_addr());
    let (host, length) = (front.gateway.admin_addr(), body.len());
    caller.send(
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{more}content-length: {length}\r\n\r\n{body}"
        )
        .as_bytes(),
    );
    caller.answer()
}

/// Sends a form of a page of the console.
pub(crate) fn form(front: &Front, path: &str, cookie: &str, body: &str) -> Reply {
    let origin = format!("origin: http://{}\r\ncookie: {cookie}\r\n", front.gateway.admin_addr());
    send(front, "POST", path, &origin, body)
}

/// Looks at a page.
pub(crate) fn get(front: &Front, path: &str, cookie: &str) -> Reply {
    send(front, "GET", path, &format!("cookie: {cookie}\r\n"), "")
}

/// An answer as text.
pub(crate) fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

/// Logs in; the session's cookie, and the token of its forms.
pub(crate) fn log_in(front: &Front) -> (String, String) {
    let reply = form(front, "/login", "", &format!("admin-token={TOKEN}"));
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
    let cookie = reply.header("set-cookie").expect("a session").to_owned();
    assert!(cookie.contains("httponly") && cookie.contains("samesite=strict"), "{cookie}");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let page = text(&get(front, "/keys", &cookie));
    let token =
        page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    (cookie, token.expect("a form").to_owned())
}
