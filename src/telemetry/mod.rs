//! What an administrator sees of the process: logs, traces, metrics, and whether it is alive and ready.

pub mod health;
pub mod logs;
pub mod metrics;
mod process;
pub mod server;
mod standing;
pub mod traces;
