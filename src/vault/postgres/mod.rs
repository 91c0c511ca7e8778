//! The vault in a PostgreSQL database, for hosts that run on several machines.
//!
//! ```text
//! vault        the public type; tables: rows for the layer above
//! options      where the database is, and limits
//! io           one private thread with an asynchronous runtime, which drives all sessions
//! pool         sessions that are not in use
//! probe        what the crate's own tests and benches see
//! session      one connection to the server, its prepared statements, its deadlines
//! sql          a transaction: reads at once, writes in one batch before the next read
//! data/        the statements, one file for each kind of row
//! open         the server's settings and the schema
//! server_clock the clock of the server
//! ```

mod data;
mod failure;
mod io;
mod open;
mod options;
mod pool;
#[cfg(feature = "_internals")]
pub(crate) mod probe;
mod rows;
mod rows_mut;
mod server_clock;
mod session;
mod sql;
mod statement;
mod subject;
mod tables;
#[cfg(test)]
mod tests;
mod tls;
mod value;
mod vault;

pub use options::PostgresOptions;
pub use vault::PostgresVault;
