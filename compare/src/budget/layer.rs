//! The layers that a request passes in a guest, and which one a source file belongs to.
//!
//! Knows files by their place in a source tree, nothing of addresses.

/// What an instruction is for, by its name in tables.
pub type Layer = &'static str;

/// Copying, filling and comparing bytes, for whomever.
pub const COPYING: Layer = "copying bytes";
/// Hermit's kernel: interrupts.
pub const KERNEL: Layer = "kernel (interrupts)";
/// Rust's library, where it stands for itself.
pub const LIBRARY: Layer = "Rust's library";

/// In the order in which a request meets them, each with parts of the paths of its files. The longest part that a path
/// has decides.
pub const LAYERS: [(Layer, &[&str]); 10] = [
    ("virtio-net and idle", &["kernel-app/src/hermit/", "kernel-app/src/virtio/"]),
    (
        "TCP/IP (smoltcp)",
        &[
            "kernel-app/src/stack/",
            "/smoltcp-",
            "/out/smoltcp/",
            "/edited-smoltcp/",
            "/managed-",
            "/heapless-",
        ],
    ),
    ("event loop, connections", &["kernel-app/", "wire/src/"]),
    (
        "HTTP",
        &[
            "kernel-app/src/http/",
            "kernel-app/src/metrics",
            "kernel-app/src/assets",
            "wire/src/http/",
            "wire/src/form",
            "/httparse-",
        ],
    ),
    ("application", &["vote-service/", "worker/src/", "store-service/src/", "votes/src/", "/serde"]),
    ("store client (RESP)", &["kernel-app/src/client/", "wire/src/resp"]),
    ("allocator", &["kernel-app/src/hermit/allocator", "/rlsf-"]),
    (COPYING, &["compiler-builtins", "compiler_builtins"]),
    (KERNEL, &["hermit-kernel", "image-build/kernel"]),
    (LIBRARY, &[]),
];

/// Which layer the code of a file belongs to; none for Rust's library, which works for others.
pub fn of_file(path: &str) -> Option<Layer> {
    let places = LAYERS.iter().flat_map(|(layer, places)| places.iter().map(move |place| (place, *layer)));
    let found = places.filter(|(place, _)| path.contains(**place));
    found.max_by_key(|(place, _)| place.len()).map(|(_, layer)| layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_layer_of_its_place() {
        let registry = "/home/a/.cargo/registry/src/index/";
        assert_eq!(of_file(&format!("{registry}smoltcp-0.14.0/src/wire/tcp.rs")), Some("TCP/IP (smoltcp)"));
        assert_eq!(of_file("kernel-app/src/hermit/net_device.rs"), Some("virtio-net and idle"));
        assert_eq!(of_file("kernel-app/src/hermit/allocator.rs"), Some("allocator"));
        assert_eq!(of_file("/src/worker/src/transaction_batch.rs"), Some("application"));
        assert_eq!(of_file("kernel-app/src/client/resp.rs"), Some("store client (RESP)"));
        assert_eq!(of_file("/src/kernel-app/src/runtime/pipes.rs"), Some("event loop, connections"));
        assert_eq!(of_file("/rustc/59807616e1/library/core/src/fmt/mod.rs"), None);
    }
}
