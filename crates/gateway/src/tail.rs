//! The last log lines, kept in memory for the support bundle.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Lines kept.
const LINES_MAX: usize = 1_000;
/// Longest line kept, in bytes.
const LINE_MAX: usize = 4_096;

/// The last log lines. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LogTail(Arc<Mutex<VecDeque<String>>>);

impl LogTail {
    /// A place to write log lines to: standard error, and here.
    pub fn writer(&self) -> TailWriter {
        TailWriter(self.clone())
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn keep(&self, text: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines() {
            if lines.len() >= LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(line[..line.floor_char_boundary(LINE_MAX)].to_owned());
        }
    }
}

/// Writes to standard error and remembers.
#[derive(Debug)]
pub struct TailWriter(LogTail);

impl Write for TailWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.keep(&String::from_utf8_lossy(bytes));
        // Where nobody listens, there is nobody to miss it.
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_stay() {
        let tail = LogTail::default();
        for number in 0..LINES_MAX + 5 {
            tail.keep(&format!("line {number}\n"));
        }
        let lines = tail.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (LINES_MAX, "line 5"));
        tail.keep(&"é".repeat(LINE_MAX));
        assert!(tail.lines()[LINES_MAX - 1].len() <= LINE_MAX);
    }
}
