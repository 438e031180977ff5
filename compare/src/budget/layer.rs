//! The layers that a request passes in a guest, and which one a source file belongs to.
//!
//! Knows files by their place in a source tree, nothing of addresses.

/// What an instruction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// The virtqueues, the bell, and sleeping until an interrupt.
    Device,
    /// Ethernet, IP and TCP.
    Network,
    /// The loop, the table of connections and their buffers.
    Loop,
    /// Parsing requests and forms, writing responses.
    Http,
    /// The pipelined connection to the store.
    StoreClient,
    /// The service: pages, cookies, votes.
    Application,
    /// Taking memory and giving it back.
    Allocator,
    /// Copying, filling and comparing bytes, for whomever.
    Copying,
    /// Hermit's kernel: interrupts.
    Kernel,
    /// Rust's library, where it stands for itself.
    Library,
}

/// In the order in which a request meets them.
pub const ALL: [Layer; 10] = [
    Layer::Device,
    Layer::Network,
    Layer::Loop,
    Layer::Http,
    Layer::Application,
    Layer::StoreClient,
    Layer::Allocator,
    Layer::Copying,
    Layer::Kernel,
    Layer::Library,
];

/// Parts of paths; the first that a path has decides.
const PLACES: [(&str, Layer); 24] = [
    ("kernel-app/src/hermit/allocator", Layer::Allocator),
    ("kernel-app/src/hermit/", Layer::Device),
    ("kernel-app/src/stack/", Layer::Network),
    ("kernel-app/src/http/", Layer::Http),
    ("kernel-app/src/metrics", Layer::Http),
    ("kernel-app/src/assets", Layer::Http),
    ("kernel-app/src/store_", Layer::StoreClient),
    ("kernel-app/", Layer::Loop),
    ("wire/src/http/", Layer::Http),
    ("wire/src/form", Layer::Http),
    ("wire/src/resp", Layer::StoreClient),
    ("wire/src/", Layer::Loop),
    ("vote-service/", Layer::Application),
    ("/smoltcp-", Layer::Network),
    ("/managed-", Layer::Network),
    ("/heapless-", Layer::Network),
    ("/virtio-drivers-", Layer::Device),
    ("/rlsf-", Layer::Allocator),
    ("/httparse-", Layer::Http),
    ("/serde", Layer::Application),
    ("compiler-builtins", Layer::Copying),
    ("compiler_builtins", Layer::Copying),
    ("hermit-kernel", Layer::Kernel),
    ("image-build/kernel", Layer::Kernel),
];

impl Layer {
    /// Which layer the code of a file belongs to; none for Rust's library, which works for others.
    pub fn of_file(path: &str) -> Option<Self> {
        PLACES.iter().find(|(place, _)| path.contains(place)).map(|(_, layer)| *layer)
    }

    /// What it is called in tables.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Device => "virtio-net and idle",
            Self::Network => "TCP/IP (smoltcp)",
            Self::Loop => "event loop, connections",
            Self::Http => "HTTP",
            Self::StoreClient => "store client (RESP)",
            Self::Application => "application",
            Self::Allocator => "allocator",
            Self::Copying => "copying bytes",
            Self::Kernel => "kernel (interrupts)",
            Self::Library => "Rust's library",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_layer_of_its_place() {
        let registry = "/home/a/.cargo/registry/src/index/";
        let of = |path: &str| Layer::of_file(path);
        assert_eq!(of(&format!("{registry}smoltcp-0.14.0/src/wire/tcp.rs")), Some(Layer::Network));
        assert_eq!(of("kernel-app/src/hermit/net_device.rs"), Some(Layer::Device));
        assert_eq!(of("kernel-app/src/hermit/allocator.rs"), Some(Layer::Allocator));
        assert_eq!(of("/src/kernel-app/src/runtime/pipes.rs"), Some(Layer::Loop));
        assert_eq!(of("/rustc/59807616e1/library/core/src/fmt/mod.rs"), None);
    }
}
