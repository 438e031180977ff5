//! The statements that the model knows, and the text for which it was written.
//!
//! A statement is known by its name; its text must be the one that the model's behaviour was written for. Whoever
//! changes a statement of the services looks into `tables` whether the model still does what it says, and puts the
//! checksum in that the complaint names.

use crc::{CRC_32_ISCSI, Crc};

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

macro_rules! statements {
    ($($known:ident $name:literal $checksum:literal;)*) => {
        /// A statement that the services are known to use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Known { $($known),* }

        impl Known {
            const ALL: &[(Self, &'static str, u32)] = &[$((Self::$known, $name, $checksum)),*];
        }
    };
}

statements! {
    Create "create" 0xf2b22f67;
    Extend "extend" 0xd4b1dbe1;
    CreateEpochs "create-epochs" 0x0d86b793;
    Record "record" 0x68e9737b;
    Register "register" 0xb68241a4;
    Forget "forget" 0x20092a96;
    Count "count" 0xf2f7ea8f;
}

impl Known {
    /// The statement with this name, if it has the text that is known.
    ///
    /// # Errors
    /// What to do.
    pub fn find(name: &str, sql: &str) -> Result<Self, String> {
        let text = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let checksum = CHECKSUM.checksum(text.as_bytes());
        match Self::ALL.iter().find(|(_, other, _)| *other == name) {
            Some((known, _, expected)) if *expected == checksum => Ok(*known),
            _ => Err(format!(
                "the model of PostgreSQL does not know this text of the statement {name:?}; once \
                 tests/src/simulation/database/tables.rs does what it says, statements.rs is to have its \
                 checksum {checksum:#010x}: {text}"
            )),
        }
    }
}
