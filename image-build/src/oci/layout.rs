//! An image layout: a folder, or an archive of it, in which images lie by their digests.
//!
//! Reference: OCI image specification 1.1, image-layout.md.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use oci_spec::image::{
    Arch, Config, Descriptor, DescriptorBuilder, Digest, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, OciLayoutBuilder, Os, PlatformBuilder, RootFsBuilder,
};
use serde::Serialize;
use serde_json::Value;

use super::layer::{Content, Files, Layer, digest};
use crate::tool::files::write_whole;

/// The version of layouts, image-layout.md.
const VERSION: &str = "1.0.0";
/// The file that makes a folder a layout.
const MARKER: &str = "oci-layout";
const INDEX: &str = "index.json";
const SCHEMA_VERSION: u32 = 2;
/// The annotation of an image's name in its layout.
const NAME: &str = "org.opencontainers.image.ref.name";

/// An image that is still to be written.
pub struct Image {
    /// Its name in the layout.
    pub name: String,
    /// Its layers, the lowest one first.
    pub layers: Vec<Layer>,
    /// How a container of it is started; its labels are those of `annotations`.
    pub config: Config,
    pub annotations: HashMap<String, String>,
}

/// An image as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub name: String,
    /// Digest of its manifest.
    pub digest: String,
    /// Bytes of its manifest, configuration and layers.
    pub bytes: u64,
}

/// Images in a folder or an archive.
#[derive(Default)]
pub struct Layout {
    blobs: BTreeMap<String, Rc<[u8]>>,
    manifests: Vec<Descriptor>,
}

impl Layout {
    /// Adds an image.
    ///
    /// # Errors
    /// When a part of it is nothing that the format knows.
    pub fn add(&mut self, image: Image) -> Result<Written> {
        let diff_ids: Vec<String> = image.layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let mut config = image.config;
        config.set_labels(Some(image.annotations.clone()));
        let root = RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build()?;
        let configuration = ImageConfigurationBuilder::default()
            .architecture(Arch::Amd64)
            .os(Os::Linux)
            .config(config)
            .rootfs(root)
            .build()?;
        let configuration = self.blob(MediaType::ImageConfig, json(&configuration)?.into())?;
        let blob = |layer: Layer| self.blob(MediaType::ImageLayerGzip, layer.bytes);
        let layers: Vec<Descriptor> = image.layers.into_iter().map(blob).collect::<Result<_>>()?;
        let parts: u64 = layers.iter().chain([&configuration]).map(Descriptor::size).sum();
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(configuration)
            .layers(layers)
            .annotations(image.annotations)
            .build()?;
        let mut descriptor = self.blob(MediaType::ImageManifest, json(&manifest)?.into())?;
        let written = Written {
            name: image.name.clone(),
            digest: descriptor.digest().to_string(),
            bytes: parts + descriptor.size(),
        };
        let platform = PlatformBuilder::default().architecture(Arch::Amd64).os(Os::Linux).build()?;
        descriptor.set_platform(Some(platform));
        descriptor.set_annotations(Some([(NAME.to_owned(), image.name)].into()));
        self.manifests.push(descriptor);
        Ok(written)
    }

    fn blob(&mut self, kind: MediaType, bytes: Rc<[u8]>) -> Result<Descriptor> {
        let name = digest(&bytes);
        let descriptor = DescriptorBuilder::default()
            .media_type(kind)
            .digest(Digest::try_from(name.as_str())?)
            .size(bytes.len() as u64)
            .build()?;
        self.blobs.insert(name, bytes);
        Ok(descriptor)
    }

