//! A transaction: its reads run at once, its writes together with the next read or the end.
//!
//! Every read is one round trip, except reads that were announced together. Writes that return
//! nothing wait until then and are sent before it, in their order, so that a read sees them. The
//! end of a transaction that wrote is sent with the writes that still wait.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::vault::VaultError;
use crate::vault::postgres::failure::Failure;
use crate::vault::postgres::options::Statements;
use crate::vault::postgres::pool::{Lent, Pool};
use crate::vault::postgres::session::{Answer, Step, Wants};
use crate::vault::postgres::statement;
use crate::vault::postgres::subject::Subject;
use crate::vault::postgres::value::{Bind, Columns, Value};
use crate::vault::tables::{Chain, Place, TenantRow, Topic, VAULT_CHAIN, Writer};

type Result<T> = std::result::Result<T, VaultError>;

/// Named parameters with their values.
pub(super) type Named<'p> = [(&'static str, &'p dyn Bind)];

const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";

/// Writers that create, erase or rearrange rows of one tenant follow one another: what they read
/// stays true until they commit. A change of grants that exist takes no such lock. It locks those
/// grants, so every other writer locks each grant on which it depends as well.
const LOCK: &str = "SELECT id FROM tenants WHERE id = :tenant FOR NO KEY UPDATE";

/// Transactions that link, prune or prove the chain of a tenant follow one another. No other one
/// waits for them, because changes add their entries without reading the chain.
const LOCK_CHAIN: &str = "SELECT chain FROM audit_heads WHERE chain = :chain FOR NO KEY UPDATE";

/// Fails if the mark of a transfer forbids the transaction. It is sent with the writes, whose locks
/// a transfer waits for before it changes its mark.
const CHECK_MARK: &str = "SELECT sqrt(-number) FROM audit_heads WHERE chain = -2 AND number >= :from";

/// A row whose columns are listed by [`columns`](super::data::columns).
pub(super) trait Stored: Sized {
    /// Returns each column's parameter and its value.
    fn bind(&self) -> Vec<(&'static str, Value)>;
    /// Takes the columns in the order of the list.
    fn read(columns: &mut Columns<'_>) -> Result<Self>;
}

/// The kind of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One statement outside a transaction.
    Single,
    Read,
    Write(Writer),
}

/// A transaction on a session.
pub(super) struct Sql<'p> {
    pool: &'p Pool,
    lent: Option<Lent<'p>>,
    kind: Kind,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    begun: bool,
    locked: BTreeSet<TenantRow>,
    locked_chains: BTreeSet<TenantRow>,
    waiting: Vec<Waiting>,
    /// True while reads are only announced.
    announcing: bool,
    subject: Subject,
    /// The rows of announced reads that were not taken yet.
    answered: Vec<(Asked, Vec<tokio_postgres::Row>)>,
    failure: Option<Failure>,
    /// The places of what was written.
    written: Vec<Place>,
    /// True if a request has no answer, so that nothing is known about the session.
    is_lost: bool,
}

/// A statement that waits for the next round trip.
struct Waiting {
    step: Step,
    /// The read that it answers, if it was announced.
    ahead: Option<Asked>,
}

/// A read: its statement and its parameters.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    sql: &'static str,
    parameters: Vec<Value>,
}

impl<'p> Sql<'p> {
    /// Returns a handle for one statement.
    pub(super) fn single(pool: &'p Pool) -> Result<Self> {
        Self::new(pool, Kind::Single)
    }

    /// Returns a transaction that reads one consistent state.
    pub(super) fn read(pool: &'p Pool) -> Result<Self> {
        Self::new(pool, Kind::Read)
    }

    /// Returns a transaction that writes.
    pub(super) fn write(pool: &'p Pool, writer: Writer) -> Result<Self> {
        Self::new(pool, Kind::Write(writer))
    }

    fn new(pool: &'p Pool, kind: Kind) -> Result<Self> {
        Ok(Self {
            pool,
            lent: Some(pool.session()?),
            kind,
            state: RefCell::default(),
        })
    }

    /// Lets no other writer of this tenant proceed until this transaction ends, unless the tenant
    /// was released.
    pub(super) fn lock(&self, tenant: TenantRow) {
        if matches!(self.kind, Kind::Write(_)) && self.state.borrow_mut().locked.insert(tenant) {
            self.later(LOCK, &[(":tenant", &tenant)]);
        }
    }

