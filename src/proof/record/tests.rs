use super::*;
use crate::reason::Reason;
use crate::verdict::Verdict;

const HOUR: Duration = Duration::from_hours(1);

fn works() -> Findings {
    Findings::default()
}

fn refusal(reason: Reason) -> Findings {
    Findings::ending_with(Step::AssumeRole, Verdict::Failed(Failure::new(reason, "no")))
}

fn finish(record: &mut Record, now: Instant, findings: &Findings) {
    let depth = record.depth(now);
    record.finish(now, Timestamp::UNIX_EPOCH, depth, findings);
}

#[test]
fn a_new_record_is_due_and_pending_and_runs_once() {
    let (mut record, now) = (Record::default(), Instant::now());
    assert!(record.is_due(now, HOUR));
    record.start(now);
    assert!(!record.is_due(now, HOUR));
    assert_eq!(record.state(now, HOUR, "x", None), ProofState::Pending);
    assert_eq!(record.next(now, HOUR), None);
}

#[test]
fn a_proof_is_made_again_before_it_is_too_old_and_never_used_when_it_is() {
    let (mut record, now) = (Record::default(), Instant::now());
    finish(&mut record, now, &works());
    let due = record.next(now, HOUR).unwrap();
    assert!(due >= HOUR.mul_f64(0.9) && due <= HOUR.mul_f64(0.95), "{due:?}");
    assert!(!record.is_due(now + HOUR.mul_f64(0.89), HOUR));
    assert!(matches!(record.state(now + HOUR, HOUR, "x", None), ProofState::Proven(_)));
    assert_eq!(record.state(now + HOUR + Duration::from_secs(1), HOUR, "x", None), ProofState::Pending);
    assert!(record.is_due(now + Duration::from_mins(5), Duration::from_mins(5)), "a shorter interval asks sooner");
}

#[test]
fn a_denial_flips_a_proven_record_at_once_and_silence_does_not_for_two_intervals() {
    let (mut record, now) = (Record::default(), Instant::now());
    finish(&mut record, now, &works());
    finish(&mut record, now, &refusal(Reason::AwsUnreachable));
    assert!(matches!(record.state(now + HOUR, HOUR, "x", None), ProofState::Stale(..)));
    assert!(matches!(record.state(now + HOUR * 2 + Duration::from_secs(1), HOUR, "x", None), ProofState::Failed(..)));
    finish(&mut record, now, &refusal(Reason::RoleNotAssumable));
    assert!(matches!(record.state(now, HOUR, "x", None), ProofState::Failed(..)));
    finish(&mut record, now, &refusal(Reason::Throttled));
    assert!(matches!(record.state(now, HOUR, "x", None), ProofState::Failed(..)), "silence brings no proof back");
}

#[test]
fn what_an_earlier_process_proved_stands_through_silence_but_never_counts_as_proven_nor_after_a_denial() {
    let (mut record, now) = (Record::default(), Instant::now());
    let earlier = |age| Some((age, Timestamp::UNIX_EPOCH));
    let state = |record: &Record, age| record.state(now, HOUR, "x", earlier(age));
    assert_eq!(state(&record, HOUR / 2), ProofState::Pending);
    finish(&mut record, now, &refusal(Reason::AwsUnreachable));
    assert!(matches!(state(&record, HOUR / 2), ProofState::Stale(..)));
    assert!(matches!(state(&record, HOUR * 3), ProofState::Failed(..)));
    finish(&mut record, now, &refusal(Reason::RoleNotAssumable));
    finish(&mut record, now, &refusal(Reason::AwsUnreachable));
    assert!(matches!(state(&record, HOUR / 2), ProofState::Failed(..)));
}

#[test]
fn retries_come_after_two_seconds_then_double_up_to_fifteen_minutes_give_or_take_a_fifth() {
    let (mut record, now) = (Record::default(), Instant::now());
    for times in 0..40_u32 {
        finish(&mut record, now, &refusal(Reason::RoleNotAssumable));
        let exact = 2.0_f64 * f64::from(1_u32 << times.min(16));
        let exact = exact.min(900.0);
        let wait = record.next(now, HOUR).unwrap().as_secs_f64();
        assert!(wait >= exact * 0.79 && wait <= exact * 1.21, "{times}: {wait}");
    }
    finish(&mut record, now, &works());
    finish(&mut record, now, &refusal(Reason::RoleNotAssumable));
    assert!(record.next(now, HOUR).unwrap() <= Duration::from_millis(2400), "a success starts the count anew");
}

