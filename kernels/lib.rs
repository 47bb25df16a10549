//! Numbers in, numbers out.

pub mod attention;
