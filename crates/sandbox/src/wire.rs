//! The bytes that the server and the program inside a sandbox exchange. Compiled into both, so it may use nothing but
//! the standard library, and it knows nothing of what the fields mean.
//!
//! A frame is a little-endian `u32` length, one byte of kind, and a body. Inside a body, numbers are little-endian and
//! strings and lists carry their length.

use std::io::{self, Read, Write};

/// Longest frame either side accepts, in bytes.
pub const FRAME_LIMIT: usize = 4 << 20;
/// Where the egress proxy listens inside a network namespace of its own.
pub const PROXY_PORT: u16 = 3128;
/// The descriptor on which the inner program finds the server.
pub const CONTROL_FD: i32 = 3;
/// Where binds are staged when the command runs under another user than the server.
pub const STAGE_DIR: &str = "/tmp";

/// Server to parked program: what to become. Carries the stdin, stdout and stderr of what is said on the way there, and the control socket.
pub const LAUNCH: u8 = b'l';
/// Server to inner program: the command and its limits. Carries the command's stdin, stdout and stderr.
pub const SPEC: u8 = b's';
/// Server to inner program: send SIGTERM to the command.
pub const TERMINATE: u8 = b't';
/// Inner program to server: the socket on which the proxy is to listen, as an attached descriptor.
pub const LISTENER: u8 = b'L';
/// Inner program to server: the command runs.
pub const STARTED: u8 = b'S';
/// Inner program to server: the command ended, and what it had started is gone; 0 (code), 1 (signal) or 2 (memory), a value, and the microseconds of
/// CPU time that were used.
pub const EXITED: u8 = b'X';
/// Inner program to server: it could not be started; a string that says why.
pub const FAILED: u8 = b'F';

/// [`EXITED`] with an exit code.
pub const BY_CODE: u32 = 0;
/// [`EXITED`] because of a signal.
pub const BY_SIGNAL: u32 = 1;
/// [`EXITED`] because the tree held more memory than it may.
pub const BY_MEMORY: u32 = 2;

/// Builds a body.
#[derive(Default)]
pub struct Body(Vec<u8>);

impl Body {
    pub fn number(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub fn list<'a>(&mut self, values: impl ExactSizeIterator<Item = &'a [u8]>) -> &mut Self {
        self.number(values.len() as u64);
        for value in values {
            self.bytes(value);
        }
        self
    }

    /// The finished frame, ready to be written.
    pub fn frame(&self, kind: u8) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let mut frame = Vec::with_capacity(self.0.len() + 5);
        frame.extend_from_slice(&length.to_le_bytes());
        frame.push(kind);
        frame.extend_from_slice(&self.0);
        frame
    }
}

/// Reads a body back.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        if length > self.0.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (head, tail) = self.0.split_at(length);
        self.0 = tail;
        Ok(head)
    }

    pub fn number(&mut self) -> io::Result<u64> {
        let mut value = [0; 8];
        value.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(value))
    }

    pub fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = usize::try_from(self.number()?).map_err(|_| io::ErrorKind::InvalidData)?;
        self.take(length)
    }

    pub fn list(&mut self) -> io::Result<Vec<&'a [u8]>> {
        let length = self.number()?;
        (0..length).map(|_| self.bytes()).collect()
    }
}

/// Reads one frame from a blocking stream; `None` when the other side is gone.
pub fn read_frame(stream: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; 5];
    match stream.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    read_body(&head, stream)
}

/// Reads what follows the head of a frame.
pub fn read_body(head: &[u8; 5], stream: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if length > FRAME_LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some((head[4], body)))
}

/// Writes one frame to a blocking stream.
pub fn write_frame(stream: &mut impl Write, kind: u8, body: &Body) -> io::Result<()> {
    stream.write_all(&body.frame(kind))
}
