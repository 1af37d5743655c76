use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::Error;

/// A way for bytes to a board and back, with a limit on every wait.
pub trait Transport {
    /// Sends bytes, or queues them.
    ///
    /// # Errors
    /// The link is gone.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits up to `limit` for bytes and appends what came to `to`; nothing if the time is up.
    ///
    /// # Errors
    /// The link is gone, and all that came before has been given.
    fn receive(&mut self, to: &mut Vec<u8>, limit: Duration) -> io::Result<()>;

    /// What the other side said beside the link, for error messages.
    fn said(&self) -> String {
        String::new()
    }

    /// The error of a link that has ended.
    fn lost(&self, board: &str, during: &'static str) -> Error {
        Error::LinkLost { board: board.to_owned(), during, said: self.said() }
    }
}

/// Lines kept of what a process says on its standard error.
const LINES: usize = 8;

/// A child process, the link being its standard input and output. It is killed when this is dropped.
///
/// Pipes have no timeouts of their own, on no system, so threads wait in our place.
pub struct Process {
    child: Child,
    to: Sender<Vec<u8>>,
    from: Receiver<Vec<u8>>,
    said: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// Starts the process.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let missing = || io::Error::from(ErrorKind::BrokenPipe);
        let mut stdin = child.stdin.take().ok_or_else(missing)?;
        let mut stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;

        let (to, queue) = channel::<Vec<u8>>();
        thread::spawn(move || {
            while let Ok(bytes) = queue.recv() {
                if stdin.write_all(&bytes).and_then(|()| stdin.flush()).is_err() {
                    break;
                }
            }
        });
        let (arrived, from) = channel();
        thread::spawn(move || {
            let mut room = [0; 4096];
            while let Ok(n @ 1..) = stdout.read(&mut room) {
                if arrived.send(room[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let keep = Arc::clone(&said);
        thread::spawn(move || {
            for line in io::BufRead::lines(io::BufReader::new(stderr)).map_while(Result::ok) {
                let mut lines = keep.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                if lines.len() == LINES {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
        });
        Ok(Self { child, to, from, said })
    }

    /// Waits up to `limit` for the process to end by itself; its exit code, if it has one.
    pub fn wait(&mut self, limit: Duration) -> Option<i32> {
        let step = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        while waited < limit {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            thread::sleep(step);
            waited += step;
        }
        None
    }
}

impl Transport for Process {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.send(bytes.to_vec()).map_err(|_| ErrorKind::BrokenPipe.into())
    }

    fn receive(&mut self, to: &mut Vec<u8>, limit: Duration) -> io::Result<()> {
        match self.from.recv_timeout(limit) {
            Ok(bytes) => to.extend(bytes),
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => return Err(ErrorKind::UnexpectedEof.into()),
        }
        to.extend(self.from.try_iter().flatten());
        Ok(())
    }

    fn said(&self) -> String {
        let lines = self.said.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        lines.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill, only to wait for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
