//! What a VMM cannot do, said before anything is started: with the reason and the way round.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object::LittleEndian;
use object::elf::{ELFMAG, ET_DYN, ET_EXEC, FileHeader64};
use object::pod;

use crate::vm::accelerator::Choice;
use crate::vm::machine::{Launch, MEMORY_MIB_MAX, MEMORY_MIB_MIN, Machine, Network};
use crate::vm::vmm::{Feature, ImageKind, Lack, Vmm};

/// Least memory of a guest of uhyve.
const UHYVE_MEMORY_MIB_MIN: u32 = 16;
/// What its memory is a multiple of.
const UHYVE_MEMORY_MIB_STEP: u32 = 2;

/// Whether a VMM has the machine and the accelerator that a user asks for.
///
/// # Errors
/// When it has not.
pub fn check_choices(vmm: Vmm, machine: Option<Machine>, accelerator: Choice) -> Result<()> {
    if machine.is_some() {
        require(vmm, Feature::MachineChoice, "--machine")?;
    }
    if accelerator == Choice::Tcg {
        require(vmm, Feature::Emulation, "--accel tcg")?;
    }
    Ok(())
}

/// Whether a VMM has a feature that something asks for.
///
/// # Errors
/// When it has not.
pub fn require(vmm: Vmm, feature: Feature, asked: &str) -> Result<()> {
    if let Some(Lack { why, instead }) = vmm.lacks(feature) {
        bail!("{asked} does not go with {}: {why}; {instead}, or use --vmm qemu", vmm.label());
    }
    Ok(())
}

/// Whether its VMM can make a machine.
///
/// # Errors
/// When it cannot.
pub fn check_launch(launch: &Launch) -> Result<()> {
    let vmm = launch.vmm;
    if !launch.disks.is_empty() {
        require(vmm, Feature::Disk, "a disk")?;
    }
    if launch.other_kernel.is_some() {
        require(vmm, Feature::OtherKernel, "another kernel")?;
    }
    match &launch.network {
        Network::None | Network::Tap { .. } => {}
        Network::User { .. } => require(vmm, Feature::UserNetwork, "--net user")?,
        Network::Link { .. } | Network::Datagrams { .. } => {
            require(vmm, Feature::SocketNetwork, "--net switch")?;
        }
    }
    check_memory(vmm, &launch.name, launch.memory_mib)?;
    if launch.other_kernel.is_none() { check_image(launch) } else { Ok(()) }
}

/// Whether a VMM gives a machine of this name so much memory.
///
/// # Errors
/// When it does not.
pub fn check_memory(vmm: Vmm, name: &str, mib: u32) -> Result<()> {
    let range = MEMORY_MIB_MIN..=MEMORY_MIB_MAX;
    ensure!(
        range.contains(&mib),
        "{mib} MiB of memory cannot be used for {name}: give {MEMORY_MIB_MIN} to {MEMORY_MIB_MAX}"
    );
    ensure!(
        vmm != Vmm::Uhyve || (mib >= UHYVE_MEMORY_MIB_MIN && mib.is_multiple_of(UHYVE_MEMORY_MIB_STEP)),
        "{mib} MiB of memory cannot be used for {name} under uhyve: give an even number of MiB, \
         {UHYVE_MEMORY_MIB_MIN} to {MEMORY_MIB_MAX}"
    );
    Ok(())
}

/// Whether the file is one that this VMM starts. One that cannot be read is the VMM's to complain about.
fn check_image(launch: &Launch) -> Result<()> {
    let Ok(kind) = image_kind(&launch.image) else { return Ok(()) };
    let (path, vmm) = (launch.image.display(), launch.vmm.label());
    match (launch.vmm.image_kind(), kind) {
        (wanted, Some(kind)) if wanted == kind => Ok(()),
        (ImageKind::Bootable, Some(_)) => {
            bail!("{path} is a program without a loader, which only uhyve starts: give {vmm} the image of it")
        }
        (ImageKind::Program, Some(_)) => {
            bail!(
                "{path} is an image with a loader, which {vmm} does not start: give it the program's ELF file"
            )
        }
        (_, None) => bail!("{path} is neither an image nor a program: build it with `cargo image build`"),
    }
}

