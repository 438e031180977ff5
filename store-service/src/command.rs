//! The names of the commands, their numbers of arguments, and the answers of `COMMAND`.
//!
//! The engine executes the commands.

use wire::resp::Args;

/// What there is to know about a command without carrying it out.
#[derive(Debug)]
pub struct Spec {
    /// In lower case, as Redis names it in errors.
    pub name: &'static str,
    /// Number of arguments with the name; negative: at least as many.
    pub arity: i8,
    /// Redis's command flags.
    pub flags: &'static [&'static str],
    /// Position of the first key, of the last (negative: from the end), and the step between; 0 for none.
    pub keys: (i8, i8, i8),
}

/// What is asked of each command that is carried out.
#[derive(Clone, Copy, Debug)]
struct Traits {
    /// Fewest arguments, the name included.
    args_min: u8,
    /// It may have more.
    more_args: bool,
    write: bool,
    loading: bool,
    blocking: bool,
    no_auth: bool,
}

impl Traits {
    const fn of(arity: i8, flags: &[&str]) -> Self {
        Self {
            args_min: arity.unsigned_abs(),
            more_args: arity < 0,
            write: contains(flags, b"write"),
            loading: contains(flags, b"loading"),
            blocking: contains(flags, b"blocking"),
            no_auth: contains(flags, b"no_auth"),
        }
    }
}

/// Whether one of these words is this one.
const fn contains(mut words: &[&str], word: &[u8]) -> bool {
    while let [first, rest @ ..] = words {
        if are_equal(first.as_bytes(), word) {
            return true;
        }
        words = rest;
    }
    false
}

const fn are_equal(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([first, rest @ ..], [second, others @ ..]) = (one, other) {
        if *first != *second {
            return false;
        }
        (one, other) = (rest, others);
    }
    one.is_empty() && other.is_empty()
}

