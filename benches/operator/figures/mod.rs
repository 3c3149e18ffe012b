//! The figures in words: what each is, how it was measured, and what it is to be.

mod memory;

use std::time::Duration;

use crate::convergence::Converged;
use crate::edits::percentile;
use crate::floor::Shape;
use crate::progress::say;
use crate::report::{Report, median, number, numbers};
use crate::run::{Figures, Floor, Round};
use crate::{GROWTH, Size};

/// A quick run's figures are none: it leaves the documentation alone.
const QUICK_FILE: &str = "target/performance-quick.md";
const FILE: &str = "docs/performance.md";

/// Prints the figures, and writes them down.
pub(crate) fn tell(figures: &Figures, size: Size, facts: &[(&str, String)], took: Duration) {
    let mut report = Report::default();
    speed(&mut report, figures);
    cost(&mut report, figures);
    memory::tell(&mut report, figures, size);
    delay(&mut report, figures);
    growth(&mut report, figures);
    println!("{}", report.table());
    let mut facts = facts.to_vec();
    facts.push(("the whole run took", format!("{} s", took.as_secs())));
    let file = if size.is_quick { QUICK_FILE } else { FILE };
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(path, report.markdown(&intro(size), &facts)).unwrap();
    say(&format!("written to {file}"));
}

fn intro(size: Size) -> String {
    let quick = if size.is_quick { "**A quick run, to see that it works: its figures are none.**\n\n" } else { "" };
    let (resources, namespaces) = (size.resources, crate::content::NAMESPACES);
    format!(
        "{quick}Written by `make bench`: do not edit. All figures are of one run, on one machine that also runs all other parties
(etcd, kube-apiserver, the bench itself), so that they compare with each other rather than with those of another machine.

The operator is the release binary, a process of its own, for the whole cluster, with the ServiceAccount and the roles of
`deploy/` (`registry-sts-bundle` bound by a ClusterRoleBinding), its default flags (leader election among them), and `info` as what is logged. etcd and
kube-apiserver are those of [tests/controlplane](../tests/controlplane): real, on loopback, etcd without fsync. AWS is
played by the bench: STS and S3 answer at once, every step of a proof included. There are {resources} resources over
{namespaces} namespaces, each with a bundle of its own (a `config.yaml` of 2 KiB), {namespaces} keys and as many roles, one
per namespace, and one bucket."
    )
}

fn speed(report: &mut Report, figures: &Figures) {
    let rounds = &figures.rounds;
    let count = figures.created.resources;
    report.part("New resources");
    report.tell(
        "created while the operator runs",
        per_second(figures.created.per_second()),
        format!("{count} resources created by 64 tasks (their bundles are there), from before the first creation to the last Ready that a watch of the bench sees"),
    );
    let speeds: Vec<f64> = rounds.iter().map(|round| round.operator.per_second()).collect();
    report.tell(
        "present when the operator starts",
        per_second(median(&speeds)),
        format!("from its first request for a Secret or a status in the audit log to the last Ready that a watch sees; median of {} rounds: {}", speeds.len(), numbers(&speeds, "")),
    );
    for (what, floors) in [("the same requests", &rounds[0].same), ("two writes only", &rounds[0].writes)] {
        for Floor { at_once, per_second: floor } in floors {
            report.tell(
                format!("a bare client, {what}, {at_once} at once"),
                per_second(*floor),
                match what {
                    "the same requests" => "kube's client with a token of the operator's ServiceAccount, resources as new; for each the requests that the audit log of the operator's run has, one after the other, with the same bodies",
                    _ => "the same, only the patch of the bundle and of the status",
                },
            );
        }
    }
    let ratios: Vec<f64> = rounds.iter().map(ratio).collect();
    report.at_least(
        "operator : bare client with the same requests",
        (median(&ratios), 0.7),
        "",
        format!("resources present at the start (creating them is not the operator's work, and competes with it), against the bare client at its best in the same round; median of {} rounds: {}", ratios.len(), numbers(&ratios, "")),
    );
}

fn ratio(round: &Round) -> f64 {
    let best = round.same.iter().map(|floor| floor.per_second).fold(0.0, f64::max);
    round.operator.per_second() / best
}

fn per_second(value: f64) -> String {
    number(value, "resources/s")
}

fn cost(report: &mut Report, figures: &Figures) {
    let (first, created) = (&figures.rounds[0], &figures.created);
    report.part("What a new resource costs");
    let shape = first.shape;
    report.at_most(
        "requests to the API server, Events among them, beside one for each key",
        (shape.requests() - shape.key_reads, 4.0),
        "",
        format!(
            "audit log, the operator's credential, per resource, without its Lease and the keeping of watches; present at the start: {}",
            told(&shape)
        ),
    );
    report.tell("the same with the keys", number(shape.requests(), ""), "as above");
    let shape = Shape::of(&created.asked, created.resources);
    report.tell("created while it runs, without Events", number(shape.without_events(), ""), told(&shape));
    for (what, run) in [("present at the start", &first.operator), ("created while it runs", created)] {
        report.tell(
            format!("calls to STS in all, {what}"),
            run.sts_calls.to_string(),
            format!(
                "counted by the bench's AWS, for {} resources of {} roles (and {} calls to S3)",
                run.resources,
                crate::content::NAMESPACES,
                run.s3_calls
            ),
        );
        report.tell(
            format!("processor time per 1,000 resources, {what}"),
            number(run.cpu_seconds_per_thousand(), "s"),
            "utime and stime of /proc/PID/stat, until it is quiet",
        );
    }
    let settled = &figures.settled;
    report.tell(
        "a start with resources that are Ready",
        number(settled.seconds, "s"),
        format!(
            "from the first to the last request for one of {}; {} for each, {} calls to STS, {} of processor time",
            settled.resources,
            told(&Shape::of(&settled.asked, settled.resources)),
            settled.sts_calls,
            number(settled.cpu_seconds, "s")
        ),
    );
}