    /// Its files, by their paths.
    fn files(&self) -> Result<BTreeMap<PathBuf, Rc<[u8]>>> {
        let index = ImageIndexBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageIndex)
            .manifests(self.manifests.clone())
            .build()?;
        let marker = OciLayoutBuilder::default().image_layout_version(VERSION).build()?;
        let mut files: BTreeMap<PathBuf, Rc<[u8]>> = self
            .blobs
            .iter()
            .map(|(name, bytes)| (Path::new("blobs").join(name.replacen(':', "/", 1)), bytes.clone()))
            .collect();
        files.insert(INDEX.into(), json(&index)?.into());
        files.insert(MARKER.into(), json(&marker)?.into());
        Ok(files)
    }

    /// Writes it in the place of an earlier one.
    ///
    /// # Errors
    /// When there is no room, or the folder is there and is no layout.
    pub fn write_folder(&self, folder: &Path) -> Result<()> {
        let is_replaced = folder.join(MARKER).is_file();
        let is_free =
            !folder.exists() || fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        ensure!(
            is_free || is_replaced,
            "{} is there and is no image layout: give --output another folder",
            folder.display()
        );
        let no_room = || format!("cannot write {}", folder.display());
        if is_replaced {
            // The marker goes first and comes last: what is left half-written is no layout.
            fs::remove_file(folder.join(MARKER)).with_context(no_room)?;
            fs::remove_dir_all(folder.join("blobs")).with_context(no_room)?;
        }
        let mut files: Vec<(PathBuf, Rc<[u8]>)> = self.files()?.into_iter().collect();
        files.sort_by_key(|(path, _)| path == Path::new(MARKER));
        for (path, bytes) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap_or(folder)).with_context(no_room)?;
            write_whole(&path, &bytes)?;
        }
        Ok(())
    }

    /// Writes an archive of it.
    ///
    /// # Errors
    /// When there is no room; then nothing is left.
    pub fn write_archive(&self, file: &Path) -> Result<()> {
        let mut files = Files::default();
        for (path, bytes) in self.files()? {
            files.add(path.to_str().context("our own names are ASCII")?, Content::Data(bytes.to_vec()))?;
        }
        write_whole(file, &files.archive()?)
    }
}

/// JSON with its keys in order: maps of the types have none.
fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    let value: Value = serde_json::to_value(value).context("the types can be written")?;
    serde_json::to_vec(&value).context("the types can be written")
}

#[cfg(test)]
mod tests {
    use oci_spec::image::ConfigBuilder;

    use super::*;

    fn image(name: &str) -> Image {
        let mut files = Files::default();
        files.add("unikernel/a", Content::Program(vec![7; 100])).expect("new");
        let annotations = [("x", "1"), ("y", "2"), ("z", "3")];
        Image {
            name: name.to_owned(),
            layers: vec![files.layer().expect("short")],
            config: ConfigBuilder::default()
                .entrypoint(vec!["/unikernel/a".to_owned()])
                .build()
                .expect("whole"),
            annotations: annotations.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }
    }

    fn layout(names: &[&str]) -> Layout {
        let mut layout = Layout::default();
        names.iter().for_each(|name| drop(layout.add(image(name)).expect("an image")));
        layout
    }

    #[test]
    fn every_blob_lies_at_its_digest_and_everything_named_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        layout(&["a", "b"]).write_folder(folder.path()).expect("room");
        let read = |path: &str| fs::read(folder.path().join(path)).expect("a file");
        let index: Value = serde_json::from_slice(&read(INDEX)).expect("JSON");
        let names: Vec<&str> = index["manifests"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|manifest| manifest["annotations"][NAME].as_str().expect("a name"))
            .collect();
        assert_eq!(names, ["a", "b"]);
        let blob = |descriptor: &Value| {
            let name = descriptor["digest"].as_str().expect("a digest");
            let bytes = read(&format!("blobs/{}", name.replacen(':', "/", 1)));
            assert_eq!(
                (digest(&bytes).as_str(), descriptor["size"].as_u64()),
                (name, Some(bytes.len() as u64))
            );
            bytes
        };
        let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).expect("JSON");
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).expect("JSON");
        blob(&manifest["layers"][0]);
        assert_eq!(manifest["annotations"], config["config"]["Labels"]);
        assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn the_same_images_give_the_same_bytes_in_the_place_of_earlier_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, second) = (folder.path().join("a.tar"), folder.path().join("b.tar"));
        layout(&["a"]).write_archive(&first).expect("room");
        layout(&["a"]).write_archive(&second).expect("room");
        assert_eq!(fs::read(first).expect("a file"), fs::read(second).expect("a file"));
        let place = folder.path().join("layout");
        layout(&["a", "b"]).write_folder(&place).expect("room");
        layout(&["a"]).write_folder(&place).expect("a layout is replaced");
        let index = fs::read_to_string(place.join(INDEX)).expect("a file");
        assert_eq!(index.matches(NAME).count(), 1, "{index}");
    }

    #[test]
    fn a_folder_with_something_else_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("thesis.txt"), "mine").expect("room");
        let error = layout(&["a"]).write_folder(folder.path()).expect_err("not ours").to_string();
        assert!(error.ends_with("is there and is no image layout: give --output another folder"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }
}
