use super::*;

const BUNDLE: &str = "bundle";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn written(seconds: i64) -> Bundle<'static> {
    Bundle { name: BUNDLE, written: Some(at(seconds)), changed: Some(at(seconds)), of_before: None }
}

fn runners(are_rolled: bool) -> Runners {
    let runner = Runner { kind: WorkloadKind::Deployment, name: "quay".into(), is_optional: false };
    Runners { workloads: vec![runner], are_rolled, blocked: None }
}

fn pod(seconds: i64) -> PodSeen {
    PodSeen { uid: format!("created at {seconds}"), created: at(seconds), rolled_for: None }
}

fn workload(pods: &[PodSeen]) -> WorkloadSeen {
    WorkloadSeen {
        mounts: [BUNDLE.to_owned()].into(),
        is_complete: true,
        pods: pods.to_vec(),
        ..WorkloadSeen::default()
    }
}

fn reason(runs: &Runs) -> Option<Reason> {
    match runs {
        Runs::Current(_) => None,
        Runs::NotYet(failure) | Runs::Unknown(failure) => Some(failure.reason),
    }
}

#[test]
fn quay_runs_what_was_written_once_no_pod_is_older_and_every_one_is_available() {
    let judged = |workload: WorkloadSeen| reason(&judge(&runners(false), written(5), &[Reference::Found(workload)]));
    assert_eq!(judged(workload(&[pod(6), pod(7)])), None);
    assert_eq!(judged(workload(&[pod(6), pod(5)])), Some(Reason::RollingOut), "created in the very second");
    assert_eq!(judged(workload(&[pod(6), pod(4)])), Some(Reason::RollingOut));
    assert_eq!(judged(WorkloadSeen { is_complete: false, ..workload(&[pod(6)]) }), Some(Reason::RollingOut));
    assert_eq!(judged(workload(&[])), None, "who is scaled down runs nothing old");
    let there = ["created at 5".to_owned()].into();
    let looked = |there| {
        let bundle = Bundle { of_before: Some(there), ..written(5) };
        reason(&judge(&runners(false), bundle, &[Reference::Found(workload(&[pod(5)]))]))
    };
    assert_eq!(looked(&there), Some(Reason::RollingOut), "it was there right after the write");
    assert_eq!(looked(&BTreeSet::new()), None, "it came in the same second, but later");
}

#[test]
fn of_a_bundle_that_nobody_here_wrote_it_is_known_only_if_no_pod_is_older_than_it() {
    let never = Bundle { written: None, ..written(0) };
    let judged = |pod: PodSeen| reason(&judge(&runners(false), never, &[Reference::Found(workload(&[pod]))]));
    assert_eq!(judged(pod(1)), None);
    assert_eq!(judged(pod(-9)), Some(Reason::NothingWritten));
}

#[test]
fn pods_that_mount_what_was_rendered_are_known_by_what_that_has_and_not_by_their_age() {
    let judged = |has_it: bool, pod: PodSeen| {
        let workload = WorkloadSeen { has_it: Some(has_it), ..workload(&[pod]) };
        reason(&judge(&runners(false), written(5), &[Reference::Found(workload)]))
    };
    assert_eq!(judged(true, pod(1)), None, "it was undone and put right within a minute, and never rolled");
    assert_eq!(judged(false, pod(9)), Some(Reason::RollingOut), "a drained pod came back from the old template");
}

#[test]
fn what_has_pods_of_before_is_rolled_once_for_a_write_whoever_asks() {
    let rolled = |write: Bundle<'_>, workload: &WorkloadSeen| {
        rolls(&runners(true), write, &[Reference::Found(workload.clone())])
    };
    let old = workload(&[pod(4)]);
    let roll = rolled(written(5), &old);
    assert_eq!(roll.len(), 1);
    let name = roll[0].name.clone();
    // The template says so, and its pods follow: one of the very second is known by it.
    let rolling = WorkloadSeen { rolled_for: Some(name.clone()), is_complete: false, ..old.clone() };
    assert_eq!(rolled(written(5), &rolling), []);
    assert_eq!(reason(&judge(&runners(true), written(5), &[Reference::Found(rolling)])), Some(Reason::RollingOut));
    let new = PodSeen { rolled_for: Some(name.clone()), ..pod(5) };
    let done = WorkloadSeen { rolled_for: Some(name), ..workload(&[new]) };
    assert_eq!(rolled(written(5), &done), []);
    assert_eq!(reason(&judge(&runners(true), written(5), &[Reference::Found(done.clone())])), None);
    // The next write is another one.
    assert_eq!(rolled(written(9), &done).len(), 1);
}

#[test]
fn nothing_is_rolled_that_need_not_be_or_is_not_ours() {
    let seen = |workload: WorkloadSeen| [Reference::Found(workload)];
    let old = workload(&[pod(4)]);
    assert_eq!(rolls(&runners(false), written(5), &seen(old.clone())), [], "the Quay operator rolls its own");
    assert_eq!(rolls(&runners(true), Bundle { written: None, ..written(5) }, &seen(old.clone())), [], "never written");
    assert_eq!(rolls(&runners(true), written(5), &seen(workload(&[pod(6)]))), [], "it started since");
    assert_eq!(rolls(&runners(true), written(5), &seen(workload(&[]))), [], "nothing runs");
    let other = WorkloadSeen { mounts: ["other".to_owned()].into(), ..old };
    assert_eq!(rolls(&runners(true), written(5), &seen(other.clone())), []);
    assert_eq!(reason(&judge(&runners(true), written(5), &seen(other))), Some(Reason::BundleNotMounted));
}

#[test]
fn the_worst_that_is_known_is_told_and_a_workload_that_need_not_be_is_not_missed() {
    let mut both = runners(false);
    both.workloads.push(Runner { name: "mirror".into(), is_optional: true, ..both.workloads[0].clone() });
    let (old, new) = (Reference::Found(workload(&[pod(1)])), Reference::Found(workload(&[pod(9)])));
    let judged = |one: &Reference<WorkloadSeen>, other: &Reference<WorkloadSeen>| {
        reason(&judge(&both, written(5), &[one.clone(), other.clone()]))
    };
    assert_eq!(judged(&new, &Reference::Missing), None);
    assert_eq!(judged(&Reference::Missing, &new), Some(Reason::WorkloadMissing));
    assert_eq!(judged(&Reference::Missing, &old), Some(Reason::RollingOut), "what is known to be old counts more");
}
