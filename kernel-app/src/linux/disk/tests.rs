//! The file on the file system of the temporary directory, and on one whose device fails.

use std::fs;

use super::*;

/// A file of its own for each test, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("linux-disk-{}-{name}", std::process::id()));
        // Left behind by a process of the same number, if at all.
        let _ = fs::remove_file(&path);
        Self(path)
    }

    fn data(&self) -> DataFile {
        DataFile { path: self.0.clone(), bytes: 1024 * SECTOR_BYTES as u64 }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn open(scratch: &Scratch) -> Result<LinuxDisk, String> {
    LinuxDisk::open(&scratch.data(), None)
}

/// Writes, and waits for the end.
fn write(disk: &mut LinuxDisk, sector: u64, data: &[u8]) -> Result<(), DiskError> {
    disk.write(sector, data, Instant::ZERO);
    loop {
        if let Some(outcome) = disk.outcome(Instant::ZERO) {
            return outcome;
        }
        std::thread::yield_now();
    }
}

#[test]
fn sectors_are_there_when_the_file_is_opened_again() {
    let scratch = Scratch::new("again");
    let mut disk = open(&scratch).expect("a new file");
    assert_eq!(disk.sectors(), 1024);
    assert_eq!(write(&mut disk, 1022, &[7; 2 * SECTOR_BYTES]), Ok(()));
    assert_eq!((disk.outcome(Instant::ZERO), disk.is_busy()), (None, false));
    drop(disk);
    let mut disk = open(&scratch).expect("the same file");
    let mut sectors = [0; 3 * SECTOR_BYTES];
    disk.read(1021, &mut sectors).expect("within the disk");
    assert_eq!(sectors[..SECTOR_BYTES], [0; SECTOR_BYTES]);
    assert_eq!(sectors[SECTOR_BYTES..], [7; 2 * SECTOR_BYTES]);
}

#[test]
fn what_lies_beyond_the_end_is_an_error_and_changes_nothing() {
    let scratch = Scratch::new("beyond");
    let mut disk = open(&scratch).expect("a new file");
    disk.write(1023, &[7; 2 * SECTOR_BYTES], Instant::ZERO);
    assert_eq!(disk.outcome(Instant::ZERO), Some(Err(DiskError::OutOfRange)));
    let mut sector = [1; SECTOR_BYTES];
    assert_eq!(disk.read(1024, &mut sector), Err(DiskError::OutOfRange));
    assert_eq!(disk.read(u64::MAX, &mut sector), Err(DiskError::OutOfRange));
    disk.read(1023, &mut sector).expect("the last sector");
    assert_eq!(sector, [0; SECTOR_BYTES]);
}

#[test]
fn a_data_file_is_used_by_one_process() {
    let scratch = Scratch::new("shared");
    let first = open(&scratch).expect("a new file");
    let refused = open(&scratch).expect_err("in use");
    assert!(refused.contains("in use by another process") && !refused.contains('\n'), "{refused}");
    drop(first);
    assert!(open(&scratch).is_ok());
}

#[test]
fn what_is_no_disk_is_refused_in_one_line() {
    let scratch = Scratch::new("odd");
    fs::write(&scratch.0, [0; 700]).expect("a file");
    let odd = open(&scratch).expect_err("no whole sectors");
    assert!(odd.contains("700 bytes") && !odd.contains('\n'), "{odd}");
    let missing = DataFile { path: scratch.0.join("nowhere"), bytes: 512 };
    let error = LinuxDisk::open(&missing, None).expect_err("no such directory");
    assert!(error.contains("cannot be opened") && !error.contains('\n'), "{error}");
}

#[test]
fn copies_are_kept_beside_the_file_and_their_number_is_bounded() {
    let folder = Scratch::new("copies");
    fs::create_dir(&folder.0).expect("a folder");
    let data = DataFile { path: folder.0.join("data"), bytes: 4096 * SECTOR_BYTES as u64 };
    let mut disk = LinuxDisk::open(&data, None).expect("a new file");
    assert_eq!(write(&mut disk, 3000, &[7; 2 * SECTOR_BYTES]), Ok(()));
    for number in 1..=9 {
        let copy = disk.keep_copy().expect("room").expect("a file has a place beside it");
        assert_eq!(copy, format!("{}.damaged-{number}", data.path.display()));
        assert!(fs::read(&copy).expect("a copy") == fs::read(&data.path).expect("the file"), "copy {number}");
    }
    let error = disk.keep_copy().expect_err("as many as there may be");
    assert!(error.ends_with(".damaged-1 to -9 are there already: move them away"), "{error}");
    drop(disk);
    fs::remove_dir_all(&folder.0).expect("the folder is ours");
}

#[test]
fn a_copy_is_kept_of_what_can_be_read() {
    let scratch = Scratch::new("unreadable");
    let mut disk = open(&scratch).expect("a new file");
    assert_eq!(write(&mut disk, 100, &[7; SECTOR_BYTES]), Ok(()));
    // What is beyond the end cannot be read, as if its sectors were bad.
    let file = OpenOptions::new().write(true).open(&scratch.0).expect("the file");
    file.set_len(600 * SECTOR_BYTES as u64).expect("shorter");
    let told = disk.keep_copy().expect("room").expect("a file has a place beside it");
    let copy = format!("{}.damaged-1", scratch.0.display());
    assert_eq!(told, format!("{copy} (zeros where {} bytes cannot be read)", 424 * SECTOR_BYTES));
    let mut expected = fs::read(&scratch.0).expect("the file");
    expected.resize(1024 * SECTOR_BYTES, 0);
    assert!(fs::read(&copy).expect("the copy") == expected);
    fs::remove_file(copy).expect("it is ours");
}

#[test]
fn any_place_and_length_is_read_past_the_cache() {
    let scratch = Scratch::new("places");
    let mut disk = open(&scratch).expect("a new file");
    let bytes: std::vec::Vec<u8> =
        (0..1024 * SECTOR_BYTES).map(|at| (at / SECTOR_BYTES % 251) as u8).collect();
    for (at, piece) in bytes.chunks(128 * 1024).enumerate() {
        assert_eq!(write(&mut disk, at as u64 * 256, piece), Ok(()));
    }
    for (sector, sectors) in
        [(0, 1), (1, 1), (7, 2), (7, 9), (8, 8), (3, 600), (0, 1024), (511, 513), (1023, 1)]
    {
        let mut found = std::vec![0; sectors * SECTOR_BYTES];
        disk.read(sector as u64, &mut found).expect("within the disk");
        assert!(found == bytes[sector * SECTOR_BYTES..][..found.len()], "{sectors} sectors at {sector}");
    }
}
