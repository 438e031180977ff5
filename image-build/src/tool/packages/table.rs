//! The external programs that the project uses, and the names of their packages: the only list of both.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tool::process;

/// A program that others have packaged, and what its package is called for each manager.
#[derive(Clone, Copy, Debug)]
pub struct Packaged {
    /// Name of the executable.
    pub program: &'static str,
    /// Names of the package, in the order of [`MANAGERS`](crate::tool::packages::MANAGERS); empty where there is none.
    packages: [&'static str; 6],
    presence: Presence,
}

/// How it is seen whether a program is there, wherever it came from.
#[derive(Clone, Copy, Debug)]
enum Presence {
    /// It is in `PATH`, or where administrators' programs are.
    Program,
    /// It is there under its name or this one.
    Either(&'static str),
    /// A server of PostgreSQL, which some systems keep out of `PATH`.
    Postgres,
    /// A Python that makes environments.
    PythonVenv,
    /// A library that bindings to C are made with.
    Libclang,
}

const fn packaged(program: &'static str, packages: [&'static str; 6]) -> Packaged {
    Packaged { program, packages, presence: Presence::Program }
}

/// QEMU for x86-64.
pub const QEMU: Packaged = packaged(
    "qemu-system-x86_64",
    ["qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86", "qemu-x86", "qemu-system-x86_64", "qemu"],
);
/// The debugger of `cargo attach`.
pub const GDB: Packaged = packaged("gdb", ["gdb"; 6]);
/// The library that makes bindings to C, which building uhyve takes.
pub const LIBCLANG: Packaged = Packaged {
    presence: Presence::Libclang,
    ..packaged("libclang", ["libclang-dev", "clang-devel", "clang", "clang-devel", "clang-dev", "llvm"])
};
/// Copies images to registries.
pub const SKOPEO: Packaged = packaged("skopeo", ["skopeo"; 6]);
/// The load generator that the original's seed data is made with.
pub const AB: Packaged =
    packaged("ab", ["apache2-utils", "httpd-tools", "apache", "apache2-utils", "apache2-utils", "httpd"]);
/// Redis.
pub const REDIS: Packaged =
    packaged("redis-server", ["redis-server", "redis", "redis", "redis", "redis", "redis"]);
/// Python, with what makes environments, which some systems have apart.
pub const PYTHON_VENV: Packaged = Packaged {
    presence: Presence::PythonVenv,
    ..packaged("python3", ["python3-venv", "python3", "python", "python3", "python3", "python3"])
};
/// Tells what the page cache holds of a file.
pub const FINCORE: Packaged = packaged(
    "fincore",
    ["util-linux-extra", "util-linux", "util-linux", "util-linux", "util-linux-misc", "util-linux"],
);
/// What containers take: the client is no Docker without the rest.
pub const DOCKER_ENGINE: [Packaged; 6] = [
    packaged("docker", ["docker.io", "moby-engine", "docker", "docker", "docker-cli", ""]),
    packaged("dockerd", ["docker.io", "moby-engine", "docker", "docker", "docker-engine", ""]),
    packaged("containerd", ["containerd", "containerd", "containerd", "containerd", "containerd", ""]),
    packaged("runc", ["runc", "runc", "runc", "runc", "runc", ""]),
    packaged("iptables", ["iptables", "iptables-nft", "iptables", "iptables", "iptables", ""]),
    packaged("mount", ["mount", "util-linux", "util-linux", "util-linux", "mount", ""]),
];

/// What the tests use, QEMU among it.
pub const TESTS: [Packaged; 38] = [
    QEMU,
    GDB,
    AB,
    REDIS,
    PYTHON_VENV,
    packaged("redis-cli", ["redis-tools", "redis", "redis", "redis", "redis", "redis"]),
    packaged("redis-benchmark", ["redis-tools", "redis", "redis", "redis", "redis", "redis"]),
    Packaged {
        presence: Presence::Postgres,
        ..packaged(
            "initdb",
            [
                "postgresql",
                "postgresql-server",
                "postgresql",
                "postgresql-server",
                "postgresql",
                "postgresql",
            ],
        )
    },
    packaged(
        "psql",
        ["postgresql-client", "postgresql", "postgresql", "postgresql", "postgresql-client", "postgresql"],
    ),
    packaged("prometheus", PROMETHEUS),
    packaged("promtool", PROMETHEUS),
    packaged("chromium", ["chromium"; 6]),
    packaged(
        "chromedriver",
        [
            "chromium-driver",
            "chromedriver",
            "chromium",
            "chromedriver",
            "chromium-chromedriver",
            "chromedriver",
        ],
    ),
    packaged("curl", ["curl"; 6]),
    packaged("node", ["nodejs", "nodejs", "nodejs", "nodejs", "nodejs", "node"]),
    packaged("npm", ["npm", "nodejs-npm", "npm", "npm", "npm", "node"]),
    packaged("slowhttptest", ["slowhttptest", "slowhttptest", "", "slowhttptest", "", "slowhttptest"]),
    packaged("ip", ["iproute2", "iproute", "iproute2", "iproute2", "iproute2", ""]),
    packaged("kill", ["procps", "util-linux", "util-linux", "util-linux", "procps", ""]),
    packaged("unshare", ["util-linux", "util-linux", "util-linux", "util-linux", "util-linux-misc", ""]),
    packaged("setpriv", ["util-linux", "util-linux", "util-linux", "util-linux", "setpriv", ""]),
    // The proxies that people put in front of the pages.
    packaged("nginx", ["nginx"; 6]),
    packaged("haproxy", ["haproxy"; 6]),
    packaged("varnishd", ["varnish"; 6]),
    APACHE,
    // What a swarm takes, with the client of Docker and containerd.
    SKOPEO,
    DOCKER_ENGINE[0],
    DOCKER_ENGINE[1],
    packaged("docker-registry", ["docker-registry", "", "", "", "docker-registry", "docker-registry"]),
    // What pods and clusters of machines take.
    packaged("tc", ["iproute2", "iproute-tc", "iproute2", "iproute2", "iproute2-tc", ""]),
    packaged("iptables", ["iptables", "iptables-nft", "iptables", "iptables", "iptables", ""]),
    packaged("dnsmasq", ["dnsmasq-base", "dnsmasq", "dnsmasq", "dnsmasq", "dnsmasq", "dnsmasq"]),
    packaged(
        "libvirtd",
        [
            "libvirt-daemon-system",
            "libvirt-daemon-qemu",
            "libvirt",
            "libvirt-daemon-qemu",
            "libvirt-daemon",
            "libvirt",
        ],
    ),
    packaged(
        "virsh",
        ["libvirt-clients", "libvirt-client", "libvirt", "libvirt-client", "libvirt-client", "libvirt"],
    ),
    packaged("corosync", ["corosync", "corosync", "", "corosync", "", ""]),
    packaged("pacemakerd", ["pacemaker", "pacemaker", "", "pacemaker", "", ""]),
    packaged("crm_mon", ["pacemaker-cli-utils", "pacemaker-cli", "", "pacemaker-cli", "", ""]),
    // Of the package that has the agents, which are in no PATH.
    packaged("ocf-tester", ["resource-agents", "resource-agents", "", "resource-agents", "", ""]),
];
const PROMETHEUS: [&str; 6] = [
    "prometheus",
    "prometheus",
    "prometheus",
    "golang-github-prometheus-prometheus",
    "prometheus",
    "prometheus",
];
const APACHE: Packaged = Packaged {
    presence: Presence::Either("httpd"),
    ..packaged("apache2", ["apache2", "httpd", "apache", "apache2", "apache2", "httpd"])
};

impl Packaged {
    /// What its package is called for the manager in this place, if there is one.
    pub(super) fn package(&self, manager: usize) -> Option<&'static str> {
        self.packages.get(manager).copied().filter(|name| !name.is_empty())
    }

