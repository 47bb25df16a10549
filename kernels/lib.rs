//! Numbers in, numbers out.

pub mod activation;
mod aligned;
pub mod attention;
mod compiled;
pub mod element;
mod exp;
pub mod glance;
mod lanes;
pub mod level;
pub mod linear;
pub mod norm;
mod product;
pub mod rotary;
#[cfg(target_arch = "x86_64")]
mod tiles;
pub mod yuv;
