//! Clients that people use with Redis, on our store: `redis-cli`, `redis-benchmark`, redis-py, the `redis` crate.
//!
//! They make their ordinary calls of the commands that the store has. What a Redis answers is compared in
//! `differential`.

mod benchmark;
mod cli;
mod python;
mod rust_crate;
