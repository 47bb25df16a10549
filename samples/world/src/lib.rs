//! The generated world.
