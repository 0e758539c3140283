//! One connection, asked step by step by a thread that may wait: each step has until the deadline of
//! the piece of work that it belongs to.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::fault::{Fault, is_lost};

/// Statements kept prepared. The texts of this program are fewer; more would be a mistake.
const STATEMENTS_MAX: usize = 256;

/// Values of a statement.
pub(crate) type Values<'v> = &'v [&'v (dyn ToSql + Sync)];

/// One of several statements that go in one piece.
#[derive(Clone, Copy)]
pub(crate) enum Step<'v> {
    /// Without values.
    Plain(&'v str),
    /// For its rows.
    Rows(&'v str, Values<'v>),
    /// For what it changes.
    Write(&'v str, Values<'v>),
}

/// The rows that came of a step; of a change none.
pub(crate) type Done = Vec<Row>;

/// A connection and the statements it has prepared.
pub(super) struct Connection {
    client: Client,
    statements: RefCell<HashMap<String, Statement>>,
    broken: Cell<bool>,
}

impl Connection {
    pub(super) fn new(client: Client) -> Connection {
        Connection { client, statements: RefCell::default(), broken: Cell::new(false) }
    }

    /// Whether the next piece of work needs another one.
    pub(super) fn is_over(&self) -> bool {
        self.broken.get() || self.client.is_closed()
    }
}

/// A connection for one piece of work.
pub(crate) struct Session<'l> {
    runtime: &'l Runtime,
    connection: &'l Connection,
    until: Instant,
}

impl<'l> Session<'l> {
    pub(super) fn new(
        runtime: &'l Runtime,
        connection: &'l Connection,
        until: Instant,
    ) -> Session<'l> {
        Session { runtime, connection, until }
    }

    /// Does one step. A step that is not over in time takes the connection with it: its answer may
    /// still come, and would be taken for another one's.
    fn wait<T>(
        &self,
        step: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        let until = self.until;
        match self.runtime.block_on(async { timeout_at(until, step).await }) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                if is_lost(&error) {
                    self.connection.broken.set(true);
                }
                Err(Fault::Server(error))
            }
            Err(_elapsed) => {
                self.connection.broken.set(true);
                Err(Fault::Late)
            }
        }
    }

    fn prepared(&self, sql: &str) -> Result<Statement, Fault> {
        if let Some(known) = self.connection.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let statement = self.wait(self.connection.client.prepare(sql))?;
        let mut statements = self.connection.statements.borrow_mut();
        if statements.len() >= STATEMENTS_MAX {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Rows of a query.
    pub(crate) fn query(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, Fault> {
        let statement = self.prepared(sql)?;
        self.wait(self.connection.client.query(&statement, values))
    }

    /// The only row of a query, if there is one.
    pub(crate) fn query_opt(&self, sql: &str, values: Values<'_>) -> Result<Option<Row>, Fault> {
        let statement = self.prepared(sql)?;
        self.wait(self.connection.client.query_opt(&statement, values))
    }

    /// The only row of a query.
    pub(crate) fn query_one(&self, sql: &str, values: Values<'_>) -> Result<Row, Fault> {
        let statement = self.prepared(sql)?;
        self.wait(self.connection.client.query_one(&statement, values))
    }

    /// Does a statement, and tells how many rows it touched.
    pub(crate) fn execute(&self, sql: &str, values: Values<'_>) -> Result<u64, Fault> {
        let statement = self.prepared(sql)?;
        self.wait(self.connection.client.execute(&statement, values))
    }

    /// Does statements without values, in one message.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), Fault> {
        self.wait(self.connection.client.batch_execute(sql))
    }

    /// Does statements in their order. They go in one piece and cost one way there and back; none may need
    /// what another one tells.
    pub(crate) fn together(&self, steps: &[Step<'_>]) -> Result<Vec<Done>, Fault> {
        let mut statements = Vec::with_capacity(steps.len());
        for step in steps {
            statements.push(match step {
                Step::Plain(_) => None,
                Step::Rows(sql, _) | Step::Write(sql, _) => Some(self.prepared(sql)?),
            });
        }
        let client = &self.connection.client;
        self.wait(async {
            let mut under_way: Vec<UnderWay<'_>> = Vec::with_capacity(steps.len());
            for (step, statement) in steps.iter().zip(&statements) {
                let mut asked = ask(client, step, statement.as_ref());
                // What is asked leaves when it is looked at first; so the order is that of the steps.
                let early = poll_fn(|cx| match asked.as_mut().poll(cx) {
                    Poll::Ready(done) => Poll::Ready(Some(done)),
                    Poll::Pending => Poll::Ready(None),
                });
                let early = early.await;
                under_way.push(match early {
                    Some(done) => Box::pin(async move { done }),
                    None => asked,
                });
            }
            let mut all = Vec::with_capacity(under_way.len());
            for answer in under_way {
                all.push(answer.await?);
            }
            Ok(all)
        })
    }

    /// Whether the connection was lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.connection.is_over()
    }

    /// Ends a transaction that is not to be kept.
    pub(crate) fn roll_back(&self) {
        if !self.connection.is_over() && self.batch("ROLLBACK").is_err() {
            self.connection.broken.set(true);
        }
    }

    /// Does `work` in a transaction that is kept only if it succeeds.
    pub(crate) fn transaction<T>(
        &self,
        begin: &str,
        work: impl FnOnce(&Session<'l>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.batch(begin)?;
        match work(self) {
            Ok(done) => match self.batch("COMMIT") {
                Ok(()) => Ok(done),
                Err(_) if self.connection.is_over() => Err(Fault::Unknown),
                Err(fault) => Err(fault),
            },
            Err(fault) => {
                self.roll_back();
                Err(fault)
            }
        }
    }
}

type UnderWay<'a> = Pin<Box<dyn Future<Output = Result<Done, tokio_postgres::Error>> + 'a>>;

fn ask<'a>(
    client: &'a Client,
    step: &'a Step<'_>,
    statement: Option<&'a Statement>,
) -> UnderWay<'a> {
    Box::pin(async move {
        match (step, statement) {
            (Step::Rows(_, values), Some(statement)) => client.query(statement, values).await,
            (Step::Write(_, values), Some(statement)) => {
                client.execute(statement, values).await.map(|_| Done::new())
            }
            (Step::Plain(sql) | Step::Rows(sql, _) | Step::Write(sql, _), _) => {
                client.batch_execute(sql).await.map(|()| Done::new())
            }
        }
    })
}
