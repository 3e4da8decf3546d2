//! Numbers in memory, or where they lie in a file that is mapped; and the header of such files.
//!
//! A mapped file costs no time and no memory of the process until its pages are looked at. Files are little-endian, and so
//! is every machine that this runs on.

use std::io::{self, Write};

use bytemuck::Pod;
pub use tantivy::directory::OwnedBytes as MappedBytes;

/// Magic, dimensions (u32) and number of rows (u64), then zeros: the numbers behind it lie as their type wants them.
const HEADER_BYTES: usize = 64;

/// The header of a file of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub dimensions: usize,
    pub num_rows: usize,
}

impl Header {
    pub fn write(self, magic: [u8; 8], output: &mut dyn Write) -> io::Result<()> {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&magic);
        header[8..12].copy_from_slice(&(self.dimensions as u32).to_le_bytes());
        header[12..20].copy_from_slice(&(self.num_rows as u64).to_le_bytes());
        output.write_all(&header)
    }

    /// The header of a file with this magic, and what lies behind it.
    pub fn split(magic: [u8; 8], bytes: MappedBytes) -> Result<(Self, MappedBytes), String> {
        if bytes.len() < HEADER_BYTES {
            return Err(format!("{} bytes hold no header", bytes.len()));
        }
        let (header, rest) = bytes.split(HEADER_BYTES);
        Self::parse(magic, &header).map(|header| (header, rest)).ok_or_else(|| "it has another header".to_owned())
    }

    fn parse(magic: [u8; 8], header: &[u8]) -> Option<Self> {
        let (dimensions, rest) = header.strip_prefix(&magic)?.split_first_chunk()?;
        let num_rows = u64::from_le_bytes(*rest.first_chunk()?);
        Some(Self { dimensions: u32::from_le_bytes(*dimensions) as usize, num_rows: usize::try_from(num_rows).ok()? })
    }

    pub fn misfit(self, what: &str) -> String {
        format!("it is not as long as {} {what} of {} dimensions", self.num_rows, self.dimensions)
    }
}

/// Numbers, owned or mapped; what is changed becomes owned.
#[derive(Debug, Clone)]
pub struct Numbers<T> {
    owned: Vec<T>,
    /// Instead of the owned ones.
    mapped: Option<MappedBytes>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl<T> From<Vec<T>> for Numbers<T> {
    fn from(owned: Vec<T>) -> Self {
        Self { owned, mapped: None }
    }
}

impl<T: Pod> Numbers<T> {
    /// The numbers that these bytes are: where they lie, or copied where they do not lie as the type wants them. `None` unless
    /// they are whole.
    pub fn of_bytes(bytes: MappedBytes) -> Option<Self> {
        if bytemuck::try_cast_slice::<u8, T>(&bytes).is_ok() {
            return Some(Self { owned: Vec::new(), mapped: Some(bytes) });
        }
        let numbers = bytes.chunks_exact(size_of::<T>());
        let is_whole = numbers.remainder().is_empty();
        is_whole.then(|| numbers.map(bytemuck::pod_read_unaligned).collect::<Vec<T>>().into())
    }

    pub fn as_slice(&self) -> &[T] {
        match &self.mapped {
            // That they can be cast was seen when they were taken.
            Some(bytes) => bytemuck::try_cast_slice(bytes).unwrap_or_default(),
            None => &self.owned,
        }
    }

    pub fn to_mut(&mut self) -> &mut Vec<T> {
        if self.mapped.is_some() {
            *self = self.as_slice().to_vec().into();
        }
        &mut self.owned
    }
}

impl<T: Pod + PartialEq> PartialEq for Numbers<T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}
