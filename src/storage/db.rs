//! [`Store`]: the SQLite handle of one storage root, its transactions and its checkpoints.
//!
//! WAL, `synchronous=NORMAL`, no checkpoint at close: a short command makes no fsync. Writes are short
//! `BEGIN IMMEDIATE` transactions; a locked database is retried with jitter for a bounded time and then
//! named. Long commands call [`Store::checkpoint`], which first makes the files durable that rows speak of.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::error::{Error, Result};
use super::paths::{Paths, ensure_private};
use super::{reserve, schema};

/// How long a writer waits for another that writes nothing before it gives up. While others come and go it waits:
/// on a slow machine fifty of them take longer than any limit that would still tell of one that hangs.
const BUSY_LIMIT: Duration = if cfg!(test) { Duration::from_millis(400) } else { Duration::from_secs(20) };

/// A wait for the database's lock.
struct Waiting {
    began: Instant,
    /// When the log was last seen to change, and how it was then.
    moved: Instant,
    log: (u64, Option<SystemTime>),
}

/// WAL size above which [`Store::checkpoint`] does something. The first process to open the database reads
/// the whole log, so a small one keeps every command fast.
const CHECKPOINT_BYTES: u64 = 256 * 1024;

/// WAL size at which even a short command that has written does it. SQLite's own checkpoint never makes the log smaller here: that takes
/// a second transaction in the same process, and a log that only grows is read by each command.
const OVERDUE_BYTES: u64 = 1024 * 1024;

/// Pages after which SQLite checkpoints by itself, in case nobody calls [`Store::checkpoint`].
const SAFETY_CHECKPOINT_PAGES: u32 = 1000;

/// An open store.
pub struct Store {
    pub(super) conn: Connection,
    pub(super) paths: Paths,
    jitter: Cell<u32>,
    /// It has committed something: the log may be longer for it.
    wrote: Cell<bool>,
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.wrote.get() && log_size(&self.paths) >= OVERDUE_BYTES {
            // What fails is tried again by the next command.
            let _later = self.checkpoint();
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database below `paths.root`, making or migrating it when needed.
    ///
    /// # Errors
    /// [`Error::NewerSchema`] for the database of a newer release, else what SQLite or the kernel says.
    pub fn open(paths: &Paths) -> Result<Self> {
        let (store, made) = Self::open_bare(paths)?;
        // A new database among old files: somebody lost the old one. The sweeper would take the files for garbage.
        if made && paths.containers().exists() {
            super::repair::adopt(&store)?;
        }
        Ok(store)
    }

    /// [`Store::open`] without a look at what files there are; `true` when the database was made now.
    pub(super) fn open_bare(paths: &Paths) -> Result<(Self, bool)> {
        crate::sys::sqlite::use_own_allocator();
        let file = paths.database();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = match Connection::open_with_flags(&file, flags) {
            Ok(conn) => conn,
            Err(_) => {
                // Not there yet (or unreadable, which the second open will tell).
                ensure_private(&paths.root)?;
                make_private(&file)?;
                Connection::open_with_flags(&file, flags | OpenFlags::SQLITE_OPEN_CREATE)
                    .map_err(|source| Error::Database { path: file, doing: "opening it", source })?
            }
        };
        let store = Self {
            conn,
            paths: paths.clone(),
            jitter: Cell::new(std::process::id() | 1),
            wrote: Cell::new(false),
        };
        store.configure()?;
        let made = schema::migrate(&store)?;
        Ok((store, made))
    }

    /// The paths this store was opened with.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    fn configure(&self) -> Result<()> {
        let setup = || {
            self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            // Or SQLite would wait by itself, up to 100 ms a time: we do, in smaller steps.
            self.conn.busy_timeout(Duration::ZERO)?;
            self.conn.set_prepared_statement_cache_capacity(64);
            self.conn.execute_batch(&format!(
                "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint={SAFETY_CHECKPOINT_PAGES};"
            ))
        };
        self.retry("configuring the connection", setup)
    }

    /// Runs `body` in one IMMEDIATE transaction, again when another process had the lock.
    pub(super) fn write<T>(
        &self,
        doing: &'static str,
        mut body: impl FnMut(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut waiting = None;
        loop {
            let tx = match Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate) {
                Ok(tx) => tx,
                Err(e) if is_busy(&e) => {
                    self.back_off(&mut waiting, doing)?;
                    continue;
                }
                Err(e) => return Err(self.error(doing, e)),
            };
            let done =
                body(&tx).and_then(|value| tx.commit().map(|()| value).map_err(|e| self.error(doing, e)));
            match done {
                Err(Error::Database { source, .. }) if is_busy(&source) => {
                    self.back_off(&mut waiting, doing)?;
                }
                Err(Error::Database { source, .. }) if is_full(&source) && reserve::release(&self.paths) => {}
                other => {
                    self.wrote.set(true);
                    return other;
                }
            }
        }
    }

