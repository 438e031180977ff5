//! What a store is told first on each connection: who asks, and for which database.
//!
//! Sends nothing by itself and reads no replies.

use alloc::string::String;

use wire::resp::Digits;

use crate::secret::Secret;

/// The beginning of every conversation with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLogin {
    /// The setting that says so, for messages.
    pub setting: &'static str,
    /// Another user than `default` (Redis's ACLs); counts only with a password.
    pub user: Option<String>,
    /// The password, if the store wants one.
    pub password: Option<Secret>,
    /// The database; 0 needs no asking.
    pub database: u32,
}

impl Default for StoreLogin {
    fn default() -> Self {
        Self { setting: "REDIS_URL", user: None, password: None, database: 0 }
    }
}

impl StoreLogin {
    /// One with this password, if any, and nothing else.
    pub fn with_password(password: Option<Secret>) -> Self {
        Self { password, ..Self::default() }
    }

    /// Hands over the commands, in order: `AUTH` and `SELECT`, as far as they are needed.
    pub(super) fn commands(&self, mut send: impl FnMut(&[&[u8]])) {
        match (&self.user, &self.password) {
            (_, None) => {}
            (None, Some(password)) => send(&[b"AUTH", password.as_bytes()]),
            (Some(user), Some(password)) => send(&[b"AUTH", user.as_bytes(), password.as_bytes()]),
        }
        if self.database > 0 {
            send(&[b"SELECT", Digits::of_u64(self.database.into()).as_bytes()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn commands(login: &StoreLogin) -> Vec<Vec<u8>> {
        let mut commands = Vec::new();
        login.commands(|args| commands.push(args.join(&b' ')));
        commands
    }

    #[test]
    fn only_what_is_needed_is_said() {
        let password = || Secret::new(b"open");
        assert_eq!(commands(&StoreLogin::default()), [&[0_u8; 0]; 0]);
        assert_eq!(commands(&StoreLogin::with_password(password())), [b"AUTH open"]);
        let user = Some("me".into());
        let login = StoreLogin { user: user.clone(), database: 3, ..StoreLogin::with_password(password()) };
        assert_eq!(commands(&login), [&b"AUTH me open"[..], b"SELECT 3"]);
        let login = StoreLogin { user, ..StoreLogin::default() };
        assert_eq!(commands(&login), [&[0_u8; 0]; 0]);
    }
}
