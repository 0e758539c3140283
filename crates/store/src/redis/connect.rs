//! A connection in the making: sockets, TLS, login, and questions one after the other.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::link::LinkSettings;
use super::resp::{Value, answer, command};
use super::tls;
use super::url::{Host, RedisUrl};

/// Bytes in both directions.
pub(super) trait Both: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

/// Makes connections.
pub(super) struct Dialer {
    pub(super) url: RedisUrl,
    /// Authorities that TLS trusts beside the system's.
    ca_file: Option<PathBuf>,
    /// How long connecting and each question before use may take.
    pub(super) connect: Duration,
    /// What the server shows in its list of clients.
    pub(super) client: String,
    pub(super) tls: OnceLock<TlsConnector>,
}

/// An open connection that answers one question at a time.
pub(super) struct Conn {
    pub(super) stream: Box<dyn Both>,
    /// What was read and is no whole answer yet.
    pub(super) inbox: Vec<u8>,
}

impl Dialer {
    pub(super) fn new(settings: LinkSettings) -> Dialer {
        let LinkSettings { url, ca_file, connect, client, deadline: _ } = settings;
        Dialer { url, ca_file, connect, client, tls: OnceLock::new() }
    }

    /// Connects and logs in, for data.
    pub(super) async fn open(&self, host: &Host) -> Result<Conn, String> {
        let mut conn = self.reach(host).await?;
        let mut questions = self.login();
        if self.url.database > 0 {
            questions.push(command(&[b"SELECT", self.url.database.to_string().as_bytes()]));
        }
        for value in self.within(conn.ask(&questions)).await? {
            if let Value::ServerError(error) = value {
                return Err(format!("{host} refused the login: {} {}", error.code, error.text));
            }
        }
        // Only for people who look at the server; one that does not know the command is fine too.
        let name = command(&[b"CLIENT", b"SETNAME", self.client.as_bytes()]);
        self.within(conn.ask(&[name])).await?;
        Ok(conn)
    }

    /// Connects to a sentinel. Many have no password where the server has one, so a refused login
    /// is no failure here: the question that follows tells.
    pub(super) async fn open_sentinel(&self, host: &Host) -> Result<Conn, String> {
        let mut conn = self.reach(host).await?;
        self.within(conn.ask(&self.login())).await?;
        Ok(conn)
    }

    /// Bounds a question before use.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        let late = |_| format!("no answer within {} ms", self.connect.as_millis());
        timeout(self.connect, work).await.map_err(late)?
    }

    fn login(&self) -> Vec<Vec<u8>> {
        let Some(password) = &self.url.password else { return Vec::new() };
        match &self.url.user {
            Some(user) => vec![command(&[b"AUTH", user.as_bytes(), password.as_bytes()])],
            None => vec![command(&[b"AUTH", password.as_bytes()])],
        }
    }

    async fn reach(&self, host: &Host) -> Result<Conn, String> {
        let told = |why: String| format!("{host}: {why}");
        let opening = async {
            let tcp = TcpStream::connect((host.name.as_str(), host.port)).await;
            let tcp = tcp.map_err(|error| error.to_string())?;
            tcp.set_nodelay(true).map_err(|error| error.to_string())?;
            if !self.url.tls {
                return Ok(Box::new(tcp) as Box<dyn Both>);
            }
            let name = ServerName::try_from(host.name.clone());
            let name = name.map_err(|_| "its name cannot be in a certificate".to_owned())?;
            let tls = self.connector()?.connect(name, tcp).await;
            Ok(Box::new(tls.map_err(|error| tls::told(&error))?) as Box<dyn Both>)
        };
        let stream = self.within(opening).await.map_err(told)?;
        Ok(Conn { stream, inbox: Vec::new() })
    }

    fn connector(&self) -> Result<TlsConnector, String> {
        if let Some(connector) = self.tls.get() {
            return Ok(connector.clone());
        }
        let connector = tls::connector(self.ca_file.as_deref())?;
        Ok(self.tls.get_or_init(|| connector).clone())
    }
}

impl Conn {
    /// Sends commands in one piece and gives their answers in order. The caller bounds the time.
    pub(super) async fn ask(&mut self, commands: &[Vec<u8>]) -> Result<Vec<Value>, String> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let told = |error: std::io::Error| error.to_string();
        self.stream.write_all(&commands.concat()).await.map_err(told)?;
        self.stream.flush().await.map_err(told)?;
        let mut answers = Vec::with_capacity(commands.len());
        while answers.len() < commands.len() {
            answers.push(self.next().await?);
        }
        Ok(answers)
    }

    /// The next answer or message.
    pub(super) async fn next(&mut self) -> Result<Value, String> {
        loop {
            if let Some((value, used)) = answer(&self.inbox).map_err(|error| error.0.to_owned())? {
                self.inbox.drain(..used);
                return Ok(value);
            }
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) => return Err("the server closed the connection".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}