/// What kind of file it is: an image is an executable file at fixed addresses, a program can be placed anywhere.
fn image_kind(path: &Path) -> Result<Option<ImageKind>> {
    let mut bytes = [0; size_of::<FileHeader64<LittleEndian>>()];
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    if file.read_exact(&mut bytes).is_err() {
        return Ok(None);
    }
    let Ok((header, _)) = pod::from_bytes::<FileHeader64<LittleEndian>>(&bytes) else { return Ok(None) };
    let kind = match header.e_type.get(LittleEndian) {
        ET_EXEC => Some(ImageKind::Bootable),
        ET_DYN => Some(ImageKind::Program),
        _ => None,
    };
    Ok(kind.filter(|_| header.e_ident.magic == ELFMAG))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::vm::accelerator::Accelerator;

    fn launch(vmm: Vmm) -> Launch {
        let image = "/nonexistent/vote".into();
        Launch { vmm, ..Launch::new("vote", image, Machine::Q35, Accelerator::Kvm { mhz: 0 }) }
    }

    fn refusal(launch: &Launch) -> String {
        check_launch(launch).expect_err("refused").to_string()
    }

    #[test]
    fn what_a_vmm_lacks_is_refused_with_the_reason_and_the_way_round() {
        let disks = vec!["/d/store-1.img".into()];
        assert_eq!(
            refusal(&Launch { disks: disks.clone(), ..launch(Vmm::Uhyve) }),
            "a disk does not go with uhyve: it has no block device; leave the data in memory, or use --vmm qemu"
        );
        for vmm in [Vmm::Firecracker, Vmm::CloudHypervisor, Vmm::Qemu] {
            check_launch(&Launch { disks: disks.clone(), ..launch(vmm) }).expect("it has disks");
        }
        let user = || Network::User { forwards: Vec::new(), outgoing: false, range: None };
        let link = || Network::Link { socket: "x".into(), mac: [2; 6], shares_queues: false };
        for vmm in Vmm::ALL.into_iter().filter(|vmm| *vmm != Vmm::Qemu) {
            let text = refusal(&Launch { network: user(), ..launch(vmm) });
            assert!(text.contains(vmm.label()) && text.contains("use --net tap"), "{text}");
            assert!(refusal(&Launch { network: link(), ..launch(vmm) }).contains("--net switch"));
            let error = check_choices(vmm, Some(Machine::Q35), Choice::Auto).expect_err("one machine only");
            assert!(error.to_string().contains("leave --machine out"), "{error}");
            let error = check_choices(vmm, None, Choice::Tcg).expect_err("KVM only");
            assert!(error.to_string().contains("it needs KVM"), "{error}");
            check_choices(vmm, None, Choice::Kvm).expect("what it has");
        }
        check_choices(Vmm::Qemu, Some(Machine::Microvm), Choice::Tcg).expect("what it has");
    }

    #[test]
    fn uhyve_takes_memory_in_large_pages() {
        for mib in [8, 15, 17, 33] {
            let text = refusal(&Launch { memory_mib: mib, ..launch(Vmm::Uhyve) });
            assert!(
                text.starts_with(&format!("{mib} MiB of memory cannot be used for vote under uhyve")),
                "{text}"
            );
        }
        for mib in [16, 32] {
            check_launch(&Launch { memory_mib: mib, ..launch(Vmm::Uhyve) }).expect("enough");
        }
    }

    #[test]
    fn an_image_for_another_vmm_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, kind: u8| {
            let path = folder.path().join(name);
            let mut bytes = [0; 64];
            bytes[..4].copy_from_slice(b"\x7fELF");
            bytes[16] = kind;
            fs::write(&path, bytes).expect("room");
            path
        };
        let (image, program) = (file("vote.img", 2), file("vote", 3));
        let with = |vmm, image: &Path| Launch { image: image.to_owned(), ..launch(vmm) };
        for vmm in Vmm::ALL {
            let (own, other) = if vmm == Vmm::Uhyve { (&program, &image) } else { (&image, &program) };
            check_launch(&with(vmm, own)).expect("its own kind");
            let text = refusal(&with(vmm, other));
            assert!(text.starts_with(&other.display().to_string()) && text.contains(vmm.label()), "{text}");
        }
        fs::write(&image, "no ELF file").expect("room");
        assert!(refusal(&with(Vmm::Qemu, &image)).contains("neither an image nor a program"));
    }
}
