//! Two interfaces as one wire: what arrives at the one leaves by the other (tc-mirred(8)). The container keeps its
//! addresses and hears no more of its frames, so the guest can have the same ones.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rtnetlink::{Handle, LinkUnspec, new_connection};
use tokio::runtime::Builder;

/// How long QEMU may take to make its interface.
const INTERFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked for: a guest boots in some 100 ms.
const POLL: Duration = Duration::from_millis(5);
/// Frames of all kinds (`ETH_P_ALL` in linux/if_ether.h).
const ALL_PROTOCOLS: u16 = 0x0003_u16.to_be();

/// Asks the kernel something.
///
/// # Errors
/// When it does not answer, or refuses.
pub fn with_kernel<T>(ask: impl AsyncFnOnce(Handle) -> Result<T>) -> Result<T> {
    let runtime = Builder::new_current_thread().enable_io().build().context("no runtime")?;
    runtime.block_on(async {
        let (connection, handle, _) = new_connection().context("the kernel takes no questions")?;
        tokio::spawn(connection);
        ask(handle).await
    })
}

/// Joins an interface of the container and the guest's, which is awaited.
///
/// # Errors
/// When the guest's does not come, or the kernel refuses.
pub fn between(container: &str, guest: &str, mtu: u32) -> Result<()> {
    let guest_index = await_index(guest)?;
    let container_index = index(container).with_context(|| format!("{container} is gone"))?;
    with_kernel(async |handle| {
        let up = LinkUnspec::new_with_index(guest_index).mtu(mtu).up().build();
        handle.link().set(up).execute().await.with_context(|| format!("{guest} does not come up"))?;
        lead(&handle, container_index, guest_index).await?;
        lead(&handle, guest_index, container_index).await
    })
}

async fn lead(handle: &Handle, from: u32, to: u32) -> Result<()> {
    let interface = i32::try_from(from).context("an interface's number is too large")?;
    let what = || format!("frames of interface {from} cannot be led to {to}");
    handle.qdisc().add(interface).ingress().execute().await.with_context(what)?;
    let filter = handle.traffic_filter(interface).add().parent(0xffff_0000).protocol(ALL_PROTOCOLS);
    filter.redirect(to).with_context(what)?.execute().await.with_context(what)
}

fn await_index(interface: &str) -> Result<u32> {
    let deadline = Instant::now() + INTERFACE_TIMEOUT;
    loop {
        if let Some(index) = index(interface) {
            return Ok(index);
        }
        ensure!(Instant::now() < deadline, "QEMU made no interface {interface} in {INTERFACE_TIMEOUT:?}");
        thread::sleep(POLL);
    }
}

fn index(interface: &str) -> Option<u32> {
    let path = Path::new("/sys/class/net").join(interface).join("ifindex");
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
