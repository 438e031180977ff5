//! `memcpy` and `memcmp`, in place of compiler_builtins' weak ones. Its `memcpy` takes single bytes up to an aligned
//! address and behind the last one, and most copies of a request are shorter than that takes.
//!
//! Each length has its own way, whose last step ends with the last byte, and may overlap the one before. References:
//! System V ABI for x86-64, section 3.2; Intel optimization manual, section 3.7.6 (`rep movs`).
#![allow(unsafe_code)]

use core::arch::naked_asm;

/// Copies bytes that do not overlap, as C's `memcpy` does.
///
/// # Safety
/// `count` bytes can be read at `from` and written at `to`.
#[unsafe(naked)]
#[cfg_attr(target_os = "hermit", unsafe(export_name = "memcpy"))]
pub unsafe extern "C" fn memory_copy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 64",
        "ja 64f",
        "cmp edx, 16",
        "jae 16f",
        "cmp edx, 8",
        "jae 8f",
        "cmp edx, 4",
        "jae 4f",
        "test edx, edx",
        "jz 0f",
        // Up to 3: the first, the middle and the last one.
        "movzx ecx, byte ptr [rsi]",
        "movzx r8d, byte ptr [rsi + rdx - 1]",
        "mov r10d, edx",
        "shr r10d, 1",
        "movzx r9d, byte ptr [rsi + r10]",
        "mov byte ptr [rdi], cl",
        "mov byte ptr [rdi + r10], r9b",
        "mov byte ptr [rdi + rdx - 1], r8b",
        "0: ret",
        "4: mov ecx, dword ptr [rsi]",
        "mov r8d, dword ptr [rsi + rdx - 4]",
        "mov dword ptr [rdi], ecx",
        "mov dword ptr [rdi + rdx - 4], r8d",
        "ret",
        "8: mov rcx, qword ptr [rsi]",
        "mov r8, qword ptr [rsi + rdx - 8]",
        "mov qword ptr [rdi], rcx",
        "mov qword ptr [rdi + rdx - 8], r8",
        "ret",
        "16: movups xmm0, xmmword ptr [rsi]",
        "movups xmm1, xmmword ptr [rsi + rdx - 16]",
        "cmp edx, 32",
        "ja 32f",
        "movups xmmword ptr [rdi], xmm0",
        "movups xmmword ptr [rdi + rdx - 16], xmm1",
        "ret",
        "32: movups xmm2, xmmword ptr [rsi + 16]",
        "movups xmm3, xmmword ptr [rsi + rdx - 32]",
        "movups xmmword ptr [rdi], xmm0",
        "movups xmmword ptr [rdi + 16], xmm2",
        "movups xmmword ptr [rdi + rdx - 32], xmm3",
        "movups xmmword ptr [rdi + rdx - 16], xmm1",
        "ret",
        "64: mov r8, qword ptr [rsi + rdx - 8]",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep movsq",
        "mov qword ptr [rax + rdx - 8], r8",
        "ret",
    )
}

