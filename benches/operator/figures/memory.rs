//! Memory, also among foreign Secrets, and the size of the binary.

use super::mib;
use crate::Size;
use crate::convergence::Converged;
use crate::operator::{Memory, binary};
use crate::report::{Report, number, numbers};
use crate::run::Figures;

pub(super) fn tell(report: &mut Report, figures: &Figures, size: Size) {
    report.part("Memory and size");
    let told = |memory: &Memory| {
        let Memory { own, peak, .. } = *memory;
        format!("{} of it RssAnon, the rest mostly the binary; VmHWM {}", mib(own), mib(peak))
    };
    let idle = &figures.idle;
    report.at_most(
        "nothing to do",
        (idle.now, 15.0),
        "MiB",
        format!("VmRSS of /proc/PID/status, 5 s after the start, no resource; {}", told(idle)),
    );
    let runs = [
        ("created while it ran", &figures.created),
        ("present and new at the start", &figures.rounds[0].operator),
        ("present and Ready at the start", &figures.settled),
    ];
    for (what, run) in runs {
        report.at_most(
            &format!("{} resources, {what}", run.resources),
            (run.memory.now, 30.0),
            "MiB",
            format!("VmRSS once it has asked nothing for 2 s; {}", told(&run.memory)),
        );
    }
    foreign(report, figures, size);
    let size = std::fs::metadata(binary()).unwrap().len() as f64 / 1024.0 / 1024.0;
    report.at_most(
        "the binary",
        (size, 20.0),
        "MiB",
        "target/release/registry-sts as `make build` leaves it, stripped",
    );
}

fn foreign(report: &mut Report, figures: &Figures, size: Size) {
    let (alone, among) = (&figures.alone, &figures.among_foreign);
    let count = size.large + size.small;
    let peak: fn(&Memory) -> f64 = |memory| memory.peak;
    let how = format!(
        "mean VmHWM of two starts with {} resources that are Ready, against that of two without foreign Secrets; {} have 32 KiB, half of them once more in kubectl's annotation, {} are small, and all are in the resources' namespaces",
        figures.settled.resources, size.large, size.small
    );
    for (what, which, how) in [
        ("at the peak", peak, how.as_str()),
        ("after the start", |memory| memory.now, "the same with VmRSS, once it has asked nothing for 2 s"),
    ] {
        let of = |runs: &[Converged]| runs.iter().map(|run| which(&run.memory)).collect::<Vec<f64>>();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (without, with) = (of(alone), of(among));
        report.at_most(
            &format!("added by {count} foreign Secrets, {what}"),
            (mean(&with) - mean(&without), 3.0),
            "MiB",
            format!("{how}: {}, and {} without", numbers(&with, "MiB"), numbers(&without, "MiB")),
        );
    }
    let firsts = |runs: &[Converged]| runs.iter().map(|run| run.to_first_pass).collect::<Vec<f64>>();
    let (with, without) = (firsts(among), firsts(alone));
    report.at_most(
        "from the start to the first pass among them",
        (with.iter().copied().fold(0.0, f64::max), 2.0),
        "s",
        format!(
            "the slower of a start and another one, from before the process is started to its first request for a Secret or a status in the audit log: {}; without foreign Secrets {}",
            numbers(&with, "s"),
            numbers(&without, "s")
        ),
    );
    let passes = |runs: &[Converged]| runs.iter().map(|run| run.seconds).collect::<Vec<f64>>();
    report.tell(
        "from the first pass to the last among them",
        numbers(&passes(among), "s"),
        format!("first and last of such requests; without foreign Secrets {}", numbers(&passes(alone), "s")),
    );
    let cpu = |runs: &[Converged]| runs.iter().map(|run| run.cpu_seconds).collect::<Vec<f64>>();
    report.tell(
        "processor time of a start among them",
        numbers(&cpu(among), "s"),
        format!("until it is quiet; without foreign Secrets {}", numbers(&cpu(alone), "s")),
    );
    let [before, after] = figures.servers;
    for (server, before, after) in [("etcd", before[0], after[0]), ("kube-apiserver", before[1], after[1])] {
        report.tell(
            format!("{server} without and with them"),
            format!("{}, {}", number(before.now, ""), mib(after.now)),
            "VmRSS, after the operator's starts; etcd has its default quota of 2 GiB",
        );
    }
}
