//! Numbers in, numbers out.

pub mod activation;
mod aligned;
pub mod attention;
pub mod cluster;
mod compiled;
#[cfg(any(test, feature = "cuda"))]
pub mod cuda;
pub mod element;
mod exp;
pub mod gather;
pub mod glance;
mod lanes;
pub mod level;
pub mod linear;
#[cfg(test)]
mod noise;
pub mod norm;
#[cfg(any(test, feature = "cuda"))]
pub mod patchify;
mod product;
pub mod quantize;
pub mod rotary;
#[cfg(target_arch = "x86_64")]
mod tiles;
pub mod yuv;