/// Says which bytes come first in the order of their numbers, as C's `memcmp` does: 0 if they are equal, less if it is
/// the first ones. The compiler asks it also whether two slices are equal.
///
/// # Safety
/// `count` bytes can be read at `one` and at `other`.
#[unsafe(naked)]
#[cfg_attr(target_os = "hermit", unsafe(export_name = "memcmp"))]
pub unsafe extern "C" fn memory_compare(one: *const u8, other: *const u8, count: usize) -> i32 {
    naked_asm!(
        "xor ecx, ecx",
        "cmp rdx, 16",
        "jae 16f",
        "cmp edx, 8",
        "jae 8f",
        "cmp edx, 4",
        "jae 4f",
        "1: cmp ecx, edx",
        "je 0f",
        "movzx eax, byte ptr [rdi + rcx]",
        "movzx r8d, byte ptr [rsi + rcx]",
        "inc ecx",
        "sub eax, r8d",
        "je 1b",
        "ret",
        "0: xor eax, eax",
        "ret",
        "4: mov eax, dword ptr [rdi]",
        "mov r8d, dword ptr [rsi]",
        "cmp eax, r8d",
        "jne 5f",
        "mov eax, dword ptr [rdi + rdx - 4]",
        "mov r8d, dword ptr [rsi + rdx - 4]",
        "cmp eax, r8d",
        "je 0b",
        "5: bswap eax",
        "bswap r8d",
        "cmp eax, r8d",
        "sbb eax, eax",
        "or eax, 1",
        "ret",
        "8: mov rax, qword ptr [rdi]",
        "mov r8, qword ptr [rsi]",
        "cmp rax, r8",
        "jne 9f",
        "mov rax, qword ptr [rdi + rdx - 8]",
        "mov r8, qword ptr [rsi + rdx - 8]",
        "cmp rax, r8",
        "je 0b",
        // The first byte of those that differ is the one that counts.
        "9: bswap rax",
        "bswap r8",
        "cmp rax, r8",
        "sbb eax, eax",
        "or eax, 1",
        "ret",
        // Steps of 16, the last of which ends with the last byte.
        "16: sub rdx, 16",
        "2: movups xmm0, xmmword ptr [rdi + rcx]",
        "movups xmm1, xmmword ptr [rsi + rcx]",
        "pcmpeqb xmm0, xmm1",
        "pmovmskb eax, xmm0",
        "xor eax, 0xffff",
        "jne 3f",
        "cmp rcx, rdx",
        "je 0b",
        "add rcx, 16",
        "cmp rcx, rdx",
        "cmova rcx, rdx",
        "jmp 2b",
        "3: bsf eax, eax",
        "add rcx, rax",
        "movzx eax, byte ptr [rdi + rcx]",
        "movzx r8d, byte ptr [rsi + rcx]",
        "sub eax, r8d",
        "ret",
    )
}

#[cfg(test)]
mod tests {
    use super::{memory_compare, memory_copy};
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn all_bytes_are_copied_and_no_others() {
        let from: Vec<u8> = (0..4096).map(|at: u32| (at * 7 % 251) as u8 + 1).collect();
        for count in (0..300).chain([1000, 1024, 1460, 4000]) {
            for at in 0..9 {
                let mut to = vec![0; count + 32];
                // SAFETY: both have this number of bytes behind these places.
                let given = unsafe { memory_copy(to.as_mut_ptr().add(at), from.as_ptr().add(9 - at), count) };
                assert_eq!(given, to.as_mut_ptr().wrapping_add(at));
                assert_eq!(to[at..at + count], from[9 - at..9 - at + count], "{count} bytes at {at}");
                assert!(
                    to[..at].iter().chain(&to[at + count..]).all(|byte| *byte == 0),
                    "{count} bytes at {at}"
                );
            }
        }
    }

    #[test]
    fn the_first_byte_that_differs_decides() {
        let bytes: Vec<u8> = (50..250).collect();
        for count in 0..100 {
            for at in 0..9 {
                let mut other = vec![0xff; 200];
                other[at..at + count].copy_from_slice(&bytes[7..7 + count]);
                // SAFETY: both have this number of bytes behind these places.
                let order = |other: &[u8]| unsafe {
                    memory_compare(bytes[7..].as_ptr(), other[at..].as_ptr(), count)
                };
                assert_eq!(order(&other), 0, "{count} bytes at {at}");
                for first in at..at + count {
                    let was = other[first];
                    for (value, expected) in [(0, 1), (was + 1, -1), (0xff, -1)] {
                        other[first] = value;
                        // What follows says the opposite.
                        if first + 1 < at + count {
                            other[first + 1] ^= 0xff;
                        }
                        assert_eq!(order(&other).signum(), expected, "byte {first} of {count} at {at}");
                        if first + 1 < at + count {
                            other[first + 1] ^= 0xff;
                        }
                    }
                    other[first] = was;
                }
            }
        }
    }
}
