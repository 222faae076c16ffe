//! A file system that is only simulated: inodes used again, names, open files that outlive them, file times in coarse steps, faults.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use hdfs_vigil::ingest::Identity;
use hdfs_vigil::ingest::disk::{Disk, Entry, File, Kind, Metadata, OpenFile};
use rand::Rng;

use crate::hadoop::Hadoop;

/// The one directory of logs.
pub const LOGS: &str = "/logs";

/// Files by inode, and their names.
#[derive(Debug, Default)]
pub struct Files {
    nodes: BTreeMap<u64, Node>,
    names: BTreeMap<PathBuf, u64>,
    /// What time it is, nanoseconds.
    pub now_nanos: i64,
    step_nanos: i64,
    /// Whether the directory cannot be listed just now.
    pub is_locked: bool,
}

/// One file.
#[derive(Debug, Default)]
struct Node {
    /// What it holds, before it was compressed if it is.
    plain: Vec<u8>,
    /// The same as it is on the disk, if it is compressed.
    packed: Option<Vec<u8>>,
    modified_nanos: i64,
    handles: usize,
    /// Whether somebody has read of it while there was something in it. One that was only listed did not exist any more when anybody got
    /// to it, and what came and went between two looks at an empty one has left no trace.
    is_seen: bool,
    is_locked: bool,
    /// Reads that are going to fail.
    broken_reads: u32,
}

impl Node {
    fn bytes(&self) -> &[u8] {
        self.packed.as_deref().unwrap_or(&self.plain)
    }
}

impl Files {
    /// Nothing yet; file times are multiples of `step_nanos`.
    pub fn new(step_nanos: i64) -> Self {
        Self { step_nanos, ..Self::default() }
    }

    /// A new empty file under this name, on the lowest inode that is free; whatever had the name before has lost it.
    pub fn create(&mut self, name: &Path) -> u64 {
        let inode = (1..).find(|inode| !self.nodes.contains_key(inode)).unwrap();
        self.nodes.insert(inode, Node { modified_nanos: self.file_time(), ..Node::default() });
        self.remove(name);
        self.names.insert(name.to_path_buf(), inode);
        inode
    }

    pub fn inode(&self, name: &Path) -> Option<u64> {
        self.names.get(name).copied()
    }

    pub fn append(&mut self, inode: u64, bytes: &[u8]) {
        let time = self.file_time();
        let node = self.nodes.get_mut(&inode).unwrap();
        node.plain.extend_from_slice(bytes);
        node.modified_nanos = time;
    }

    /// Makes a file that holds these bytes compressed; only the first half of that, if it `is_torn`.
    pub fn pack(&mut self, inode: u64, plain: &[u8], is_zstd: bool, is_torn: bool) {
        let mut packed = if is_zstd { zstd::encode_all(plain, 1).unwrap() } else { gzip(plain) };
        packed.truncate(if is_torn { packed.len() / 2 } else { packed.len() });
        let time = self.file_time();
        let node = self.nodes.get_mut(&inode).unwrap();
        node.plain = if is_torn { Vec::new() } else { plain.to_vec() };
        (node.packed, node.modified_nanos) = (Some(packed), time);
    }

    pub fn truncate(&mut self, inode: u64) {
        let time = self.file_time();
        let node = self.nodes.get_mut(&inode).unwrap();
        node.plain.clear();
        node.modified_nanos = time;
    }

    pub fn rename(&mut self, from: &Path, to: &Path) {
        if let Some(inode) = self.names.remove(from) {
            self.remove(to);
            self.names.insert(to.to_path_buf(), inode);
        }
    }

    pub fn remove(&mut self, name: &Path) {
        if let Some(inode) = self.names.remove(name) {
            self.free(inode);
        }
    }

    /// What a file holds, unpacked.
    pub fn plain(&self, inode: u64) -> &[u8] {
        &self.nodes[&inode].plain
    }

    /// What the other files that have a name hold, unpacked.
    pub fn others(&self, inode: u64) -> impl Iterator<Item = &[u8]> {
        self.names.values().filter(move |other| **other != inode).map(|other| self.plain(*other))
    }

    pub fn is_seen(&self, inode: u64) -> bool {
        self.nodes[&inode].is_seen
    }

    pub fn names(&self) -> impl Iterator<Item = (&PathBuf, u64)> {
        self.names.iter().map(|(name, inode)| (name, *inode))
    }