macro_rules! commands {
    ($($variant:ident $name:literal $upper:literal $arity:literal [$($flag:literal)*] $keys:expr;)*) => {
        /// A command that the store knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is documented as the Redis command of its name")]
        pub enum Command { $($variant),* }

        impl Command {
            /// All commands in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            const SPECS: &[Spec] = &[
                $(Spec { name: $name, arity: $arity, flags: &[$($flag),*], keys: $keys }),*
            ];

            /// What their flags say, so that no words are compared while a command is carried out.
            const TRAITS: &[Traits] = &[$(const { Traits::of($arity, &[$($flag),*]) }),*];

            const PACKED: &[u64] = &[$(const { pack($upper).expect("3 to 8 letters") }),*];

            fn of_packed(name: u64) -> Option<Self> {
                match name {
                    $(packed if packed == Self::PACKED[Self::$variant as usize] => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

commands! {
    Ping "ping" b"PING" -1 ["fast"] (0, 0, 0);
    Echo "echo" b"ECHO" 2 ["loading" "stale" "fast"] (0, 0, 0);
    Quit "quit" b"QUIT" -1 ["noscript" "loading" "stale" "fast" "no_auth" "allow_busy"] (0, 0, 0);
    Select "select" b"SELECT" 2 ["loading" "stale" "fast"] (0, 0, 0);
    Hello "hello" b"HELLO" -1 ["noscript" "loading" "stale" "fast" "no_auth" "allow_busy"] (0, 0, 0);
    Auth "auth" b"AUTH" -2 ["noscript" "loading" "stale" "fast" "no_auth" "allow_busy"] (0, 0, 0);
    Client "client" b"CLIENT" -2 [] (0, 0, 0);
    Command "command" b"COMMAND" -1 ["loading" "stale"] (0, 0, 0);
    Info "info" b"INFO" -1 ["loading" "stale"] (0, 0, 0);
    Config "config" b"CONFIG" -2 [] (0, 0, 0);
    Reset "reset" b"RESET" 1 ["noscript" "loading" "stale" "fast" "no_auth" "allow_busy"] (0, 0, 0);
    Time "time" b"TIME" 1 ["loading" "stale" "fast"] (0, 0, 0);
    RPush "rpush" b"RPUSH" -3 ["write" "denyoom" "fast"] (1, 1, 1);
    LPush "lpush" b"LPUSH" -3 ["write" "denyoom" "fast"] (1, 1, 1);
    LPop "lpop" b"LPOP" -2 ["write" "fast"] (1, 1, 1);
    RPop "rpop" b"RPOP" -2 ["write" "fast"] (1, 1, 1);
    LLen "llen" b"LLEN" 2 ["readonly" "fast"] (1, 1, 1);
    LRange "lrange" b"LRANGE" 4 ["readonly"] (1, 1, 1);
    LRem "lrem" b"LREM" 4 ["write"] (1, 1, 1);
    LMove "lmove" b"LMOVE" 5 ["write" "denyoom"] (1, 2, 1);
    BLMove "blmove" b"BLMOVE" 6 ["write" "denyoom" "noscript" "blocking"] (1, 2, 1);
    BLPop "blpop" b"BLPOP" -3 ["write" "noscript" "blocking"] (1, -2, 1);
    BRPop "brpop" b"BRPOP" -3 ["write" "noscript" "blocking"] (1, -2, 1);
    HSet "hset" b"HSET" -4 ["write" "denyoom" "fast"] (1, 1, 1);
    HMSet "hmset" b"HMSET" -4 ["write" "denyoom" "fast"] (1, 1, 1);
    HGet "hget" b"HGET" 3 ["readonly" "fast"] (1, 1, 1);
    HMGet "hmget" b"HMGET" -3 ["readonly" "fast"] (1, 1, 1);
    HGetAll "hgetall" b"HGETALL" 2 ["readonly"] (1, 1, 1);
    HLen "hlen" b"HLEN" 2 ["readonly" "fast"] (1, 1, 1);
    HIncrBy "hincrby" b"HINCRBY" 4 ["write" "denyoom" "fast"] (1, 1, 1);
    HDel "hdel" b"HDEL" -3 ["write" "fast"] (1, 1, 1);
    Set "set" b"SET" -3 ["write" "denyoom"] (1, 1, 1);
    Get "get" b"GET" 2 ["readonly" "fast"] (1, 1, 1);
    Incr "incr" b"INCR" 2 ["write" "denyoom" "fast"] (1, 1, 1);
    IncrBy "incrby" b"INCRBY" 3 ["write" "denyoom" "fast"] (1, 1, 1);
    Del "del" b"DEL" -2 ["write"] (1, -1, 1);
    Exists "exists" b"EXISTS" -2 ["readonly" "fast"] (1, -1, 1);
    Type "type" b"TYPE" 2 ["readonly" "fast"] (1, 1, 1);
    DbSize "dbsize" b"DBSIZE" 1 ["readonly" "fast"] (0, 0, 0);
    FlushAll "flushall" b"FLUSHALL" -1 ["write"] (0, 0, 0);
    Multi "multi" b"MULTI" 1 ["noscript" "loading" "stale" "fast" "allow_busy"] (0, 0, 0);
    Exec "exec" b"EXEC" 1 ["noscript" "loading" "stale" "skip_slowlog"] (0, 0, 0);
    Discard "discard" b"DISCARD" 1 ["noscript" "loading" "stale" "fast" "allow_busy"] (0, 0, 0);
    Watch "watch" b"WATCH" -2 ["noscript" "loading" "stale" "fast" "allow_busy"] (1, -1, 1);
    Unwatch "unwatch" b"UNWATCH" 1 ["noscript" "loading" "stale" "fast" "allow_busy"] (0, 0, 0);
}

impl Command {
    /// The command of this name, in any case.
    pub fn find(name: &[u8]) -> Option<Self> {
        Self::find_likely(name, Self::Ping)
    }

    /// The same, found sooner if it is this one.
    #[inline]
    pub fn find_likely(name: &[u8], likely: Self) -> Option<Self> {
        let packed = pack(name)?;
        let found =
            if packed == Self::PACKED[likely as usize] { Some(likely) } else { Self::of_packed(packed) };
        found.filter(|command| command.spec().name.len() == name.len())
    }

    /// What there is to know about it.
    pub fn spec(self) -> &'static Spec {
        &Self::SPECS[self as usize]
    }

    fn traits(self) -> &'static Traits {
        &Self::TRAITS[self as usize]
    }

    /// Whether it needs no login.
    pub fn is_for_strangers(self) -> bool {
        self.traits().no_auth
    }

    /// Whether it may change data.
    pub fn is_write(self) -> bool {
        self.traits().write
    }

    /// Whether it needs no data.
    pub fn is_for_loading(self) -> bool {
        self.traits().loading
    }

    /// Whether its reply tells nothing of the data, so that it need not wait until they are durable.
    pub fn tells_no_data(self) -> bool {
        self == Self::Ping || (self.is_for_loading() && self != Self::Exec)
    }

    /// Whether it stands in the log as itself: it changes data and does not wait.
    pub fn is_logged(self) -> bool {
        self.is_write() && !self.traits().blocking
    }

    /// Whether the keyspace is known to carry it out by itself, so that nobody else need be asked: others are about
    /// transactions, waiting, the connection, or the server.
    pub fn is_of_keyspace(self) -> bool {
        let beside = matches!(
            self,
            Self::Multi | Self::Exec | Self::Discard | Self::Watch | Self::Unwatch | Self::Reset
        ) || matches!(self, Self::BLPop | Self::BRPop | Self::BLMove)
            || matches!(self, Self::Ping | Self::Echo | Self::Quit | Self::Select | Self::Hello | Self::Auth)
            || matches!(self, Self::Time | Self::Client | Self::Command | Self::Config | Self::Info);
        !beside
    }

    /// Whether it may have this many arguments, its name included.
    pub fn takes(self, args: usize) -> bool {
        let Traits { args_min, more_args, .. } = *self.traits();
        let least = usize::from(args_min);
        args == least || (args > least && more_args)
    }

    /// The keys that the command has changed when it has changed something. Those of `DEL` and `FLUSHALL`,
    /// which may change some and not others, are known before only.
    pub fn changed_keys(self, args: Args<'_>) -> impl Iterator<Item = &[u8]> {
        let count = match self {
            Self::Del | Self::FlushAll => 0,
            Self::LMove => 2,
            _ => 1,
        };
        args.iter().skip(1).take(count)
    }

    /// The key that got an element, if the command is one that pushes to a list: somebody may wait for it.
    pub fn pushed_key(self, args: Args<'_>) -> Option<&[u8]> {
        match self {
            Self::RPush | Self::LPush => args.get(1),
            Self::LMove | Self::BLMove => args.get(2),
            _ => None,
        }
    }
}

/// Letters of a name that are looked at together; longer names are two such pieces, which may overlap.
const PIECE: usize = 4;

/// A name of 3 to 8 letters as one number, upper case. Names of different lengths may give the same.
const fn pack(name: &[u8]) -> Option<u64> {
    if name.len() > 2 * PIECE {
        return None;
    }
    let packed = match (name, name.first_chunk::<PIECE>(), name.last_chunk::<PIECE>()) {
        (_, Some(first), Some(last)) => {
            (u32::from_le_bytes(*first) as u64) << 32 | u32::from_le_bytes(*last) as u64
        }
        ([a, b, c], ..) => u32::from_le_bytes([*a, *b, *c, 0]) as u64,
        _ => return None,
    };
    Some(packed & UPPER)
}

/// Without the bit by which small letters differ from capital ones.
const UPPER: u64 = !u64::from_le_bytes([0x20; 8]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_in_either_case_and_nothing_else_is() {
        for command in Command::ALL {
            let name = command.spec().name;
            assert_eq!(Command::find(name.as_bytes()), Some(*command));
            assert_eq!(Command::find(name.to_ascii_uppercase().as_bytes()), Some(*command));
            assert_eq!(
                Command::find(&name.as_bytes()[..name.len() - 1]),
                None,
                "{name} without its last letter"
            );
        }
        for name in [&b""[..], b"GETX", b"\0GET", b" GET", b"GET ", b"FLUSHALLL", b"G\x85T"] {
            assert_eq!(Command::find(name), None);
        }
    }

    #[test]
    fn a_likely_command_changes_nothing_about_what_is_found() {
        for likely in Command::ALL {
            for command in Command::ALL {
                let name = command.spec().name.as_bytes();
                assert_eq!(Command::find_likely(name, *likely), Some(*command));
                let twice = [name, name].concat();
                assert_eq!(Command::find_likely(&twice, *likely), None);
            }
        }
    }

    #[test]
    fn traits_are_what_flags_say() {
        for command in Command::ALL {
            let has = |flag| command.spec().flags.contains(&flag);
            let Traits { write, loading, blocking, no_auth, .. } = *command.traits();
            let flags = ["write", "loading", "blocking", "no_auth"].map(has);
            assert_eq!([write, loading, blocking, no_auth], flags, "{command:?}");
        }
    }

    #[test]
    fn arity_is_exact_or_a_minimum() {
        assert!(Command::Get.takes(2) && !Command::Get.takes(1) && !Command::Get.takes(3));
        assert!(Command::Del.takes(2) && Command::Del.takes(9) && !Command::Del.takes(1));
    }
}
