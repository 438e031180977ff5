//! The entry point of a program: one line, the same on every substrate.
//!
//! The target for which this crate is compiled selects the platform's `run`, so programs need no `cfg` of their own.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::service::Service;
use crate::settings::{SettingError, Settings};

/// Makes a program's services out of its settings.
pub type Program = fn(&Settings) -> Result<Vec<Box<dyn Service>>, SettingError>;

/// Defines the entry point of a program: its name in logs, and the function that makes its services.
///
/// The binary is `#![no_std]` and `#![no_main]`. This one has no services, so it says its line and ends:
/// ```standalone_crate
/// #![no_std]
/// #![no_main]
///
/// extern crate alloc;
///
/// use alloc::boxed::Box;
/// use alloc::vec::Vec;
/// use kernel_app::settings::SettingError;
/// use kernel_app::{Service, Settings};
///
/// fn hello(_: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
///     log::info!("hello");
///     Ok(Vec::new())
/// }
///
/// kernel_app::program!("hello", hello);
/// # #[cfg(any())]
/// # fn main() {}
/// ```
/// One that keeps data says so, or its image has no driver for a disk: `program!("store", store_service::program, disk)`.
#[cfg(target_os = "linux")]
#[macro_export]
macro_rules! program {
    ($name:literal, $program:path) => {
        $crate::program!(@ $name, $program, false);
    };
    ($name:literal, $program:path, disk) => {
        $crate::program!(@ $name, $program, true);
    };
    (@ $name:literal, $program:path, $has_disk:literal) => {
        /// What the C runtime calls.
        // SAFETY: the binary is `no_main`, so nothing else in it is called `main`, and the C runtime
        // calls it as C declares it.
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        pub extern "C" fn main(_argc: i32, _argv: *const *const u8) -> i32 {
            $crate::linux::run($name, $program, $has_disk)
        }
    };
}

/// The same for a guest; the entry point has the name that the Hermit kernel calls.
#[cfg(target_os = "hermit")]
#[macro_export]
macro_rules! program {
    ($name:literal, $program:path) => {
        $crate::program!(@ $name, $program, false);
    };
    ($name:literal, $program:path, disk) => {
        $crate::program!(@ $name, $program, true);
    };
    (@ $name:literal, $program:path, $has_disk:literal) => {
        /// What the Hermit kernel calls once it is up.
        ///
        /// # Safety
        /// Only the kernel may call it, with a null-terminated array of strings as `environment`.
        // SAFETY: nothing else in the image is called `runtime_entry`, and the kernel calls it as
        // declared here, with arrays that it never frees.
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn runtime_entry(
            _argc: i32,
            _argv: *const *const u8,
            environment: *const *const u8,
        ) -> ! {
            // SAFETY: the caller vouches for the array.
            unsafe { $crate::hermit::run::<$has_disk>($name, $program, environment) }
        }
    };
}
