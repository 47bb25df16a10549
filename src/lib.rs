//! longsight answers questions about hours of video, with checked timestamps.
//!
//! The modules stand in the order in which the data flows; each takes what the ones above it give.
//! ARCHITECTURE.md has one section for each.

// a folder of videos + questions -> one answer a line, resumable
pub mod batch;
// the protocols of `longsight bench`
pub mod bench;
// the command line; the only module that prints, reads the environment or exits
pub mod cli;
// visual tokens -> fewer of them
pub mod compress;
// file -> packets -> frames, each with its exact presentation time
pub mod decode;
// answer text + frames seen -> spans snapped to real frame times, status, coverage
pub mod evidence;
// spans of a file -> pictures of them, on one sheet or each alone
pub mod excerpt;
// sequence + visual tokens -> answer text
pub mod generate;
// what was seen of a video -> the same in another process
pub mod index;
// queries and keys of a prompt's chunk -> the part of attention that matters
pub mod prefill;
// a question in words -> what to look for, and when
pub mod question;
// question + chat template + visual layout -> token sequence
pub mod prompt;
// TOML -> options -> plan
pub mod recipe;
// scenes, moments or answers -> bytes of an output format
pub mod render;
// plan -> threads, channels, events -> answer
pub mod run;
// container facts + wishes -> the times to look at
pub mod sample;
// every frame, seen cheaply -> cuts -> scenes
pub mod scenes;
// a checkpoint beside a reference -> the differences
pub mod verify;
// chosen frames -> visual tokens, in chunks, so that memory does not grow with the video
pub mod vision;
