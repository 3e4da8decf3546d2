//! How a model is written: JSON with a line for each name, node of a tree and row of the adapter, so that people can read it
//! and tell two of them apart.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::Model;

/// What lies in more brackets than these stands on one line: nodes, rows, steps and gains.
const BRACKETS: usize = 3;

impl Model {
    /// As it is written to a file.
    pub fn written(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.serialize(&mut Serializer::with_formatter(&mut text, Layout::default()))?;
        text.push(b'\n');
        Ok(text)
    }
}

#[derive(Default)]
struct Layout {
    /// Brackets that are open.
    depth: usize,
    /// Whether nothing stands yet in the innermost of them.
    is_empty: bool,
}

impl Layout {
    fn open<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.is_empty = true;
        writer.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        let has_lines = self.depth <= BRACKETS && !self.is_empty;
        self.depth -= 1;
        self.is_empty = false;
        if has_lines {
            self.begin_line(writer)?;
        }
        writer.write_all(bracket)
    }

    fn begin_line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        write!(writer, "\n{:width$}", "", width = 2 * self.depth)
    }

    fn begin_item<W: ?Sized + Write>(&mut self, writer: &mut W, is_first: bool) -> io::Result<()> {
        self.is_empty = false;
        match (is_first, self.depth <= BRACKETS) {
            (true, false) => Ok(()),
            (false, false) => writer.write_all(b", "),
            (true, true) => self.begin_line(writer),
            (false, true) => writer.write_all(b",").and_then(|()| self.begin_line(writer)),
        }
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, is_first: bool) -> io::Result<()> {
        self.begin_item(writer, is_first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, is_first: bool) -> io::Result<()> {
        self.begin_item(writer, is_first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
