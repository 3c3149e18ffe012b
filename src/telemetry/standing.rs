//! How each resource stands, asked at each scrape, so that nothing is told of one that is gone.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::resource::ResourceId;

/// How a resource stands, as its status says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is Ready.
    pub is_ready: bool,
    /// The reason of Ready; `Suspended` for one that is.
    pub reason: String,
    /// When the oldest of its locations' proofs was made; none while one has none.
    pub proven: Option<Timestamp>,
    /// How old a proof may be; none while the spec does not say it in a form that can be read.
    pub interval: Option<Duration>,
    /// When the oldest of its keys was last changed in its Secret; none while none was read.
    pub key_changed: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Resource {
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonedResource {
    namespace: String,
    name: String,
    reason: String,
}

/// How a `StorageIdentity` stands, as its status says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityStanding {
    /// Whether it is Ready.
    pub is_ready: bool,
    /// The reason of Ready.
    pub reason: String,
    /// Where a rotation is that is under way: the reason of Rotating.
    pub rotating: Option<String>,
}

/// How the resources of a kind stand.
pub(super) struct Standings<S>(Arc<Mutex<HashMap<ResourceId, S>>>);

impl<S> Clone for Standings<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Default for Standings<S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<S> Standings<S> {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<ResourceId, S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> fmt::Debug for Standings<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Standings")
    }
}

fn sorted<S>(standings: &HashMap<ResourceId, S>) -> Vec<(&ResourceId, &S)> {
    let mut sorted: Vec<_> = standings.iter().collect();
    sorted.sort_by_key(|(who, _)| *who);
    sorted
}

impl Collector for Standings<Standing> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let standings = self.lock();
        let sorted = sorted(&standings);
        let gauge = MetricType::Gauge;
        let mut ready = encoder.encode_descriptor("ready", "1 if the resource is Ready", None, gauge)?;
        for (who, standing) in &sorted {
            let labels = ReasonedResource::of(who, &standing.reason);
            ConstGauge::new(i64::from(standing.is_ready)).encode(ready.encode_family(&labels)?)?;
        }
        let help = "When the oldest proof of the resource's locations was made, since the epoch";
        let unit = Some(&Unit::Seconds);
        let mut proven = encoder.encode_descriptor("last_proof_timestamp", help, unit, gauge)?;
        for (who, standing) in &sorted {
            if let Some(at) = standing.proven {
                ConstGauge::new(at.as_second()).encode(proven.encode_family(&Resource::of(who))?)?;
            }
        }
        let help = "How old a proof of the resource may be";
        let mut interval = encoder.encode_descriptor("proof_interval", help, unit, gauge)?;
        for (who, standing) in &sorted {
            if let Some(seconds) = standing.interval.map(|interval| interval.as_secs_f64()) {
                ConstGauge::new(seconds).encode(interval.encode_family(&Resource::of(who))?)?;
            }
        }
        let help = "When the oldest key of the resource was last changed in its Secret, since the epoch";
        let mut changed = encoder.encode_descriptor("key_changed_timestamp", help, unit, gauge)?;
        for (who, standing) in &sorted {
            if let Some(at) = standing.key_changed {
                ConstGauge::new(at.as_second()).encode(changed.encode_family(&Resource::of(who))?)?;
            }
        }
        Ok(())
    }
}

impl Collector for Standings<IdentityStanding> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let standings = self.lock();
        let sorted = sorted(&standings);
        let gauge = MetricType::Gauge;
        let help = "1 if the StorageIdentity is Ready";
        let mut ready = encoder.encode_descriptor("identity_ready", help, None, gauge)?;
        for (who, standing) in &sorted {
            let labels = ReasonedResource::of(who, &standing.reason);
            ConstGauge::new(i64::from(standing.is_ready)).encode(ready.encode_family(&labels)?)?;
        }
        let help = "1 while a key of the StorageIdentity is being replaced, with where that is";
        let mut rotating = encoder.encode_descriptor("identity_rotating", help, None, gauge)?;
        for (who, standing) in &sorted {
            if let Some(reason) = &standing.rotating {
                let labels = ReasonedResource::of(who, reason);
                ConstGauge::new(1_i64).encode(rotating.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

impl ReasonedResource {
    fn of(who: &ResourceId, reason: &str) -> Self {
        Self { namespace: who.namespace.clone(), name: who.name.clone(), reason: reason.to_owned() }
    }
}

impl Resource {
    fn of(who: &ResourceId) -> Self {
        Self { namespace: who.namespace.clone(), name: who.name.clone() }
    }
}
