//! Puts an edited copy of smoltcp's sources into the build's folder.
//!
//! The sources are those that cargo has fetched and verified for the build dependency. An edit whose old text is not
//! there exactly once ends the build: then smoltcp has changed, and what is edited has to be looked at again.

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The version that the edits and the module `prediction` were written for.
const VERSION: &str = "smoltcp-0.14.0";
/// What of smoltcp is compiled.
const FEATURES: [&str; 9] = [
    "alloc",
    "medium-ethernet",
    "proto-ipv4",
    "proto-dhcpv4",
    "proto-dns",
    "socket",
    "socket-tcp",
    "socket-dhcpv4",
    "socket-dns",
];
/// Its sizes: smoltcp's own but for neighbours (8) and addresses of a name (1).
const SIZES: [(&str, usize); 16] = [
    ("IFACE_MAX_ADDR_COUNT", 2),
    ("IFACE_MAX_MULTICAST_GROUP_COUNT", 4),
    ("IFACE_MAX_SIXLOWPAN_ADDRESS_CONTEXT_COUNT", 4),
    ("IFACE_NEIGHBOR_CACHE_COUNT", 64),
    ("IFACE_MAX_ROUTE_COUNT", 2),
    ("IFACE_MAX_PREFIX_COUNT", 1),
    ("FRAGMENTATION_BUFFER_SIZE", 1500),
    ("ASSEMBLER_MAX_SEGMENT_COUNT", 4),
    ("REASSEMBLY_BUFFER_SIZE", 1500),
    ("REASSEMBLY_BUFFER_COUNT", 1),
    ("IPV6_HBH_MAX_OPTIONS", 4),
    ("DNS_MAX_RESULT_COUNT", 8),
    ("DNS_MAX_SERVER_COUNT", 1),
    ("DNS_MAX_NAME_SIZE", 255),
    ("RPL_RELATIONS_BUFFER_COUNT", 16),
    ("RPL_PARENTS_BUFFER_COUNT", 8),
];
/// Where the modules of this crate become some of TCP's sockets: file, old text and new.
const EDIT: (&str, &str, &str) = (
    "socket/tcp.rs",
    "\nmod congestion;\n",
    "\nmod congestion;\n#[path = \"SOURCES/first_number.rs\"]\nmod first_number;\n\
     #[path = \"SOURCES/prediction/mod.rs\"]\nmod prediction;\n\
     pub use prediction::{Egress, Outgoing, Route, Segment, Syn};\n",
);

fn main() {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs this"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo runs this"));
    println!("cargo::rerun-if-changed=build.rs");
    FEATURES.iter().for_each(|feature| println!("cargo::rustc-cfg=feature=\"{feature}\""));
    let sizes = SIZES.map(|(name, size)| format!("pub const {name}: usize = {size};\n")).concat();
    fs::write(out.join("config.rs"), sizes).expect("the build's folder can be written");
    let edited = out.join("smoltcp");
    // What an older version had is not to stay.
    let _ = fs::remove_dir_all(&edited);
    copy(&sources(), &edited);
    edit(&edited, &manifest.join("src"));
    open(&edited.join("lib.rs"));
}

/// The folder of smoltcp's sources. The compiler writes into each panic the path of the file where it happens, and
/// cargo gives the compiler that of its own copy; so a panic of smoltcp's tells where that is.
fn sources() -> PathBuf {
    let place = Arc::new(Mutex::new(PathBuf::new()));
    let noted = place.clone();
    panic::set_hook(Box::new(move |info| {
        if let (Some(location), Ok(mut noted)) = (info.location(), noted.lock()) {
            *noted = location.file().into();
        }
    }));
    // A handle that is of no set.
    let panicked = panic::catch_unwind(|| {
        let empty = smoltcp::iface::SocketSet::new(Vec::new());
        empty.get::<smoltcp::socket::tcp::Socket<'_>>(smoltcp::iface::SocketHandle::default());
    });
    drop(panic::take_hook());
    assert!(
        panicked.is_err(),
        "smoltcp no longer panics at a handle that is of no set: find its sources by another"
    );
    let file = place.lock().expect("nobody else holds it").clone();
    let sources = file.ancestors().find(|folder| folder.ends_with("src")).map(Path::to_path_buf);
    let sources = sources.unwrap_or_else(|| panic!("{} is in no folder `src`", file.display()));
    let is_known = sources.parent().is_some_and(|package| package.ends_with(VERSION));
    assert!(is_known, "{} is not of {VERSION}, which is what is edited here", sources.display());
    sources
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap_or_else(|error| panic!("cannot make {}: {error}", to.display()));
    let entries =
        fs::read_dir(from).unwrap_or_else(|error| panic!("cannot read {}: {error}", from.display()));
    for entry in entries {
        let path = entry.expect("an entry of a folder").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            let text = read(&path);
            write(&target, &text);
        }
    }
}

fn edit(sources: &Path, own: &Path) {
    let (file, old, new) = EDIT;
    let path = sources.join(file);
    let text = read(&path);
    assert_eq!(text.matches(old).count(), 1, "{file} of {VERSION} does not have {old:?} exactly once");
    let own = own.to_str().expect("the path of this repository is UTF-8").escape_default().to_string();
    write(&path, &text.replace(old, &new.replace("SOURCES", &own)));
}

/// Makes the root of smoltcp what may stand in the middle of another: without attributes and documentation of a crate.
fn open(root: &Path) {
    let is_of_crate = |line: &&str| line.starts_with("#![") || line.starts_with("//!");
    let lines: Vec<_> = read(root).lines().filter(|line| !is_of_crate(line)).map(str::to_owned).collect();
    write(root, &lines.join("\n"));
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}
