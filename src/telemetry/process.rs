//! What the kernel and tokio say of the process, asked at each scrape.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use tokio::runtime::Handle;

/// Linux counts CPU time and starts in hundredths of a second, on every architecture that it runs on.
const TICKS: f64 = 100.0;
/// `/proc/self/status` counts memory in these.
const STATUS_KIB: f64 = 1024.0;

/// Asks the kernel and tokio.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) runtime: Handle,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(seen) = Seen::now() {
            let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: f64| {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
            };
            gauge("process_resident_memory", "Memory that is resident", Some(&Unit::Bytes), seen.resident)?;
            gauge("process_open_fds", "File descriptors that are open", None, seen.open_files)?;
            gauge("process_threads", "Threads", None, seen.threads)?;
            gauge("process_start_time", "Start of the process since the epoch", Some(&Unit::Seconds), seen.started)?;
            let cpu = ConstCounter::new(seen.cpu);
            let help = "User and system CPU time spent";
            cpu.encode(encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), cpu.metric_type())?)?;
        }
        let tokio = self.runtime.metrics();
        for (name, help, value) in [
            ("tokio_workers", "Worker threads of the runtime", tokio.num_workers()),
            ("tokio_alive_tasks", "Tasks of the runtime that have not ended", tokio.num_alive_tasks()),
            ("tokio_global_queue_depth", "Tasks that wait for a worker", tokio.global_queue_depth()),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

struct Seen {
    resident: f64,
    threads: f64,
    open_files: f64,
    cpu: f64,
    started: f64,
}

impl Seen {
    /// What `/proc` says; nothing where there is none.
    fn now() -> Option<Self> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{file}")).ok();
        let (stat, status, system) = (read("self/stat")?, read("self/status")?, read("stat")?);
        let open_files = std::fs::read_dir("/proc/self/fd").ok()?.count();
        Self::read(&stat, &status, &system, u32::try_from(open_files).ok()?)
    }

    fn read(stat: &str, status: &str, system: &str, open_files: u32) -> Option<Self> {
        // The program's name stands in parentheses, and may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<f64> = fields.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        let number = |text: &str, name: &str| -> Option<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
        };
        // Fields 14, 15 and 22 of proc(5), counted from the fourth.
        let field = |number: usize| fields.get(number - 4).map(|ticks| ticks / TICKS);
        Some(Self {
            resident: number(status, "VmRSS")? * STATUS_KIB,
            threads: number(status, "Threads")?,
            open_files: open_files.into(),
            cpu: field(14)? + field(15)?,
            started: number(system, "btime")? + field(22)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_read_whatever_the_program_is_called() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 5 0 1000 1 2 3";
        let status = "Name:\ta\nVmRSS:\t   2048 kB\nThreads:\t5\n";
        let seen = Seen::read(stat, status, "cpu 1 2\nbtime 1700000000\n", 9).unwrap();
        let told = [seen.resident, seen.threads, seen.open_files, seen.cpu, seen.started].map(|n| n.to_string());
        assert_eq!(told, ["2097152", "5", "9", "3", "1700000010"]);
        assert!(Seen::read("", status, "", 0).is_none());
    }
}
