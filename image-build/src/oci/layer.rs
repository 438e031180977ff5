//! A layer: files as a compressed tar archive that is the same, byte for byte, whenever the files are.
//!
//! Reference: OCI image specification 1.1, layer.md.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::description::NOBODY;

/// Rights of a folder, of a program and of other files.
const FOLDER: u32 = 0o755;
const PROGRAM: u32 = 0o755;
const DATA: u32 = 0o644;

/// What a file of an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Program(Vec<u8>),
    Data(Vec<u8>),
    /// An empty folder of [`NOBODY`]'s: an engine's new volume gets the owner of the folder that it covers.
    Volume,
}

/// The files of a layer, by their paths from the root without the first slash.
#[derive(Clone, Debug, Default)]
pub struct Files(BTreeMap<String, Content>);

/// A compressed layer, which several images can have.
#[derive(Clone, Debug)]
pub struct Layer {
    pub bytes: Rc<[u8]>,
    /// SHA-256 of the archive before it was compressed, which the image's configuration names.
    pub diff_id: String,
}

impl Files {
    /// Adds a file. The folders above it come with it.
    ///
    /// # Errors
    /// When the path is not one below the root, or there is another file of this path.
    pub fn add(&mut self, path: &str, content: Content) -> Result<()> {
        let is_plain = |part: &str| !matches!(part, "" | "." | "..");
        ensure!(path.split('/').all(is_plain), "an image's file cannot be called {path:?}");
        let before = self.0.insert(path.to_owned(), content);
        ensure!(before.is_none(), "an image has two files {path}");
        Ok(())
    }

    /// The layer of these files: sorted, owned by root but for volumes, of the time 0.
    ///
    /// # Errors
    /// When a path is too long for an archive.
    pub fn layer(&self) -> Result<Layer> {
        let archive = self.archive()?;
        // Neither a name nor a time, so that the same archive gives the same bytes.
        let mut compressed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        compressed.write_all(&archive).context("no memory for a layer")?;
        let bytes = compressed.finish().context("no memory for a layer")?;
        Ok(Layer { bytes: bytes.into(), diff_id: digest(&archive) })
    }

    /// The archive of these files.
    ///
    /// # Errors
    /// When a path is too long for one.
    pub fn archive(&self) -> Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        for folder in self.folders() {
            append(&mut archive, &format!("{folder}/"), header(EntryType::Directory, FOLDER), &[])?;
        }
        for (path, content) in &self.0 {
            match content {
                Content::Program(bytes) => {
                    append(&mut archive, path, header(EntryType::Regular, PROGRAM), bytes)?;
                }
                Content::Data(bytes) => append(&mut archive, path, header(EntryType::Regular, DATA), bytes)?,
                Content::Volume => {
                    let mut folder = header(EntryType::Directory, FOLDER);
                    folder.set_uid(NOBODY);
                    folder.set_gid(NOBODY);
                    append(&mut archive, &format!("{path}/"), folder, &[])?;
                }
            }
        }
        archive.into_inner().context("no memory for an archive")
    }

    /// Every folder that a file is in, each after the one that it is in.
    fn folders(&self) -> BTreeSet<&str> {
        self.0.keys().flat_map(|path| path.match_indices('/').map(|(end, _)| &path[..end])).collect()
    }
}

fn append(archive: &mut Builder<Vec<u8>>, path: &str, mut header: Header, bytes: &[u8]) -> Result<()> {
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, path, bytes).with_context(|| format!("{path} is no path for an archive"))
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// The digest of some bytes, as OCI writes it.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", crate::tool::files::hex(&Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn files(paths: &[&str]) -> Files {
        let mut files = Files::default();
        paths.iter().for_each(|path| files.add(path, Content::Data(path.as_bytes().to_vec())).expect("new"));
        files
    }

    #[test]
    fn a_layer_depends_on_nothing_but_its_files() {
        let one = files(&["a/b/c", "a/d", "e"]).layer().expect("a layer");
        let other = files(&["e", "a/d", "a/b/c"]).layer().expect("a layer");
        assert_eq!((&one.bytes, &one.diff_id), (&other.bytes, &other.diff_id));
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_belong_to_root() {
        let mut made = files(&["a/b/c", "e"]);
        made.add("bin/x", Content::Program(vec![1])).expect("new");
        let layer = made.layer().expect("a layer");
        let mut archive = Vec::new();
        GzDecoder::new(&layer.bytes[..]).read_to_end(&mut archive).expect("gzip");
        assert_eq!(layer.diff_id, digest(&archive));
        let mut archive = tar::Archive::new(archive.as_slice());
        let entries: Vec<(String, u32)> = archive
            .entries()
            .expect("an archive")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let header = entry.header();
                let owner = (header.uid().expect("a number"), header.gid().expect("a number"));
                assert_eq!((owner, header.mtime().expect("a number")), ((0, 0), 0));
                let path = entry.path().expect("a path").to_string_lossy().into_owned();
                (path, header.mode().expect("a number"))
            })
            .collect();
        let expected = [("a/", 0o755), ("a/b/", 0o755), ("bin/", 0o755)];
        let files = [("a/b/c", 0o644), ("bin/x", 0o755), ("e", 0o644)];
        let expected: Vec<(String, u32)> =
            expected.into_iter().chain(files).map(|(path, mode)| (path.to_owned(), mode)).collect();
        assert_eq!(entries, expected);
    }

    #[test]
    fn a_volume_belongs_to_an_ordinary_user() {
        let mut files = Files::default();
        files.add("data", Content::Volume).expect("new");
        let archive = files.archive().expect("short");
        let mut archive = tar::Archive::new(archive.as_slice());
        let entry = archive.entries().expect("an archive").next().expect("one").expect("whole");
        let header = entry.header();
        assert_eq!(header.entry_type(), EntryType::Directory);
        assert_eq!((header.uid().expect("a number"), header.gid().expect("a number")), (NOBODY, NOBODY));
    }

    #[test]
    fn paths_that_leave_the_root_or_are_there_already_are_refused() {
        let mut files = files(&["a"]);
        for path in ["", "/a", "a/../b", "a//b", "./a", "a"] {
            assert!(files.add(path, Content::Data(Vec::new())).is_err(), "{path:?}");
        }
    }
}