fn told(shape: &Shape) -> String {
    let Shape { key_reads, bundle_reads, bundle_writes, events, reports, others } = *shape;
    let kinds = [
        (key_reads, "GET key"),
        (bundle_reads, "GET bundle"),
        (bundle_writes, "PATCH bundle"),
        (reports, "PATCH status"),
        (events, "POST Event"),
        (others, "others"),
    ];
    let told = kinds.into_iter().filter(|(count, _)| *count > 0.0);
    told.map(|(count, kind)| format!("{} {kind}", number(count, ""))).collect::<Vec<_>>().join(", ")
}

fn mib(value: f64) -> String {
    number(value, "MiB")
}

fn delay(report: &mut Report, figures: &Figures) {
    let edits = &figures.edits;
    report.part("Delays");
    let how = format!(
        "{} edits of a key Secret, one after the other, 0.25 s apart (STS is asked 10 times a second at most, by default), {} other resources Ready: from before the request to the event of a watch that has the new key in the bundle; the key is proven meanwhile",
        edits.len(),
        figures.settled.resources
    );
    report.tell("an edited key is in the bundle, median", number(percentile(edits, 0.5), "ms"), how);
    report.at_most("the same, 99 of 100", (percentile(edits, 0.99), 100.0), "ms", "as above");
    report.tell("the same, the slowest", number(percentile(edits, 1.0), "ms"), "as above");
    let (term, kill) = (&figures.fail_over.after_term, &figures.fail_over.after_kill);
    let how = "two processes with leader election; a key is edited right after the signal; from the signal to the event of a watch that has the key in the bundle, written by the other as the audit log has it; each time";
    report.tell("fail-over after SIGTERM", numbers(term, "s"), how);
    report.tell(
        "fail-over after SIGKILL",
        numbers(kill, "s"),
        "as above; a lease that is not given up is taken 15 s after it last changed",
    );
}

fn growth(report: &mut Report, figures: &Figures) {
    let large = &figures.grown;
    let of = |which: fn(&Converged) -> f64| {
        let small: Vec<f64> = figures.rounds.iter().map(|round| which(&round.operator)).collect();
        (median(&small), which(large))
    };
    let times = GROWTH as f64;
    let count = figures.created.resources;
    report.part("Growth");
    let (small, grown) = of(|run| run.seconds);
    report.at_most(
        &format!("time for {GROWTH} times as many"),
        (grown / small, times),
        "times",
        format!(
            "{} for {count} new resources (median of the rounds) and {} for {}, present at the start in the same namespaces with the same keys, from the first request to the last Ready",
            number(small, "s"),
            number(grown, "s"),
            large.resources
        ),
    );
    let floor = &figures.grown_floor;
    let floors = figures.rounds.iter().flat_map(|round| &round.same);
    let floors: Vec<f64> =
        floors.filter(|small| small.at_once == floor.at_once).map(|small| count as f64 / small.per_second).collect();
    let floor_grown = large.resources as f64 / floor.per_second;
    report.tell(
        format!("the same of a bare client, {} at once", floor.at_once),
        number(floor_grown / median(&floors), "times"),
        format!(
            "{} and {}: how the control plane takes so many",
            number(median(&floors), "s"),
            number(floor_grown, "s")
        ),
    );
    report.at_least(
        &format!("operator : bare client, with {}", large.resources),
        (floor_grown / grown, 0.7),
        "",
        "the same",
    );
    let (small, grown) = of(|run| run.cpu_seconds);
    report.at_most(
        &format!("processor time for {GROWTH} times as many"),
        (grown / small, times),
        "times",
        format!("the same: {} and {}", number(small, "s"), number(grown, "s")),
    );
    let (small, grown) = of(|run| run.memory.now);
    let (own_small, own_grown) = of(|run| run.memory.own);
    report.at_most(
        &format!("memory for {GROWTH} times as many"),
        (grown / small, times),
        "times",
        format!(
            "the same: {} and {} VmRSS at the end, {} and {} of it RssAnon; that is {} for each resource that was added",
            mib(small),
            mib(grown),
            mib(own_small),
            mib(own_grown),
            number((own_grown - own_small) * 1024.0 / (large.resources - count) as f64, "KiB")
        ),
    );
    let shape = Shape::of(&large.asked, large.resources);
    report.tell("requests for each of as many, without Events", number(shape.without_events(), ""), told(&shape));
}
