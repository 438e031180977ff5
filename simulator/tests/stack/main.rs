//! The stack as its peers on a wire see it.

mod bench;
mod closing;
mod finding;
mod full_ring;
mod hearing;
mod moving;
mod names;
mod narrow;
mod numbers;
mod offload;
mod resets;
