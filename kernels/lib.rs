//! Numbers in, numbers out.

pub mod attention;
pub mod glance;
