//! Nothing of its own: it names the crates that programs use.
