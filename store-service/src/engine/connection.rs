//! The commands about the connection itself. They touch no data.

use kernel_app::Context;
use kernel_app::secret::Secret;
use wire::resp::{Args, Digits, parse_integer, write};

use super::info::REDIS_VERSION;
use crate::command::Command;
use crate::failure::Failure;
use crate::session::{Client, text_of};

/// `PING`.
pub fn ping(client: &mut Client, args: Args<'_>) -> Result<(), Failure> {
    match args.get(1) {
        None => Ok(write::simple(&mut client.replies, b"PONG")?),
        Some(_) if args.len() > 2 => Err(Failure::Arguments),
        Some(text) => Ok(write::bulk(&mut client.replies, text)?),
    }
}

/// `QUIT`: `OK`, and then the end.
pub fn quit(client: &mut Client) -> Result<(), Failure> {
    client.closing = true;
    Ok(write::simple(&mut client.replies, b"OK")?)
}

/// `SELECT`: there is database 0.
pub fn select(client: &mut Client, args: Args<'_>) -> Result<(), Failure> {
    let index = parse_integer(&args[1]).ok_or(Failure::NotAnInteger)?;
    match i32::try_from(index) {
        Ok(0) => Ok(write::simple(&mut client.replies, b"OK")?),
        Ok(_) => Err(Failure::DbIndex),
        Err(_) => Err(Failure::DbOutOfRange),
    }
}

/// `AUTH`: there is one user, `default`, with the store's password; without one, any lets in.
pub fn auth(client: &mut Client, args: Args<'_>, password: Option<&Secret>) -> Result<(), Failure> {
    match args.len() {
        2 if password.is_none() => return Err(Failure::NoPassword),
        2 => log_in(client, b"default", &args[1], password)?,
        3 => log_in(client, &args[1], &args[2], password)?,
        _ => return Err(Failure::Syntax),
    }
    Ok(write::simple(&mut client.replies, b"OK")?)
}

fn log_in(client: &mut Client, user: &[u8], given: &[u8], password: Option<&Secret>) -> Result<(), Failure> {
    if user != b"default" || password.is_some_and(|password| !password.is(given)) {
        return Err(Failure::WrongPassword);
    }
    client.logged_in = true;
    Ok(())
}

/// Whether the client must log in before this command.
pub fn is_locked(client: &Client, command: Command, password: Option<&Secret>) -> bool {
    password.is_some() && !client.logged_in && !command.is_for_strangers()
}

/// `TIME`: seconds and microseconds of the wall clock.
pub fn time(client: &mut Client, context: &Context<'_>) -> Result<(), Failure> {
    let out = &mut client.replies;
    write::array(out, 2)?;
    write::bulk(out, Digits::of_u64(context.unix_time.as_secs()).as_bytes())?;
    write::bulk(out, Digits::of_u64(context.unix_time.subsec_micros().into()).as_bytes())?;
    Ok(())
}

/// `HELLO`: what follows is RESP2 or RESP3.
pub fn hello(client: &mut Client, args: Args<'_>, password: Option<&Secret>) -> Result<(), Failure> {
    let is_resp3 = match args.get(1).map(parse_integer) {
        None => client.is_resp3,
        Some(Some(2)) => false,
        Some(Some(3)) => true,
        Some(Some(_)) => return Err(Failure::NoProtocol),
        Some(None) => return Err(Failure::ProtocolNotANumber),
    };
    let mut at = 2;
    while at < args.len() {
        let option = &args[at];
        let left = args.len() - at - 1;
        if left >= 2 && option.eq_ignore_ascii_case(b"AUTH") {
            log_in(client, &args[at + 1], &args[at + 2], password)?;
            at += 3;
        } else if left >= 1 && option.eq_ignore_ascii_case(b"SETNAME") {
            // At once, also when an option that follows is refused.
            if !client.rename(&args[at + 1]) {
                return Err(Failure::ClientName);
            }
            at += 2;
        } else {
            let option = text_of(option, option.len());
            client.error(&[b"ERR Syntax error in HELLO option '", option, b"'"]);
            return Ok(());
        }
    }
    if password.is_some() && !client.logged_in {
        return Err(Failure::HelloWithoutPassword);
    }
    client.is_resp3 = is_resp3;
    describe_server(client)
}

fn describe_server(client: &mut Client) -> Result<(), Failure> {
    let number = i64::try_from(client.number).unwrap_or(i64::MAX);
    let protocol = if client.is_resp3 { 3 } else { 2 };
    let out = &mut client.replies;
    write::array(out, 14)?;
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        write::bulk(out, name.as_bytes())?;
        write::bulk(out, value.as_bytes())?;
    }
    for (name, value) in [("proto", protocol), ("id", number)] {
        write::bulk(out, name.as_bytes())?;
        write::integer(out, value)?;
    }
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        write::bulk(out, name.as_bytes())?;
        write::bulk(out, value.as_bytes())?;
    }
    write::bulk(out, b"modules")?;
    Ok(write::array(out, 0)?)
}
