//! That something is going on, on a terminal, once it takes a while.

use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::pin::pin;
use std::time::{Duration, Instant};

/// What takes less than this is not announced.
const PATIENCE: Duration = Duration::from_secs(2);

/// Does the work; meanwhile one line on stderr says what, and for how long.
pub(super) async fn shown<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    let mut work = pin!(work);
    let (started, mut ticks) = (Instant::now(), tokio::time::interval(Duration::from_secs(1)));
    let mut is_shown = false;
    loop {
        tokio::select! {
            done = &mut work => {
                if is_shown {
                    draw("\r\x1b[K");
                }
                return done;
            }
            _ = ticks.tick() => {
                let elapsed = started.elapsed();
                if elapsed >= PATIENCE {
                    is_shown = true;
                    draw(&format!("\r\x1b[K{what} … {} s", elapsed.as_secs()));
                }
            }
        }
    }
}

fn draw(text: &str) {
    let mut stderr = std::io::stderr();
    // Where the terminal is gone nobody is left to tell.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
