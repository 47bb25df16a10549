//! Numbers in, numbers out.

pub mod glance;
