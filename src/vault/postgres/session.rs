//! One connection to the server.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Connection, Error, Row, Statement};

use crate::vault::postgres::failure::{Failure, meaning};
use crate::vault::postgres::options::Statements;
use crate::vault::postgres::statement;
use crate::vault::postgres::value::Value;

/// The warning of a commit that was not replicated as the server's settings demand.
const WARNING: &str = "01000";

/// A connection, and the statements that were prepared on it.
pub(super) struct Session {
    client: Client,
    statements: Statements,
    prepared: Mutex<HashMap<&'static str, Statement>>,
    warned: Arc<AtomicBool>,
}

/// A request that is sent when it is polled.
type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One statement of a batch.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Statements without parameters and result, such as `BEGIN`.
    Control(Cow<'static, str>),
    /// A statement that is prepared once.
    Statement {
        sql: &'static str,
        parameters: Vec<Value>,
        wants: Wants,
    },
}

impl Step {
    /// Returns whether this is a statement that may write.
    pub(super) fn writes(&self) -> bool {
        matches!(
            self,
            Self::Statement {
                wants: Wants::Count,
                ..
            }
        )
    }
}

/// The part of an answer that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// The rows.
    Rows,
    /// The number of rows that were written.
    Count,
}

/// The answer to one step.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    Rows(Vec<Row>),
    Count(u64),
}

impl Session {
    /// Returns a session, and starts the task that drives it until it is dropped.
    pub(super) fn start<S, T>(
        client: Client,
        mut connection: Connection<S, T>,
        statements: Statements,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let warned = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&warned);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message
                    && notice.code().code() == WARNING
                {
                    noted.store(true, Ordering::SeqCst);
                }
            }
        });
        Self {
            client,
            statements,
            prepared: Mutex::default(),
            warned,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Forgets the warnings that the server has sent.
    pub(super) fn clear_warning(&self) {
        self.warned.store(false, Ordering::SeqCst);
    }

    /// Returns whether the server has sent a warning since they were forgotten.
    pub(super) fn has_warned(&self) -> bool {
        self.warned.load(Ordering::SeqCst)
    }

    /// Runs statements without results.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    /// Reads one row with a statement that is not used again.
    pub(super) async fn row(&self, sql: &str) -> Result<Row, Error> {
        self.client.query_typed_one(sql, &[]).await
    }

    /// Runs the steps in order, in one round trip. The first failure is the one that counts: the
    /// server refuses every later step of the transaction because of it.
    pub(super) async fn run(&self, steps: &[Step]) -> Result<Vec<Answer>, Failure> {
        if self.statements == Statements::Prepared {
            self.prepare(steps).await?;
        }
        let futures: Vec<_> = steps
            .iter()
            .map(|step| Box::pin(self.one(step)) as Later<'_, _>)
            .collect();
        in_order(futures)
            .await
            .into_iter()
            .collect::<Result<_, Error>>()
            .map_err(|error| meaning(&error))
    }

    async fn one(&self, step: &Step) -> Result<Answer, Error> {
        let (sql, parameters, wants) = match step {
            Step::Control(sql) => return self.client.batch_execute(sql).await.map(|()| Answer::Done),
            Step::Statement {
                sql,
                parameters,
                wants,
            } => (sql, parameters, wants),
        };
        if self.statements == Statements::Unnamed {
            return self.unnamed(sql, parameters, *wants).await;
        }
        let Some(statement) = self.known(sql) else {
            // `run` has prepared every statement.
            unreachable!("a statement is prepared before it runs")
        };
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters
            .iter()
            .map(|value| value as &(dyn ToSql + Sync))
            .collect();
        match wants {
            Wants::Rows => self.client.query(&statement, &parameters).await.map(Answer::Rows),
            Wants::Count => self
                .client
                .execute(&statement, &parameters)
                .await
                .map(Answer::Count),
        }
    }

    /// Runs a statement that is parsed for this time only.
    async fn unnamed(&self, sql: &'static str, parameters: &[Value], wants: Wants) -> Result<Answer, Error> {
        let parsed = statement::parsed(sql);
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> = parameters
            .iter()
            .map(|value| (value as &(dyn ToSql + Sync), value.kind()))
            .collect();
        match wants {
            Wants::Rows => {
                let rows = self.client.query_typed(&parsed.text, &parameters).await;
                rows.map(Answer::Rows)
            }
            Wants::Count => {
                let count = self.client.execute_typed(&parsed.text, &parameters).await;
                count.map(Answer::Count)
            }
        }
    }

    /// Prepares the statements that are not known yet, all in one round trip.
    async fn prepare(&self, steps: &[Step]) -> Result<(), Failure> {
        let mut unknown: Vec<&'static str> = Vec::new();
        for step in steps {
            if let Step::Statement { sql, .. } = step
                && self.known(sql).is_none()
                && !unknown.contains(sql)
            {
                unknown.push(sql);
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let futures: Vec<Later<'_, Result<Statement, Error>>> = unknown
            .iter()
            .map(|sql| {
                let parsed = statement::parsed(sql);
                Box::pin(async move { self.client.prepare(&parsed.text).await }) as _
            })
            .collect();
        for (sql, statement) in unknown.iter().zip(in_order(futures).await) {
            let statement = statement.map_err(|error| meaning(&error))?;
            self.prepared
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(sql, statement);
        }
        Ok(())
    }

    fn known(&self, sql: &'static str) -> Option<Statement> {
        self.prepared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(sql)
            .cloned()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// Waits for all futures. Each is polled for the first time in the order of the list, which is the
/// order in which the requests are sent.
async fn in_order<T>(futures: Vec<Later<'_, T>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.into_iter().map(|future| (Some(future), None)).collect();
    poll_fn(|cx| {
        let mut is_ready = true;
        for (future, outcome) in &mut waiting {
            if let Some(running) = future {
                match running.as_mut().poll(cx) {
                    Poll::Ready(value) => {
                        *outcome = Some(value);
                        *future = None;
                    }
                    Poll::Pending => is_ready = false,
                }
            }
        }
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, outcome)| outcome).collect()
}
