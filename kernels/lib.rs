//! Numbers in, numbers out.

pub mod activation;
mod aligned;
pub mod attention;
pub mod element;
mod exp;
pub mod glance;
mod lanes;
pub mod level;
pub mod linear;
mod product;
pub mod quantize;
#[cfg(target_arch = "x86_64")]
mod tiles;
pub mod yuv;
