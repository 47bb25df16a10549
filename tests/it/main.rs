//! Integration tests: the library and the command as users meet them. One binary, so that it links once.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "skipped tests say why")]

#[path = "../support/mod.rs"]
mod support;

mod apart;
mod ask;
mod batch;
mod defects;
mod describe;
mod evidence;
mod follow;
mod frames;
mod handover;
mod hostile;
mod index;
mod model_command;
mod model_numbers;
mod plan;
mod public;
mod scenes;
mod schemas;
mod stretches;
mod tools;
