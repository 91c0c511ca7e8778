//! A private PostgreSQL server for the tests.
//!
//! The server listens on a Unix socket in a directory of the test, and ends with the test. Each
//! vault uses its own schema.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    bin: PathBuf,
    directory: tempfile::TempDir,
    certificates: Option<tempfile::TempDir>,
    port: u16,
    schemas: AtomicUsize,
}

impl Cluster {
    /// Starts a server, or returns `None` where PostgreSQL is not installed and not required.
    pub(crate) fn start() -> Option<Self> {
        Self::with(&["fsync=off"])
    }

    /// Starts a standby that follows this server. It ends with the test as well.
    pub(crate) fn standby(&self) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let standby = Self {
            bin: self.bin.clone(),
            directory,
            certificates: None,
            port: self.port,
            schemas: AtomicUsize::new(0),
        };
        let (data, port) = (standby.data(), self.port.to_string());
        let from = self.path().to_str().unwrap();
        standby.run(
            "pg_basebackup",
            [
                "-D", &data, "-h", from, "-p", &port, "-U", "valetkey", "-R", "-c", "fast",
            ],
        );
        standby.start_with(&["fsync=off"]);
        standby
    }

    /// Returns the address of the database on either of two servers.
    pub(crate) fn address_with(&self, other: &Self) -> String {
        format!(
            "host={},{} port={port},{port} user=valetkey dbname=postgres",
            self.path().display(),
            other.path().display(),
            port = self.port
        )
    }

    /// Makes commits wait for the standbys that follow this server.
    pub(crate) fn replicate_synchronously(&self) {
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("SELECT pg_reload_conf()");
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1" {
            std::thread::yield_now();
        }
    }

    /// Ends all processes of the server at once.
    pub(crate) fn kill(&self) {
        let file = fs::read_to_string(self.path().join("data/postmaster.pid")).unwrap();
        let postmaster = file.lines().next().unwrap().to_owned();
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        // The first kill keeps the others from being replaced.
        let all = std::iter::once(postmaster.as_str()).chain(children.split_whitespace());
        let _ = Command::new("kill")
            .arg("-9")
            .args(all)
            .stderr(Stdio::null())
            .status();
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        self.run("pg_ctl", ["-D", &self.data(), "-w", "promote"]);
    }

    /// Starts a server with these settings.
    pub(crate) fn with<S: AsRef<str>>(settings: &[S]) -> Option<Self> {
        let Some(bin) = programs() else {
            skipped();
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        // The server refuses to run as root, and its directory must belong to its user.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let cluster = Self {
            bin,
            directory,
            certificates: None,
            port: 5432,
            schemas: AtomicUsize::new(0),
        };
        cluster.run(
            "initdb",
            [
                "-D",
                &cluster.data(),
                "-U",
                "valetkey",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "-N",
            ],
        );
        let mut options = format!(
            "-c listen_addresses= -c unix_socket_directories={}",
            cluster.path().display()
        );
        for setting in settings {
            options.push_str(" -c ");
            options.push_str(setting.as_ref());
        }
        let log = cluster.path().join("log");
        cluster.run(
            "pg_ctl",
            [
                "-D",
                &cluster.data(),
                "-w",
                "-t",
                "60",
                "-l",
                log.to_str().unwrap(),
                "-o",
                &options,
                "start",
            ],
        );
        Some(cluster)
    }

    /// Starts a server that also listens on a TCP port, without TLS.
    pub(crate) fn start_on_tcp() -> Option<Self> {
        let port = free_port();
        let mut cluster = Self::with(&[
            "fsync=off".to_owned(),
            "listen_addresses=localhost".to_owned(),
            format!("port={port}"),
        ])?;
        cluster.port = port;
        Some(cluster)
    }

    /// Starts a server with a certificate for `localhost`, unless `change` changes it. Returns the
    /// root of its authority as well.
    pub(crate) fn start_with_tls(
        change: impl FnOnce(&mut rcgen::CertificateParams),
    ) -> Option<(Self, Vec<u8>)> {
        let port = free_port();
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let root = certificate(directory.path(), change);
        let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let mut cluster = Self::with(&[
            "fsync=off".to_owned(),
            "listen_addresses=localhost".to_owned(),
            format!("port={port}"),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", file("cert.pem")),
            format!("ssl_key_file={}", file("key.pem")),
        ])?;
        cluster.port = port;
        cluster.certificates = Some(directory);
        Some((cluster, root))
    }

    /// Returns the port of the server.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address of the database over TCP.
    pub(crate) fn tcp_address(&self) -> String {
        format!("host=localhost port={} user=valetkey dbname=postgres", self.port)
    }

    /// Demands a password from everyone but the owner.
    pub(crate) fn require_passwords(&self) {
        let file = self.path().join("data/pg_hba.conf");
        fs::write(
            file,
            "local all valetkey trust\nlocal all all scram-sha-256\nhost all all all scram-sha-256\n",
        )
        .unwrap();
        self.sql("SELECT pg_reload_conf()");
        // The server reads its rules again soon after it was told to.
        while self.sql("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'scram-sha-256'") != "2" {
            std::thread::yield_now();
        }
    }

    /// Returns the directory that contains all files of the server.
    pub(crate) fn directory(&self) -> PathBuf {
        self.path().to_owned()
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> String {
        self.path().join("data").to_str().unwrap().to_owned()
    }

    /// Returns the address of the database.
    pub(crate) fn address(&self) -> String {
        format!(
            "host={} port={} user=valetkey dbname=postgres",
            self.path().display(),
            self.port
        )
    }

    /// Returns the name of a schema that no other test uses.
    pub(crate) fn schema(&self) -> String {
        format!("vault_{}", self.schemas.fetch_add(1, Ordering::SeqCst))
    }

    /// Runs SQL that may fail because the server is not ready.
    pub(crate) fn try_sql(&self, sql: &str) {
        let _ = self.psql(sql);
    }

    /// Returns whether the server refuses SQL.
    pub(crate) fn fails(&self, sql: &str) -> bool {
        !self.psql(sql).status.success()
    }

    /// Runs SQL as the owner of the database.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let output = self.psql(sql);
        assert!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn psql(&self, sql: &str) -> std::process::Output {
        self.command("psql")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "valetkey",
                "-d",
                "postgres",
                "-h",
            ])
            .arg(self.path())
            .args(["-p", &self.port.to_string(), "-c", sql])
            .output()
            .unwrap()
    }

    /// Stops the server: `fast`, or `immediate` as in a crash.
    pub(crate) fn stop(&self, mode: &str) {
        self.run("pg_ctl", ["-D", &self.data(), "-m", mode, "-w", "stop"]);
    }

    /// Starts a server again that was stopped.
    pub(crate) fn start_again(&self) {
        self.start_with::<&str>(&[]);
    }

    fn start_with<S: AsRef<str>>(&self, settings: &[S]) {
        let mut options = format!(
            "-c listen_addresses= -c unix_socket_directories={}",
            self.path().display()
        );
        for setting in settings {
            options.push_str(" -c ");
            options.push_str(setting.as_ref());
        }
        let log = self.path().join("log");
        let log = log.to_str().unwrap();
        self.run(
            "pg_ctl",
            [
                "-D",
                &self.data(),
                "-w",
                "-t",
                "60",
                "-l",
                log,
                "-o",
                &options,
                "start",
            ],
        );
    }

    fn run<S: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) {
        let mut command = self.command(program);
        let status = command
            .args(arguments)
            .current_dir(self.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(status.success(), "{program} failed");
    }

    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self
            .command("pg_ctl")
            .args(["-D", &self.data(), "-m", "immediate", "-w", "stop"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// Returns a port that no server listens on now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port()
}

/// Writes a certificate for `localhost` and its key, and returns the root of the authority.
fn certificate(directory: &Path, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Vec<u8> {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    change(&mut server);
    let certificate = server.signed_by(&key, &issuer).unwrap();
    fs::write(directory.join("cert.pem"), certificate.pem()).unwrap();
    let file = directory.join("key.pem");
    fs::write(&file, key.serialize_pem()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    if is_root() {
        let status = Command::new("chown").arg("postgres").arg(&file).status().unwrap();
        assert!(status.success());
    }
    root.der().to_vec()
}

/// Returns the directory of the server's programs.
fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("VALETKEY_PG_BIN").map(PathBuf::from);
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    installed.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    named
        .into_iter()
        .chain(installed.into_iter().rev())
        .chain(std::env::split_paths(&path))
        .find(|bin| bin.join("initdb").exists() && bin.join("pg_ctl").exists())
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

#[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
fn skipped() {
    let is_required = std::env::var_os("VALETKEY_PG").is_some_and(|value| value == "required");
    assert!(!is_required, "PostgreSQL is not installed");
    eprintln!("skipped: PostgreSQL is not installed (package postgresql)");
}
