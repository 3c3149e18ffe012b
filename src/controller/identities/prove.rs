//! Proving a fresh key where Quay will use it.

use std::time::Instant;

use super::super::{Context, consumer, id};
use super::pass::HeldKey;
use crate::api::StorageIdentity;
use crate::arn::{Partition, RoleArn};
use crate::aws::Aws;
use crate::consumer::StsEndpoint;
use crate::identity::consumers::refers;
use crate::place::Region;
use crate::reason::{Failure, Reason};
use crate::target::sts_endpoints;

/// Tries the key once at each endpoint that Quay's pods ask, if it is time to.
///
/// # Errors
/// Why it does not work yet.
pub(super) async fn prove(
    context: &Context,
    aws: &Aws,
    (resource, role): (&StorageIdentity, &RoleArn),
    held: &mut HeldKey,
) -> Result<(), Failure> {
    let mut refused = None;
    for at in endpoints(context, resource, role).await {
        if let Err(answer) = aws.assume_role(&held.key, role, &at).await {
            refused = Some((at, answer));
            break;
        }
    }
    held.proving.came_out(held.since.elapsed(), refused.is_none());
    let Some((at, answer)) = refused else { return Ok(()) };
    Err(Failure::new(
        Reason::MakingKey,
        format!(
            "The new key …{} does not work yet: {} answered AssumeRole of {role} with {answer}. IAM takes some seconds to make a key known; it is tried again, and nobody has the key before it works.",
            held.key.last_four(),
            at.host()
        ),
    ))
}

/// The hosts of STS that those who use the identity ask; without any, the one that Quay asks by default.
async fn endpoints(context: &Context, resource: &StorageIdentity, role: &RoleArn) -> Vec<StsEndpoint> {
    let (namespace, name) = (resource.metadata.namespace.as_deref(), resource.metadata.name.as_deref());
    let mut endpoints: Vec<StsEndpoint> = Vec::new();
    for stored in context.resources.store.state() {
        let Ok(storage) = &stored.0 else { continue };
        if storage.metadata.namespace.as_deref() != namespace || !refers(storage, name.unwrap_or_default(), None) {
            continue;
        }
        let Ok(consumer) = consumer::consumer(context, &id(&stored), storage).await else { continue };
        if let Ok(sts) = sts_endpoints(&consumer.environment, role) {
            endpoints.extend([sts.driver, sts.config_tool]);
        }
    }
    endpoints.retain(|endpoint| endpoint.partition().is_none_or(|partition| partition == role.partition()));
    endpoints.sort_by_key(StsEndpoint::host);
    endpoints.dedup();
    if endpoints.is_empty() {
        endpoints.push(by_default(role.partition()));
    }
    endpoints
}

fn by_default(partition: Partition) -> StsEndpoint {
    let region = match partition {
        Partition::Aws => None,
        Partition::China => Some("cn-north-1"),
        Partition::GovCloud => Some("us-gov-west-1"),
    };
    region.and_then(|region| region.parse::<Region>().ok()).map_or(StsEndpoint::Global, StsEndpoint::Regional)
}

impl HeldKey {
    /// A key that was just made.
    pub(super) fn new(key: crate::plan::key::AccessKey) -> Self {
        Self { key, proving: crate::identity::proving::Proving::default(), since: Instant::now() }
    }
}