    /// The program where it is; its name where it is not.
    pub fn path(&self) -> PathBuf {
        let other = match self.presence {
            Presence::Either(other) => process::find(other),
            Presence::Postgres => postgres_programs().map(|folder| folder.join(self.program)),
            Presence::Program | Presence::PythonVenv | Presence::Libclang => None,
        };
        process::find(self.program).or(other).unwrap_or_else(|| self.program.into())
    }

    /// Whether the program is there, wherever it came from.
    pub fn is_there(&self) -> bool {
        match self.presence {
            Presence::Program => process::is_installed(self.program),
            Presence::Either(other) => process::is_installed(self.program) || process::is_installed(other),
            Presence::Postgres => postgres_programs().is_some(),
            Presence::Libclang => has_libclang(),
            Presence::PythonVenv => {
                let mut python = Command::new(self.program);
                process::output(python.args(["-c", "import ensurepip, venv"]), "asking Python").is_ok()
            }
        }
    }
}

/// Where systems keep libraries; LLVM's are also in folders of their own.
const LIBRARIES: [&str; 5] =
    ["/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/local/lib", "/opt/homebrew/opt/llvm/lib"];

fn has_libclang() -> bool {
    let names = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let is_it = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with("libclang.so");
    let given = env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    let of_llvm = names(Path::new("/usr/lib"))
        .map(|entry| entry.path().join("lib"))
        .filter(|path| path.to_string_lossy().starts_with("/usr/lib/llvm"));
    let folders = LIBRARIES.into_iter().map(PathBuf::from).chain(given).chain(of_llvm);
    folders.into_iter().any(|folder| names(&folder).any(is_it))
}

/// Where Debian keeps PostgreSQL's servers, in a folder for each version.
const DEBIAN_POSTGRES: &str = "/usr/lib/postgresql";

/// The folder of the newest PostgreSQL's programs.
pub fn postgres_programs() -> Option<PathBuf> {
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = fs::read_dir(Path::new(DEBIAN_POSTGRES)).into_iter().flatten().flatten();
    let of_debian = versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").is_file())
        .max_by_key(version);
    let in_path = || process::find("initdb")?.parent().map(Path::to_owned);
    of_debian.map(|path| path.join("bin")).or_else(in_path)
}
