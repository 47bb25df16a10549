//! Vision-language model families.
