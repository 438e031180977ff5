//! Interoperation with Docker's original, dockersamples/example-voting-app: each of its programs in our application,
//! and each of ours in its own.
//!
//! `stand_ins` says to our programs what the original's say to theirs, by clients of the same make; it always runs.
//! `pairs` runs the original itself, from a checkout that the environment names.

mod original;
mod pairs;
mod services;
mod stand_ins;
