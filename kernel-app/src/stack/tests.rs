//! The stack as its peers on a wire see it.

mod bench;
mod closing;
mod numbers;
mod resets;