    /// Runs `body`, a read, again when the database was locked (which WAL makes rare: recovery after a crash).
    pub(super) fn read<T>(
        &self,
        doing: &'static str,
        body: impl FnMut() -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.retry(doing, body)
    }

    fn retry<T>(&self, doing: &'static str, mut body: impl FnMut() -> rusqlite::Result<T>) -> Result<T> {
        let mut waiting = None;
        loop {
            match body() {
                Ok(value) => return Ok(value),
                Err(e) if is_busy(&e) => self.back_off(&mut waiting, doing)?,
                Err(e) if is_full(&e) && reserve::release(&self.paths) => {}
                Err(e) => return Err(self.error(doing, e)),
            }
        }
    }

    /// Sleeps 0.2 to 10 ms, longer the longer we wait already; jitter keeps waiters from marching in step.
    fn back_off(&self, waiting: &mut Option<Waiting>, doing: &'static str) -> Result<()> {
        let waiting = waiting.get_or_insert_with(|| {
            let now = Instant::now();
            Waiting { began: now, moved: now, log: log_state(&self.paths) }
        });
        let waited = waiting.began.elapsed();
        if waiting.moved.elapsed() > BUSY_LIMIT {
            let log = log_state(&self.paths);
            if log == waiting.log {
                let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                return Err(Error::Busy { path: self.paths.database(), doing, waited_ms });
            }
            (waiting.moved, waiting.log) = (Instant::now(), log);
        }
        // xorshift32: good enough to spread sleepers, needs no dependency.
        let mut x = self.jitter.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.jitter.set(x);
        let ceiling = (waited.as_micros() / 4).clamp(400, 10_000) as u64;
        std::thread::sleep(Duration::from_micros(200 + u64::from(x) % ceiling));
        Ok(())
    }

    pub(super) fn error(&self, doing: &'static str, source: rusqlite::Error) -> Error {
        Error::Database { path: self.paths.database(), doing, source }
    }

    /// [`Store::checkpoint`] for a process that has nothing open: a monitor, when everything is done and nobody waits
    /// for it any more. Looks at one file size and mostly does nothing.
    ///
    /// # Errors
    /// As [`Store::checkpoint`].
    pub fn tidy(paths: &Paths) -> Result<()> {
        if log_size(paths) < CHECKPOINT_BYTES { Ok(()) } else { Self::open(paths)?.checkpoint() }
    }

    /// Moves the write-ahead log into the database if it has grown. For commands that take long anyway
    /// (pull, build, prune); costs fsyncs when it does something.
    ///
    /// # Errors
    /// What the kernel or SQLite says. Being busy is not an error: someone else will do it.
    pub fn checkpoint(&self) -> Result<()> {
        if log_size(&self.paths) < CHECKPOINT_BYTES {
            return Ok(());
        }
        reserve::renew(&self.paths);
        self.sync_files()?;
        match self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            Ok(()) => Ok(()),
            Err(e) if is_busy(&e) => Ok(()),
            Err(e) => Err(self.error("moving the log into it", e)),
        }
    }

    /// Flushes the file system that holds the root: files first, so that rows never outlive them.
    pub(super) fn sync_files(&self) -> Result<()> {
        let root =
            std::fs::File::open(&self.paths.root).map_err(|e| Error::io("open", &self.paths.root, e))?;
        rustix::fs::syncfs(&root).map_err(|e| Error::io("flush the file system of", &self.paths.root, e))
    }
}

/// Bytes of the write-ahead log.
fn log_size(paths: &Paths) -> u64 {
    log_state(paths).0
}

/// Size of the write-ahead log and when it was written to: it changes with every transaction.
fn log_state(paths: &Paths) -> (u64, Option<SystemTime>) {
    let mut log = paths.database().into_os_string();
    log.push("-wal");
    std::fs::metadata(log).map_or((0, None), |m| (m.len(), m.modified().ok()))
}

/// Makes the database's file for the owner only; SQLite gives its log the same mode.
fn make_private(file: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)
        .map(drop)
        .map_err(|e| Error::io("create", file, e))
}

/// Whether SQLite says that someone else holds the lock.
fn is_busy(e: &rusqlite::Error) -> bool {
    matches!(e.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether SQLite found no space, for its log or for the index of its log.
fn is_full(e: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(code, _) = e else { return false };
    code.code == ErrorCode::DiskFull || code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
}
