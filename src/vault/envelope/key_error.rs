//! Why a master key could not be read.

/// The reason why a master key could not be read. It never repeats the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// The environment variable is not set, or it is empty.
    #[error("the environment variable {0} is not set")]
    NotSet(String),
    /// The file cannot be read.
    #[error("the file of the master key cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// The path names a directory, a pipe or a device.
    #[error("the file of the master key is not a regular file")]
    NotAFile,
    /// Others than the owner have rights to the file.
    #[error(
        "others than its owner have rights to the file of the master key (mode {mode:04o}); give it the mode 0400"
    )]
    Exposed {
        /// The rights of the file.
        mode: u32,
    },
    /// The text is not base64.
    #[error("the master key is not base64")]
    NotBase64,
    /// The key does not have 32 bytes.
    #[error("the master key does not have 32 bytes")]
    WrongLength,
}