#[test]
fn everything_is_tried_at_first_after_a_denial_and_once_a_day_and_nothing_is_changed_in_between() {
    let (mut record, now) = (Record::default(), Instant::now());
    assert_eq!(record.depth(now), Depth::Full);
    finish(&mut record, now, &Findings { notes: vec!["versions".into()], ..works() });
    assert_eq!(record.depth(now + HOUR), Depth::ReadOnly);
    record.finish(now + HOUR, Timestamp::UNIX_EPOCH, Depth::ReadOnly, &works());
    let noted = matches!(record.state(now + HOUR, HOUR, "x", None), ProofState::Proven(p) if p.notes == ["versions"]);
    assert!(noted, "what the whole proof saw still holds");
    assert_eq!(record.depth(now + HOUR * 21), Depth::ReadOnly);
    assert_eq!(record.depth(now + HOUR * 22), Depth::Full);
    finish(&mut record, now, &refusal(Reason::AwsUnreachable));
    assert_eq!(record.depth(now + HOUR), Depth::ReadOnly, "silence says nothing against it");
    finish(&mut record, now, &refusal(Reason::RoleNotAssumable));
    assert_eq!(record.depth(now + HOUR), Depth::Full);
    finish(&mut record, now, &refusal(Reason::AwsUnreachable));
    assert_eq!(record.depth(now + HOUR), Depth::Full);
}

#[test]
fn what_was_tried_in_full_and_met_silence_is_tried_in_full_again_for_it_may_have_left_something() {
    let (mut record, now) = (Record::default(), Instant::now());
    finish(&mut record, now, &works());
    for _ in 0..2 {
        record.finish(now, Timestamp::UNIX_EPOCH, Depth::Full, &refusal(Reason::AwsUnreachable));
        assert_eq!(record.depth(now), Depth::Full);
        assert!(matches!(record.state(now, HOUR, "x", None), ProofState::Stale(..)));
    }
    finish(&mut record, now, &works());
    assert_eq!(record.depth(now), Depth::ReadOnly);
}

#[test]
fn after_a_restart_what_was_proven_before_is_proven_again_some_time_within_the_interval_or_at_once_if_urgent() {
    let (mut record, now) = (Record::default(), Instant::now());
    let young = Some((HOUR / 4, Timestamp::UNIX_EPOCH));
    record.look_later(now, HOUR, young);
    let first = record.next(now, HOUR).unwrap();
    assert!(first <= HOUR * 3 / 4 && !record.is_due(now, HOUR) || first.is_zero(), "{first:?}");
    assert!(matches!(record.state(now, HOUR, "x", young), ProofState::Earlier(_)));
    record.look_later(now, HOUR, young);
    assert_eq!(record.next(now, HOUR), Some(first), "the time is drawn once");
    record.look_later(now, HOUR, None);
    assert!(record.is_due(now, HOUR));
    assert_eq!(record.state(now, HOUR, "x", young), ProofState::Pending);
    let old = Some((HOUR * 2, Timestamp::UNIX_EPOCH));
    record.look_later(now, HOUR, old);
    assert!(record.is_due(now, HOUR));
    finish(&mut record, now, &works());
    record.look_later(now, HOUR, young);
    assert!(matches!(record.state(now, HOUR, "x", young), ProofState::Proven(_)));
}

#[test]
fn what_is_asked_for_is_tried_in_full_once_even_if_it_is_not_due_and_whatever_was_under_way_before() {
    let (mut record, now) = (Record::default(), Instant::now());
    let second = |n| now + Duration::from_secs(n);
    finish(&mut record, now, &works());
    assert!(!record.is_due(second(2), HOUR) && record.is_wanted(Some(second(1))) && !record.is_wanted(None));
    record.start(second(0));
    assert!(!record.is_wanted(Some(second(1))), "one at a time");
    record.finish(second(2), Timestamp::UNIX_EPOCH, Depth::Full, &works());
    assert!(record.is_wanted(Some(second(1))), "it began before it was asked for");
    record.start(second(2));
    record.finish(second(3), Timestamp::UNIX_EPOCH, Depth::ReadOnly, &works());
    assert!(record.is_wanted(Some(second(1))), "that was not everything");
    record.start(second(3));
    record.finish(second(4), Timestamp::UNIX_EPOCH, Depth::Full, &refusal(Reason::RoleNotAssumable));
    assert!(record.is_fresh(Some(second(1))) && !record.is_wanted(Some(second(1))), "a refusal is an outcome");
    assert!(record.is_wanted(Some(second(4))));
}
