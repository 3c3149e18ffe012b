//! A registry, its keys and an operator that may be killed after any step, for as long and in whatever order: nobody who holds
//! a key that was handed out is ever refused, there are never three keys, and in the end there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Rotation, plan};
use crate::identity::consumers::{Consumer, Standing};
use crate::identity::desired::RotationWanted;
use crate::identity::marker::{INTENT, MADE, Notes, Phase, tag_of};
use crate::identity::observed::{Asked, Held, Key, KeySecret, Keys, LastUsed};
use crate::identity::step::Step;

const HOUR: Duration = Duration::from_hours(1);
const WANTED: RotationWanted =
    RotationWanted { interval: Duration::from_hours(2160), overlap: Duration::from_hours(24) };

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The operator passes over the resource; it is killed after so many steps, if it makes as many.
    Pass(Option<usize>),
    /// So many minutes go by.
    Time(u16),
    /// The resource writes the Secret's key into the bundle, unless it is suspended.
    Write,
    /// The pods are rolled.
    Roll,
    /// Somebody suspends the resource, or lets it go on.
    Suspend(bool),
    /// Somebody asks for another key.
    Rotate,
    /// Somebody deletes the Secret.
    LoseSecret,
    /// The operator is started anew.
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => prop::option::weighted(0.5, 0..4_usize).prop_map(Event::Pass),
        4 => (1..2000_u16).prop_map(Event::Time),
        3 => Just(Event::Write),
        3 => Just(Event::Roll),
        1 => any::<bool>().prop_map(Event::Suspend),
        1 => Just(Event::Rotate),
        1 => Just(Event::LoseSecret),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 1..120)
}

/// AWS, the cluster, and what the operator holds in memory.
struct World {
    now: Timestamp,
    made: usize,
    keys: Vec<Key>,
    tags: BTreeMap<String, String>,
    secret: Option<String>,
    bundle: Option<String>,
    pods: Option<String>,
    is_suspended: bool,
    asked: Option<Timestamp>,
    held: Option<Held>,
}

impl World {
    fn new() -> Self {
        Self {
            now: "2026-11-23T00:00:00Z".parse().unwrap(),
            made: 0,
            keys: Vec::new(),
            tags: BTreeMap::new(),
            secret: None,
            bundle: None,
            pods: None,
            is_suspended: false,
            asked: None,
            held: None,
        }
    }

    fn observed(&self) -> Keys {
        let standing = if self.secret.is_none() || self.bundle != self.secret || self.is_suspended {
            Standing::Behind("it has another key".into())
        } else if self.pods != self.secret {
            Standing::NotRunning("its pods have another key".into())
        } else {
            Standing::Current
        };
        let bundles = self.bundle.iter().map(|id| (id.clone(), BTreeSet::from(["bundle".to_owned()])));
        Keys {
            listed: self.keys.clone(),
            secret: self.secret.clone().map_or(KeySecret::Absent, |id| KeySecret::Holds(Some(id))),
            held: self.held.clone(),
            in_bundles: bundles.collect(),
            is_bundle_unread: false,
            consumers: vec![Consumer { name: "example".into(), standing }],
            asked: Asked { rotate: self.asked, retire: None },
        }
    }

    fn pass(&mut self, killed_after: Option<usize>) -> Rotation {
        let mut made = 0;
        loop {
            // The proofs of a pass come out well.
            if let Some(held) = &mut self.held {
                (held.is_proven_once, held.is_proven) = (true, true);
            }
            let plan = plan(&self.observed(), &Notes::of(&self.tags), WANTED, self.now);
            if plan.steps.is_empty() {
                return plan.rotation;
            }
            for step in plan.steps {
                if killed_after == Some(made) {
                    self.held = None;
                    return plan.rotation;
                }
                self.make(step);
                self.check();
                made += 1;
            }
            assert!(made < 40, "it comes to no end");
        }
    }

    fn make(&mut self, step: Step) {
        let key = |keys: &mut Vec<Key>, id: &str, is_active| {
            keys.iter_mut().filter(|key| key.id == id).for_each(|key| key.is_active = is_active);
        };
        match step {
            Step::NoteIntent(intent) => {
                self.tags.insert(INTENT.into(), intent.to_string());
            }
            Step::CreateKey => {
                self.made += 1;
                let id = format!("AKIA{:04}", self.made);
                let (created, last_used) = (self.now, LastUsed::Never);
                self.keys.push(Key { id: id.clone(), created, is_active: true, last_used });
                self.held = Some(Held { id, is_proven_once: false, is_proven: false });
            }
            Step::Mark(id, marker) => {
                self.tags.insert(tag_of(&id), marker.to_string());
                if marker.phase == Phase::Pending {
                    self.tags.insert(INTENT.into(), MADE.into());
                }
            }
            Step::Publish(id) => {
                self.secret = Some(id);
                self.held = None;
            }
            Step::Activate(id) => key(&mut self.keys, &id, true),
            Step::Deactivate(id) => key(&mut self.keys, &id, false),
            Step::DeleteKey(id) => self.keys.retain(|key| key.id != id),
            Step::Unmark(tags) => tags.iter().for_each(|tag| {
                self.tags.remove(tag);
            }),
            other => panic!("{other:?}"),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Pass(killed_after) => {
                self.pass(killed_after);
            }
            Event::Time(minutes) => {
                // Quay assumes its role every hour; AWS knows of it half an hour later at most.
                let end = self.now.checked_add(Duration::from_secs(u64::from(minutes) * 60)).unwrap();
                while self.now < end {
                    self.now = self.now.checked_add(HOUR).unwrap().min(end);
                    let seen = self.now.checked_sub(Duration::from_mins(30)).unwrap();
                    let used = self.pods.clone();
                    for key in self.keys.iter_mut().filter(|key| Some(&key.id) == used.as_ref()) {
                        key.last_used = LastUsed::At(seen);
                    }
                }
            }
            Event::Write if !self.is_suspended => self.bundle = self.secret.clone().or(self.bundle.take()),
            Event::Roll => self.pods.clone_from(&self.bundle),
            Event::Write => {}
            Event::Suspend(is_suspended) => self.is_suspended = is_suspended,
            Event::Rotate => self.asked = Some(self.now),
            Event::LoseSecret => self.secret = None,
            Event::Restart => self.held = None,
        }
        self.check();
    }

    fn check(&self) {
        assert!(self.keys.len() <= 2, "{:?}", self.keys);
        for (who, id) in [("the bundle", &self.bundle), ("the pods", &self.pods)] {
            let works = |id: &String| self.keys.iter().any(|key| key.id == *id && key.is_active);
            assert!(id.as_ref().is_none_or(works), "{who} have {id:?}: {:?} {:?}", self.keys, self.tags);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nobody_is_refused_and_in_the_end_there_is_one_key(events in events()) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
        }
        // Somebody lets all of it come to rest.
        world.asked = None;
        for _ in 0..12 {
            for event in [Event::Suspend(false), Event::Pass(None), Event::Write, Event::Roll, Event::Time(26 * 60)] {
                world.happen(event);
            }
        }
        let rotation = world.pass(None);
        prop_assert!(matches!(rotation, Rotation::Settled(_)), "{rotation:?} {:?} {:?}", world.keys, world.tags);
        prop_assert_eq!(world.keys.len(), 1);
        prop_assert_eq!(Some(&world.keys[0].id), world.secret.as_ref());
        prop_assert_eq!(world.pods.as_ref(), world.secret.as_ref());
        let notes = Notes::of(&world.tags);
        prop_assert_eq!(notes.markers.len(), 1);
        prop_assert_eq!(notes.intent, None);
    }
}
