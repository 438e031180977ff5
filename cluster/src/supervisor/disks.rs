//! The disks of a plan's instances, locked until everything has ended. `disk_image` defines a disk.

use crate::plan::{Data, Instance};
use image_build::vm::disk_image::{DiskImage, DiskImageError, DiskLock};

/// Makes the disks that are missing, and takes all of them.
///
/// # Errors
/// When one cannot be used.
pub fn claim(instances: &[Instance]) -> Result<Vec<DiskLock>, DiskImageError> {
    let images = instances.iter().filter_map(|instance| match &instance.data {
        Data::OnDisk(image) => Some(image),
        Data::None | Data::InMemory => None,
    });
    images.map(DiskImage::claim).collect()
}