    /// Lets nobody open a file, or everybody again.
    pub fn lock(&mut self, inode: u64, is_locked: bool) {
        self.nodes.get_mut(&inode).unwrap().is_locked = is_locked;
    }

    /// Lets the next reads of a file fail.
    pub fn break_reads(&mut self, inode: u64, reads: u32) {
        self.nodes.get_mut(&inode).unwrap().broken_reads = reads;
    }

    /// Ends all faults.
    pub fn mend(&mut self) {
        self.is_locked = false;
        self.nodes.values_mut().for_each(|node| (node.is_locked, node.broken_reads) = (false, 0));
    }

    /// Keeps a file that has no name, as an open descriptor does.
    pub fn hold(&mut self, inode: u64) {
        self.nodes.get_mut(&inode).unwrap().handles += 1;
    }

    pub fn release(&mut self, inode: u64) {
        self.nodes.get_mut(&inode).unwrap().handles -= 1;
        self.free(inode);
    }

    /// Files that are held open, as often as they are.
    pub fn handles(&self) -> usize {
        self.nodes.values().map(|node| node.handles).sum()
    }

    /// Files that are held open and have no name.
    pub fn nameless(&self) -> usize {
        self.nodes.keys().filter(|inode| !self.names.values().any(|named| named == *inode)).count()
    }

    fn free(&mut self, inode: u64) {
        if self.nodes[&inode].handles == 0 && !self.names.values().any(|other| *other == inode) {
            self.nodes.remove(&inode);
        }
    }

    fn file_time(&self) -> i64 {
        self.now_nanos / self.step_nanos * self.step_nanos
    }

    fn metadata(&self, inode: u64) -> Metadata {
        let node = &self.nodes[&inode];
        Metadata {
            identity: Identity { device: 1, inode },
            size: node.bytes().len() as u64,
            modified_nanos: node.modified_nanos,
            kind: Kind::File,
        }
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// The disk that the follower sees. Between any two of its questions the writers may go on.
#[derive(Clone, Debug)]
pub struct SimDisk(pub Arc<Mutex<Hadoop>>);

impl SimDisk {
    pub fn lock(&self) -> MutexGuard<'_, Hadoop> {
        self.0.lock().unwrap()
    }

    /// The state for the next question.
    fn ask(&self) -> MutexGuard<'_, Hadoop> {
        let mut hadoop = self.lock();
        hadoop.interrupt();
        hadoop
    }
}

impl Disk for SimDisk {
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        let hadoop = self.ask();
        if hadoop.files.is_locked {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let inside = hadoop.files.names().filter(|(path, _)| path.parent() == Some(directory));
        let entry = |(path, inode): (&PathBuf, u64)| Entry { name: path.file_name().unwrap().into(), inode, is_link: false };
        Ok(inside.map(entry).collect())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let hadoop = self.ask();
        if path == Path::new(LOGS) {
            let identity = Identity { device: 1, inode: 0 };
            return Ok(Metadata { identity, size: 0, modified_nanos: 0, kind: Kind::Directory });
        }
        let inode = hadoop.files.inode(path).ok_or(ErrorKind::NotFound)?;
        Ok(hadoop.files.metadata(inode))
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    fn directories(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        let mut hadoop = self.ask();
        let inode = hadoop.files.inode(path).ok_or(ErrorKind::NotFound)?;
        if hadoop.files.nodes[&inode].is_locked {
            return Err(ErrorKind::PermissionDenied.into());
        }
        hadoop.files.hold(inode);
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }
}

/// An open file.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: u64,
}

impl OpenFile for SimFile {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(self.disk.ask().files.metadata(self.inode))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut hadoop = self.disk.ask();
        let most = hadoop.random.random_range(1..20_000);
        let node = hadoop.files.nodes.get_mut(&self.inode).unwrap();
        node.is_seen |= !node.bytes().is_empty();
        if node.broken_reads > 0 {
            node.broken_reads -= 1;
            return Err(io::Error::other("the simulated disk fails"));
        }
        let left = node.bytes().get(offset as usize..).unwrap_or_default();
        let read = left.len().min(buffer.len()).min(most);
        buffer[..read].copy_from_slice(&left[..read]);
        Ok(read)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.lock().files.release(self.inode);
    }
}