    /// Does without the lock of this tenant: the transaction locks the rows on which it depends.
    pub(super) fn release(&self, tenant: TenantRow) {
        self.state.borrow_mut().locked.insert(tenant);
    }

    /// Lets no other writer of this chain proceed until this transaction ends.
    pub(super) fn lock_chain(&self, chain: Chain) {
        match chain {
            Chain::Legacy | Chain::Of(VAULT_CHAIN) => self.lock(VAULT_CHAIN),
            Chain::Of(of) => {
                if self.is_write() && self.state.borrow_mut().locked_chains.insert(of) {
                    self.later(LOCK_CHAIN, &[(":chain", &of)]);
                }
            }
        }
    }

    /// Notes that this transaction changes what remembered answers may depend on.
    pub(super) fn writes(&self, topic: Topic<'_>) {
        self.state.borrow_mut().written.push(topic.place());
    }

    /// Returns the places of what was written so far.
    pub(super) fn written(&self) -> Vec<Place> {
        self.state.borrow().written.clone()
    }

    /// Reads the first row, if there is one.
    pub(super) fn one<T>(
        &self,
        sql: &'static str,
        named: &Named<'_>,
        read: impl FnOnce(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.rows(sql, named)?.first() {
            Some(row) => read(&mut Columns::new(row)).map(Some),
            None => Ok(None),
        }
    }

    /// Reads all rows.
    pub(super) fn all<T>(
        &self,
        sql: &'static str,
        named: &Named<'_>,
        mut read: impl FnMut(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.rows(sql, named)?
            .iter()
            .map(|row| read(&mut Columns::new(row)))
            .collect()
    }

    /// Returns whether there is a row.
    pub(super) fn exists(&self, sql: &'static str, named: &Named<'_>) -> Result<bool> {
        Ok(!self.rows(sql, named)?.is_empty())
    }

    /// Announces the reads that `read` makes: they are sent with the next round trip, and answered
    /// when they are made. What `read` returns is not known yet.
    pub(super) fn announcing(&self, read: impl FnOnce() -> Result<()>) {
        self.state.borrow_mut().announcing = true;
        let _ = read();
        self.state.borrow_mut().announcing = false;
    }

    /// Notes a read that is announced, and returns no rows; or returns those of one that was.
    fn announced(&self, sql: &'static str, named: &Named<'_>) -> Result<Option<Vec<tokio_postgres::Row>>> {
        let mut state = self.state.borrow_mut();
        if !state.announcing && state.answered.is_empty() && state.waiting.iter().all(|it| it.ahead.is_none())
        {
            return Ok(None);
        }
        let values: Vec<_> = named.iter().map(|(name, value)| (*name, value.bind())).collect();
        let asked = Asked {
            sql,
            parameters: statement::in_order(sql, &values),
        };
        if state.announcing {
            let step = Step::Statement {
                sql,
                parameters: asked.parameters.clone(),
                wants: Wants::Rows,
            };
            let ahead = Some(asked);
            self.tell(&mut state, |subject| subject.before(&values));
            state.waiting.push(Waiting { step, ahead });
            return Ok(Some(Vec::new()));
        }
        let is_waiting = state.waiting.iter().any(|it| it.ahead.as_ref() == Some(&asked));
        drop(state);
        if is_waiting {
            self.flush(None)?;
        }
        let answered = &mut self.state.borrow_mut().answered;
        let at = answered.iter().position(|(known, _)| *known == asked);
        Ok(at.map(|at| answered.swap_remove(at).1))
    }

    fn rows(&self, sql: &'static str, named: &Named<'_>) -> Result<Vec<tokio_postgres::Row>> {
        if let Some(rows) = self.announced(sql, named)? {
            return Ok(rows);
        }
        match self.now(sql, named, Wants::Rows)? {
            Answer::Rows(rows) => Ok(rows),
            Answer::Done | Answer::Count(_) => Err(VaultError::Damaged),
        }
    }

    /// Sends a statement with the next one that needs an answer. [`answers`](Self::answers) returns
    /// its rows.
    pub(super) fn ask(&self, sql: &'static str, named: &Named<'_>) {
        let values = named.iter().map(|(name, value)| (*name, value.bind())).collect();
        self.push(sql, values, Wants::Rows);
    }

    /// Returns the rows of each statement that was asked, in one round trip.
    pub(super) fn answers(&self) -> Result<Vec<Vec<tokio_postgres::Row>>> {
        let answers = self.flush(None)?;
        let rows = answers.into_iter().filter_map(|answer| match answer {
            Answer::Rows(rows) => Some(rows),
            Answer::Done | Answer::Count(_) => None,
        });
        Ok(rows.collect())
    }

    /// Runs a write at once, and returns the number of rows that were written.
    pub(super) fn execute(&self, sql: &'static str, named: &Named<'_>) -> Result<u64> {
        match self.now(sql, named, Wants::Count)? {
            Answer::Count(count) => Ok(count),
            Answer::Done | Answer::Rows(_) => Err(VaultError::Damaged),
        }
    }

    /// Runs a command that takes no parameters with the next read or at the end.
    pub(super) fn control(&self, sql: &'static str) {
        self.state.borrow_mut().waiting.push(Waiting {
            step: Step::Control(sql.into()),
            ahead: None,
        });
    }

    /// Runs a write with the next read or at the end.
    pub(super) fn later(&self, sql: &'static str, named: &Named<'_>) {
        let values = named.iter().map(|(name, value)| (*name, value.bind())).collect();
        self.push(sql, values, Wants::Count);
    }

    /// Writes a row later, with the values of additional columns.
    pub(super) fn put(&self, sql: &'static str, row: &impl Stored, named: &Named<'_>) {
        let mut values = row.bind();
        values.extend(named.iter().map(|(name, value)| (*name, value.bind())));
        self.push(sql, values, Wants::Count);
    }

    fn push(&self, sql: &'static str, values: Vec<(&'static str, Value)>, wants: Wants) {
        let parameters = statement::in_order(sql, &values);
        let step = Step::Statement {
            sql,
            parameters,
            wants,
        };
        let mut state = self.state.borrow_mut();
        self.tell(&mut state, |subject| subject.before(&values));
        state.waiting.push(Waiting { step, ahead: None });
    }

    /// Names the tenant that the next statement is about, if the server wants to know.
    pub(super) fn about(&self, tenant: TenantRow) {
        self.tell(&mut self.state.borrow_mut(), |subject| subject.tell(tenant));
    }

    fn tell(&self, state: &mut State, next: impl FnOnce(&mut Subject) -> Option<Step>) {
        if self.names_tenants()
            && let Some(step) = next(&mut state.subject)
        {
            state.waiting.push(Waiting { step, ahead: None });
        }
    }

    /// Returns whether the server compares each row with the tenant of the statement.
    pub(super) fn names_tenants(&self) -> bool {
        self.pool.options().names_tenants
    }

    /// Runs everything that waits, and then this statement.
    fn now(&self, sql: &'static str, named: &Named<'_>, wants: Wants) -> Result<Answer> {
        let values = named.iter().map(|(name, value)| (*name, value.bind())).collect();
        self.push(sql, values, wants);
        let mut answers = self.flush(None)?;
        answers.pop().ok_or(VaultError::Damaged)
    }

    /// Returns whether single statements need a transaction that brings settings of the vault,
    /// because the session lacks them.
    fn is_wrapped(&self) -> bool {
        let lacks_settings = self.pool.options().statements == Statements::Unnamed || self.names_tenants();
        self.kind == Kind::Single && lacks_settings
    }

    /// Sends everything that waits, and `last` if one is given.
    fn flush(&self, last: Option<&'static str>) -> Result<Vec<Answer>> {
        let mut state = self.state.borrow_mut();
        let mut steps = Vec::with_capacity(state.waiting.len() + 2);
        let is_wrapped = self.is_wrapped();
        if !state.begun {
            let begin = |text| Step::Control(self.pool.begin(text).into());
            match self.kind {
                Kind::Single if !is_wrapped => {}
                Kind::Single if state.waiting.iter().any(|it| it.step.writes()) => steps.push(begin(WRITE)),
                Kind::Single | Kind::Read => steps.push(begin(READ)),
                Kind::Write(_) => steps.push(begin(WRITE)),
            }
            state.begun = self.kind != Kind::Single;
        }
        let last = last.or(is_wrapped.then_some(COMMIT));
        if is_wrapped {
            // The setting ends with the transaction.
            state.subject = Subject::default();
        }
        let before = steps.len();
        let (waiting, aheads): (Vec<_>, Vec<_>) =
            state.waiting.drain(..).map(|it| (it.step, it.ahead)).unzip();
        steps.extend(waiting);
        steps.extend(last.map(|last| Step::Control(last.into())));
        let Some(lent) = &self.lent else {
            return Err(VaultError::Unreachable);
        };
        #[cfg(any(test, feature = "_internals"))]
        self.pool.trips.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let session = lent.session();
        let io = Arc::clone(self.pool.io());
        // The outer result is that of the thread, the inner one that of the server.
        let ended = io.run(self.pool.options().deadline, async move {
            Ok(session.run(&steps).await)
        });
        let failure = match ended {
            Ok(Ok(answers)) => {
                let mut aheads = aheads.into_iter();
                let mut others = Vec::new();
                for (at, answer) in answers.into_iter().enumerate() {
                    let ahead = if at < before {
                        None
                    } else {
                        aheads.next().flatten()
                    };
                    match (ahead, answer) {
                        (Some(asked), Answer::Rows(rows)) => state.answered.push((asked, rows)),
                        (_, Answer::Done) if is_wrapped => {}
                        (_, answer) => others.push(answer),
                    }
                }
                return Ok(others);
            }
            Ok(Err(failure)) => failure,
            Err(error) => Failure::Vault(error),
        };
        let error = failure.inside();
        state.is_lost |= matches!(error, VaultError::Unreachable);
        state.failure = Some(failure);
        Err(error)
    }

    /// Returns whether this is a transaction that writes.
    pub(super) fn is_write(&self) -> bool {
        matches!(self.kind, Kind::Write(_))
    }

    /// Runs one write in a separate transaction, and returns the number of rows that were written.
    pub(super) fn execute_alone(
        self,
        sql: &'static str,
        values: &[(&'static str, Value)],
    ) -> std::result::Result<u64, Failure> {
        if let Some(lent) = &self.lent {
            lent.session().clear_warning();
        }
        self.push(sql, values.to_vec(), Wants::Count);
        let answers = self
            .flush(None)
            .map_err(|error| self.take_failure().unwrap_or(Failure::Vault(error)))?;
        if self.lent.as_ref().is_some_and(|lent| lent.session().has_warned()) {
            // The commit is on this server, but not where the settings demand it.
            return Err(Failure::Vault(VaultError::Unreachable));
        }
        match answers.as_slice() {
            [Answer::Count(count)] => Ok(*count),
            _ => Err(Failure::Vault(VaultError::Damaged)),
        }
    }

    /// Commits. Returns the failure, which may say that the transaction can be run again.
    pub(super) fn commit(mut self) -> std::result::Result<(), Failure> {
        let is_empty = {
            let state = self.state.borrow();
            !state.begun && state.waiting.is_empty()
        };
        if is_empty {
            return Ok(());
        }
        if let Kind::Write(writer) = self.kind
            && let Some(stage) = writer.refused_from()
        {
            self.later(CHECK_MARK, &[(":from", &stage.number())]);
        }
        if let Some(lent) = &self.lent {
            lent.session().clear_warning();
        }
        let ended = self.flush(Some(COMMIT));
        if let Err(error) = ended {
            return Err(self.take_failure().unwrap_or(Failure::Vault(error)));
        }
        // The transaction has ended, so that nothing is rolled back.
        self.state.borrow_mut().begun = false;
        let lent = self.lent.take();
        if lent.is_some_and(|lent| lent.session().has_warned()) {
            // The commit is on this server, but not where the settings demand it.
            return Err(Failure::Vault(VaultError::Unreachable));
        }
        Ok(())
    }

    /// Returns the failure of the last statement, if one failed.
    pub(super) fn take_failure(&self) -> Option<Failure> {
        self.state.borrow_mut().failure.take()
    }
}

impl Drop for Sql<'_> {
    fn drop(&mut self) {
        let Some(lent) = self.lent.take() else {
            return;
        };
        let state = self.state.get_mut();
        // The statements that were sent may still run.
        if state.is_lost {
            lent.discard();
            return;
        }
        if !state.begun {
            return;
        }
        // The thread runs tasks in the order in which they were handed over, and the server runs
        // requests in their order, so the session can be lent again before the answer.
        let session = lent.session();
        self.pool.io().spawn(async move {
            let _ = session.batch(ROLLBACK).await;
        });
    }
}
