//! The link to the kernel library, and the one system call that `hermit-abi` does not declare.

#[link(name = "hermit", kind = "static", modifiers = "-bundle")]
unsafe extern "C" {
    /// The time-stamp counter's rate in MHz, as the kernel was told or has measured.
    pub safe fn sys_get_processor_frequency() -> u16;
}
