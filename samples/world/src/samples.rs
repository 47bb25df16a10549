//! The demo clips.
