//! `CLIENT`, `COMMAND` and `CONFIG`: commands whose first argument selects a subcommand.
//!
//! It has only those subcommands that clients send when they connect.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use wire::Buffer;
use wire::resp::{Args, write};

use super::Engine;
use crate::command::Command;
use crate::failure::Failure;
use crate::limits::CLIENTS_MAX;
use crate::session::{Client, arguments_text, text_of};

/// Whether a command has subcommands.
#[inline]
fn has_any(command: Command) -> bool {
    matches!(command, Command::Client | Command::Command | Command::Config)
}

/// Subcommands with their number of arguments, the command's name included; negative: at least as many.
fn known(command: Command) -> &'static [(&'static str, i8)] {
    match command {
        Command::Client => &[("id", 2), ("getname", 2), ("setname", 3), ("setinfo", 4)],
        Command::Command => &[("count", 2), ("docs", -2), ("info", -2), ("list", -2)],
        Command::Config => &[("get", -3)],
        _ => &[],
    }
}

/// Whether a command that has subcommands has this one, with this number of arguments.
///
/// # Errors
/// The error reply, in Redis's words.
#[inline]
pub fn check(command: Command, args: Args<'_>) -> Result<(), Vec<u8>> {
    match args.get(1) {
        Some(name) if has_any(command) => check_name(command, name, args),
        _ => Ok(()),
    }
}

#[inline(never)]
fn check_name(command: Command, name: &[u8], args: Args<'_>) -> Result<(), Vec<u8>> {
    let known = known(command);
    let parent = command.spec().name;
    let Some((name, arity)) = known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))
    else {
        let hint = format!("'. Try {} HELP.", parent.to_uppercase());
        return Err([b"ERR unknown subcommand '", text_of(name, 128), hint.as_bytes()].concat());
    };
    let count = usize::from(arity.unsigned_abs());
    if if *arity < 0 { args.len() >= count } else { args.len() == count } {
        Ok(())
    } else {
        Err(format!("ERR {}", arguments_text(&format!("{parent}|{name}"))).into_bytes())
    }
}

fn is(args: Args<'_>, name: &str) -> bool {
    args[1].eq_ignore_ascii_case(name.as_bytes())
}

/// `CLIENT ID`, `GETNAME`, `SETNAME`, and `SETINFO`, which is accepted and forgotten.
pub fn client(client: &mut Client, args: Args<'_>) -> Result<(), Failure> {
    if is(args, "id") {
        let number = i64::try_from(client.number).unwrap_or(i64::MAX);
        return Ok(write::integer(&mut client.replies, number)?);
    }
    if is(args, "getname") {
        return match client.name.is_empty() {
            true => Ok(write::null(&mut client.replies)?),
            false => Ok(write::bulk(&mut client.replies, &client.name)?),
        };
    }
    if is(args, "setname") && !client.rename(&args[2]) {
        return Err(Failure::ClientName);
    }
    Ok(write::simple(&mut client.replies, b"OK")?)
}

/// `COMMAND`, `COMMAND COUNT`, `LIST`, `INFO`, and `DOCS`, of which there are none.
pub fn command(client: &mut Client, args: Args<'_>) -> Result<(), Failure> {
    let out = &mut client.replies;
    let all = Command::ALL;
    if args.len() == 1 || (is(args, "info") && args.len() == 2) {
        write::array(out, all.len())?;
        return all.iter().try_for_each(|command| describe(out, *command));
    }
    if is(args, "count") {
        return Ok(write::length(out, all.len())?);
    }
    if is(args, "docs") {
        return Ok(write::array(out, 0)?);
    }
    if is(args, "list") {
        if args.len() > 2 {
            // There are no filters.
            return Err(Failure::Syntax);
        }
        write::array(out, all.len())?;
        return all.iter().try_for_each(|command| Ok(write::bulk(out, command.spec().name.as_bytes())?));
    }
    write::array(out, args.len() - 2)?;
    args.iter().skip(2).try_for_each(|name| match Command::find(name) {
        Some(command) => describe(out, command),
        None => Ok(write::null(out)?),
    })
}

/// The ten parts of Redis 7's answer; categories, tips, key specifications and subcommands are empty.
fn describe(out: &mut Buffer, command: Command) -> Result<(), Failure> {
    let spec = command.spec();
    write::array(out, 10)?;
    write::bulk(out, spec.name.as_bytes())?;
    write::integer(out, spec.arity.into())?;
    write::array(out, spec.flags.len())?;
    spec.flags.iter().try_for_each(|flag| write::simple(out, flag.as_bytes()))?;
    let (first, last, step) = spec.keys;
    [first, last, step].iter().try_for_each(|number| write::integer(out, i64::from(*number)))?;
    for _ in 0..4 {
        write::array(out, 0)?;
    }
    Ok(())
}

/// `CONFIG GET`: the few parameters that there are, by glob patterns.
pub fn config(client: &mut Client, args: Args<'_>, engine: &Engine) -> Result<(), Failure> {
    let parameters = [
        ("save", String::new()),
        ("appendonly", if engine.journal().is_some() { "yes" } else { "no" }.to_string()),
        ("maxmemory", engine.keyspace().bytes_max().to_string()),
        ("maxmemory-policy", "noeviction".to_string()),
        ("maxclients", CLIENTS_MAX.to_string()),
        ("databases", "1".to_string()),
        ("timeout", "0".to_string()),
        ("port", engine.port().to_string()),
        ("proto-max-bulk-len", wire::resp::COMMAND_BYTES_MAX.to_string()),
    ];
    let wanted = |name: &str| args.iter().skip(2).any(|pattern| glob_matches(pattern, name.as_bytes()));
    let found: Vec<_> = parameters.iter().filter(|(name, _)| wanted(name)).collect();
    let out = &mut client.replies;
    write::array(out, found.len() * 2)?;
    found.iter().try_for_each(|(name, value)| {
        write::bulk(out, name.as_bytes())?;
        Ok(write::bulk(out, value.as_bytes())?)
    })
}

/// Whether `pattern`, in which `*` stands for anything and `?` for one byte, matches in any case.
fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern_at, mut text_at) = (0, 0);
    // Where to go on when what followed the last star did not match: one byte further.
    let mut retry = None;
    loop {
        match (pattern.get(pattern_at), text.get(text_at)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                retry = Some((pattern_at + 1, text_at));
                pattern_at += 1;
                continue;
            }
            (Some(wanted), Some(byte)) if *wanted == b'?' || wanted.eq_ignore_ascii_case(byte) => {
                pattern_at += 1;
                text_at += 1;
                continue;
            }
            _ => {}
        }
        match retry {
            Some((after_star, start)) if start < text.len() => {
                retry = Some((after_star, start + 1));
                (pattern_at, text_at) = (after_star, start + 1);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_globs_do() {
        for (pattern, text) in [("maxm*", "maxmemory"), ("*", ""), ("*mem*y", "maxmemory"), ("S?ve", "save")]
        {
            assert!(glob_matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [("max", "maxmemory"), ("*x", "maxmemory"), ("?", ""), ("a*b*c", "aXbX")] {
            assert!(!glob_matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        // Many stars cost no more than pattern times text.
        assert!(!glob_matches(&b"*a".repeat(1000), &b"a".repeat(999)));
    }
}
