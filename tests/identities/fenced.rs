//! fenced
