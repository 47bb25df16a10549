//! Layers that families share.

pub(crate) mod attention;
