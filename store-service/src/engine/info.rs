//! `INFO`: the sections and fields of Redis's that this store can fill in. Writes text, changes nothing.

use alloc::string::String;
use core::fmt::{self, Write};

use kernel_app::Context;
use wire::resp::{Args, write};

use super::Engine;
use crate::failure::Failure;
use crate::limits::CLIENTS_MAX;
use crate::session::Client;

/// The version of Redis whose replies are given.
pub const REDIS_VERSION: &str = "7.0.15";

type Section = fn(&mut String, &Engine, &Context<'_>) -> fmt::Result;

const SECTIONS: [(&str, Section); 7] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("Keyspace", keyspace),
];

/// `INFO`: all sections, or those that are named.
pub fn info(
    client: &mut Client,
    args: Args<'_>,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let mut text = String::new();
    for (name, section) in SECTIONS {
        let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let all = |word: &[u8]| ["default", "all", "everything"].iter().any(|name| is(word, name));
        if args.len() == 1 || args.iter().skip(1).any(|word| is(word, name) || all(word)) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}# {name}\r\n", if text.is_empty() { "" } else { "\r\n" });
            let _ = section(&mut text, engine, context);
        }
    }
    Ok(write::bulk(&mut client.replies, text.as_bytes())?)
}

fn server(text: &mut String, engine: &Engine, context: &Context<'_>) -> fmt::Result {
    let uptime = context.now.since(engine.started()).as_secs();
    write!(text, "redis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\n")?;
    write!(text, "server_name:voting-app store\r\nstore_version:{}\r\n", env!("CARGO_PKG_VERSION"))?;
    write!(text, "arch_bits:64\r\ntcp_port:{}\r\n", engine.port())?;
    write!(text, "server_time_usec:{}\r\n", context.unix_time.as_micros())?;
    write!(text, "uptime_in_seconds:{uptime}\r\nuptime_in_days:{}\r\n", uptime / 86_400)
}

fn clients(text: &mut String, engine: &Engine, _: &Context<'_>) -> fmt::Result {
    write!(text, "connected_clients:{}\r\nmaxclients:{CLIENTS_MAX}\r\n", engine.clients())?;
    write!(text, "blocked_clients:{}\r\n", engine.clients_blocked())
}

fn memory(text: &mut String, engine: &Engine, _: &Context<'_>) -> fmt::Result {
    let keyspace = engine.keyspace();
    write!(text, "used_memory:{}\r\nused_memory_dataset:{0}\r\n", keyspace.bytes())?;
    write!(text, "maxmemory:{}\r\nmaxmemory_policy:noeviction\r\n", keyspace.bytes_max())?;
    write!(text, "mem_clients_normal:{}\r\n", engine.clients_bytes())
}

fn persistence(text: &mut String, engine: &Engine, _: &Context<'_>) -> fmt::Result {
    write!(
        text,
        "loading:{}\r\nrdb_changes_since_last_save:{}\r\n",
        u8::from(engine.is_loading()),
        engine.keyspace().changes()
    )?;
    let Some(journal) = engine.journal() else { return write!(text, "aof_enabled:0\r\n") };
    let counts = journal.counts();
    let status = |ok: bool| if ok { "ok" } else { "err" };
    let compacting = u8::from(journal.is_compacting());
    write!(text, "aof_enabled:1\r\naof_rewrite_in_progress:{compacting}\r\n")?;
    write!(text, "aof_last_rewrite_time_sec:{}\r\n", counts.compaction_time.as_secs())?;
    write!(text, "aof_last_bgrewrite_status:{}\r\n", status(!journal.has_given_up()))?;
    write!(text, "aof_last_write_status:{}\r\n", status(journal.trouble().is_none()))?;
    write!(text, "aof_current_size:{}\r\n", journal.log_bytes())?;
    write!(text, "aof_base_size:{}\r\n", journal.snapshot_bytes())?;
    write!(text, "aof_buffer_length:{}\r\n", journal.gathered_bytes())
}

fn stats(text: &mut String, engine: &Engine, _: &Context<'_>) -> fmt::Result {
    let counts = engine.counts();
    write!(text, "total_connections_received:{}\r\n", counts.clients)?;
    write!(text, "total_commands_processed:{}\r\n", counts.calls.iter().sum::<u64>())?;
    write!(text, "rejected_connections:{}\r\n", counts.clients_refused)?;
    write!(text, "total_error_replies:{}\r\n", counts.errors)
}

fn replication(text: &mut String, _: &Engine, _: &Context<'_>) -> fmt::Result {
    write!(text, "role:master\r\nconnected_slaves:0\r\n")
}

fn keyspace(text: &mut String, engine: &Engine, _: &Context<'_>) -> fmt::Result {
    match engine.keyspace().len() {
        0 => Ok(()),
        keys => write!(text, "db0:keys={keys},expires=0,avg_ttl=0\r\n"),
    }
}
