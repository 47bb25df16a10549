//! Numbers in, numbers out.

pub mod activation;
pub mod attention;
pub mod element;
mod exp;
pub mod glance;
mod lanes;
pub mod level;
pub mod linear;
mod product;
pub mod yuv;
