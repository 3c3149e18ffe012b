//! Observing an output and the Secret that it is made from.

use super::memory::{LastWrites, Memory};
use super::observe::Versions;
use super::principals::note;
use super::{Context, reference};
use crate::cluster::secrets;
use crate::cluster::version::Version;
use crate::plan::desired::Desired;
use crate::plan::observation::{ObservedBundle, Reference};
use crate::plan::output::{OutputSeen, WholeSecret};
use crate::resource::ResourceId;

/// Reads both.
pub(super) async fn observe(
    context: &Context,
    who: &ResourceId,
    desired: &Desired,
    source: &str,
    memory: &mut Memory,
) -> (ObservedBundle, Option<Versions>) {
    let (source, source_version) = read(context, who, desired, source).await;
    let (output, version) = read(context, who, desired, &desired.consumer.bundle).await;
    if let Reference::Found(secret) = &output {
        memory.written = Some(LastWrites::of(&desired.consumer.bundle, &secret.bundle));
    }
    let versions = version.zip(source_version).map(|(version, source)| (version, Some(source)));
    (ObservedBundle::Output(Box::new(OutputSeen { owner: who.clone(), source, output })), versions)
}

async fn read(
    context: &Context,
    who: &ResourceId,
    desired: &Desired,
    name: &str,
) -> (Reference<WholeSecret>, Option<Version>) {
    let before = context.secrets.before_request(&who.namespace, name);
    let answer = secrets::read_whole(&context.client, &who.namespace, name).await;
    let grant = context.grants.secrets(&who.namespace, &desired.consumer);
    let (secret, version) = reference::of_secret(answer, grant).await;
    note(context, who, name, &before, version.as_ref());
    (secret, version)
}
