//! Numbers in, numbers out.

pub mod activation;
pub mod attention;
mod exp;
pub mod glance;
pub mod level;
