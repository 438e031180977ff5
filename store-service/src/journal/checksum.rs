//! CRC32C (Castagnoli, RFC 3720 appendix B.4) over several slices.
//!
//! It uses tables: the instruction that some processors have for it needs `unsafe`, which services do not use.

use crc::{CRC_32_ISCSI, Crc, Table};

/// 16 tables: 16 bytes at a time.
static CRC32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// The checksum of all parts, one after the other.
pub fn of(parts: &[&[u8]]) -> u32 {
    let mut digest = CRC32C.digest();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_3720_hold() {
        let ascending: alloc::vec::Vec<u8> = (0..32).collect();
        let descending: alloc::vec::Vec<u8> = (0..32).rev().collect();
        assert_eq!(of(&[&[0; 32]]), 0x8a91_36aa);
        assert_eq!(of(&[&[0xff; 32]]), 0x62a8_ab43);
        assert_eq!(of(&[&ascending]), 0x46dd_794e);
        assert_eq!(of(&[&descending]), 0x113f_db5c);
        assert_eq!(of(&[b"1234", b"", b"56789"]), of(&[b"123456789"]));
        assert_eq!(of(&[b"123456789"]), 0xe306_9283);
    }
}
