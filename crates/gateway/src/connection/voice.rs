//! Gives the HTTP library's own refusals our voice.
//!
//! A head that is no HTTP, too long or with too many lines never reaches our code: the library
//! answers it with a bare status and closes. This layer writes the typed error in its place, with a
//! request id, and then reads on for a moment, because a connection closed with bytes unread is
//! reset, and the caller would lose the answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

/// A connection whose bare refusals are replaced.
#[derive(Debug)]
pub(super) struct Voice<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    io: Option<I>,
    /// The replacement, and how much of it is written.
    own: Option<(Vec<u8>, usize)>,
}

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> Voice<I> {
    pub(super) fn new(io: I) -> Voice<I> {
        Voice { io: Some(io), own: None }
    }

    fn io(&mut self) -> io::Result<Pin<&mut I>> {
        self.io.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Writes what is left of the replacement.
    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((text, written)) = &mut self.own else { return Poll::Ready(Ok(())) };
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(())) };
        while *written < text.len() {
            let more = ready!(Pin::new(&mut *io).poll_write(cx, &text[*written..]))?;
            if more == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *written += more;
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncRead for Voice<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut().io() {
            Ok(io) => io.poll_read(cx, buf),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncWrite for Voice<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.own.is_none()
            && let Some(status) = bare_refusal(buf)
        {
            this.own = Some((spoken(status).into_bytes(), 0));
        }
        if this.own.is_some() {
            ready!(this.poll_own(cx))?;
            return Poll::Ready(Ok(buf.len()));
        }
        this.io()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let first = bufs.iter().find(|buf| !buf.is_empty());
        if this.own.is_some() || first.is_some_and(|first| bare_refusal(first).is_some()) {
            let first = first.map_or(&[][..], |first| first);
            return Pin::new(this).poll_write(cx, first);
        }
        this.io()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_own(cx))?;
        this.io()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_own(cx))?;
        this.io()?.poll_shutdown(cx)
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> Drop for Voice<I> {
    fn drop(&mut self) {
        if let (Some(_), Some(io)) = (&self.own, self.io.take())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(linger(io));
        }
    }
}

/// Ends our side and reads what is still under way, up to 4 MiB and 2 s.
async fn linger<I: AsyncRead + AsyncWrite + Unpin>(mut io: I) {
    const BYTES: usize = 4 * 1024 * 1024;
    let reading = async {
        let _ = io.shutdown().await;
        let mut buffer = vec![0_u8; 16 * 1024];
        let mut sum = 0;
        while let Ok(read) = io.read(&mut buffer).await {
            sum += read;
            if read == 0 || sum > BYTES {
                break;
            }
        }
    };
    // Time over: the caller had his chance to read the answer.
    let _ = timeout(Duration::from_secs(2), reading).await;
}

/// The status, when the bytes are a whole answer that the HTTP library makes by itself. Each of ours
/// has a body and a request id.
fn bare_refusal(bytes: &[u8]) -> Option<u16> {
    const LONGEST: usize = 160;
    let rest = bytes.strip_prefix(b"HTTP/1.1 4")?;
    if bytes.len() > LONGEST || !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?.to_ascii_lowercase();
    let bare = text.contains("\r\ncontent-length: 0\r\n") && !text.contains("\r\nx-request-id:");
    let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
    if bare { digits.parse::<u16>().ok().map(|rest| 400 + rest) } else { None }
}

/// The typed answer.
fn spoken(status: u16) -> String {
    let (reason, kind, message) = match status {
        431 => (
            "Request Header Fields Too Large",
            "request_too_large",
            "The request's head is too large: at most 100 header lines and 128 KiB are taken. Send fewer or shorter headers.",
        ),
        414 => (
            "URI Too Long",
            "request_too_large",
            "The request's path is too long: at most 64 KiB are taken. Put long values into the body.",
        ),
        _ => (
            "Bad Request",
            "invalid_request",
            "What came is not a sound HTTP/1.1 request: its first line, a header or its framing is malformed. Look at the HTTP client or a proxy between; if TLS was meant, this port may not speak it.",
        ),
    };
    let id = crate::ids::new();
    let body = format!(
        r#"{{"error":{{"message":"{message}","type":"invalid_request_error","param":null,"code":"{kind}"}}}}"#
    );
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\
         x-request-id: {id}\r\nx-should-retry: false\r\nx-mainstay-kind: {kind}\r\nx-mainstay-origin: caller\r\n\
         x-mainstay-scope: request\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_librarys_own_refusals_are_replaced() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\r\n";
        assert_eq!(bare_refusal(bare), Some(431));
        let ours = b"HTTP/1.1 404 Not Found\r\nx-request-id: req_1\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_refusal(ours), None);
        assert_eq!(bare_refusal(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), None);
        assert_eq!(bare_refusal(b"data: HTTP/1.1 400"), None);
    }
}
