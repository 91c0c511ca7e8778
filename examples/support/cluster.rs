//! A private PostgreSQL server that ends with the example.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A server on a Unix socket in a temporary directory.
pub struct Cluster {
    programs: PathBuf,
    directory: tempfile::TempDir,
}

impl Cluster {
    /// Starts a server. Fails with the name of the package if PostgreSQL is not installed.
    pub fn start() -> Result<Self, String> {
        let programs = programs().ok_or("PostgreSQL is not installed: install the package postgresql")?;
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let cluster = Self { programs, directory };
        cluster.open_to_all()?;
        cluster.run("initdb", &["-U", "valetkey", "-A", "trust", "-N"])?;
        let options = format!(
            "-c listen_addresses= -c fsync=off -c unix_socket_directories={}",
            cluster.directory.path().display()
        );
        let log = cluster.directory.path().join("log");
        let log = log.display().to_string();
        cluster.run("pg_ctl", &["-w", "-l", &log, "-o", &options, "start"])?;
        Ok(cluster)
    }

    /// Returns the address of its database.
    pub fn address(&self) -> String {
        let socket = self.directory.path().display();
        format!("host={socket} user=valetkey dbname=postgres")
    }

    /// The server refuses to run as root. It then runs as the user of the package.
    #[cfg(unix)]
    fn open_to_all(&self) -> Result<(), String> {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(self.directory.path(), fs::Permissions::from_mode(0o777))
            .map_err(|error| error.to_string())
    }

    #[cfg(not(unix))]
    fn open_to_all(&self) -> Result<(), String> {
        Ok(())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let status = self
            .command(program)
            .arg("-D")
            .arg(self.directory.path().join("data"))
            .args(arguments)
            .current_dir(self.directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            _ => Err(format!("{program} failed")),
        }
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
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
        // The files are deleted anyway.
        let _ = self.run("pg_ctl", &["-m", "immediate", "-w", "stop"]);
    }
}

/// Returns the directory of the server's programs.
fn programs() -> Option<PathBuf> {
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    installed.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    installed
        .into_iter()
        .rev()
        .chain(std::env::split_paths(&path))
        .find(|bin| bin.join("initdb").exists() && bin.join("pg_ctl").exists())
}

#[cfg(unix)]
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
