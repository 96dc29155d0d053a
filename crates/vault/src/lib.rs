//! Secrets at rest and in texts: values are sealed under a master key, and what must not be seen is taken out of whatever is about to be shown.
//!
//! Each value has a data key of its own, and the master key seals only data keys: rotating it never touches a value. Both seals are
//! XChaCha20-Poly1305 with random nonces, and both are bound to where the value belongs, so that a row that was copied to another name, scope or
//! version does not open. It must not know builds, databases or people.

mod encodings;
mod envelope;
mod key;
mod redact;
mod screen;
mod stream;

pub use envelope::{Binding, MasterKey, OpenError, Sealed};
pub use key::{CREDENTIAL, FILE, Found, KeyError, KeySource, NextKey, find, prepare_next};
pub use redact::{Place, Redactor};
pub use screen::Screen;
pub use secrecy::{ExposeSecret, SecretString};
pub use stream::Stream;

/// Shortest value, in characters without spaces: what is shorter also stands in harmless texts, and could not be taken out of them.
pub const LEAST: usize = 8;
/// Longest value, in bytes: the kernel takes no variable of 128 KiB.
pub const MOST: usize = 32 << 10;
