//! Settings and the addresses in them: nothing panics, and what is accepted means what it says.

use kernel_app::settings::VALUE_BYTES_MAX;
use kernel_app::{Settings, Target};

const TEXT_BYTES_MAX: usize = 64;

/// The input is lines of `NAME=VALUE`.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let settings = Settings::from_pairs(text.split('\n').filter_map(|line| line.split_once('=')));
    if let Ok(port) = settings.port("PORT", 8080) {
        let given = settings.get("PORT").unwrap_or("8080");
        assert_eq!(given.trim_start_matches(['+', '0']), port.to_string());
    }
    if let Ok(text) = settings.text("OPTION_A", "Cats", TEXT_BYTES_MAX) {
        assert!(text.len() <= TEXT_BYTES_MAX.min(VALUE_BYTES_MAX) && !text.chars().any(char::is_control));
    }
    let target = settings.target("REDIS_URL", "redis://store", "redis", 6379, "resp");
    let written = match &target {
        Ok(Target::Host { host, port }) => {
            assert!(*port != 0 && !host.is_empty() && !host.contains([':', '/', '@', ' ']), "{host}:{port}");
            format!("redis://{host}:{port}")
        }
        Ok(Target::Memory { service, .. }) => format!("memory://{service}"),
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.contains('\n') && shown.starts_with("REDIS_URL="), "{shown}");
            return;
        }
    };
    let again = Settings::from_pairs([("REDIS_URL", written)]);
    assert_eq!(again.target("REDIS_URL", "", "redis", 6379, "resp"), target);
}
