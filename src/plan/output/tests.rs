use super::*;
use crate::api::quay_storage::QuayStorageSpec;
use crate::plan::desired::Allowed;
use crate::plan::key::AccessKey;
use crate::plan::observation::{ObservedBundle, ObservedLocation};
use crate::plan::owner::Owner;
use crate::plan::{Approval, Left, Plan, ProofState, Source, Standings};
use crate::target::Principal;
use crate::verdict::Step;

const SOURCE: &str = "FEATURE: true\nDISTRIBUTED_STORAGE_CONFIG:\n  a: [LocalStorage, {storage_path: /x}]\n";

fn owner() -> ResourceId {
    ResourceId { namespace: "quay".into(), name: "example".into() }
}

fn desired(locations: &[&str]) -> Desired {
    let location = |name: &&str| {
        format!(
            "- {{name: {name}, bucket: bucket-{name}, region: us-east-1, roleArn: 'arn:aws:iam::123456789012:role/quay', auth: {{accessKey: {{secretRef: {{name: key}}}}}}}}\n"
        )
    };
    let locations: String = locations.iter().map(location).collect();
    let yaml = format!("configBundleSecret: source\noutputSecret: output\nlocations:\n{locations}");
    let spec: QuayStorageSpec = serde_yaml::from_str(&yaml).unwrap();
    let Ok(Source::Secret(consumer)) = Source::parse(&spec) else { panic!("it names its bundle itself") };
    Desired::parse(&spec, *consumer, &Allowed::any()).unwrap()
}

fn secret(data: &[(&str, &str)]) -> WholeSecret {
    let value = |text: &str| SecretSlice::from(text.as_bytes().to_vec());
    let data: BTreeMap<_, _> = data.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect();
    let versions = ("uid".to_owned(), "1".to_owned());
    let (uid, resource_version) = versions;
    WholeSecret { bundle: BundleSecret { uid, resource_version, ..BundleSecret::of(data.clone()) }, data }
}

/// The plan where those of the locations are proven that are named.
fn planned(locations: &[&str], proven: &[&str], source: &WholeSecret, output: Option<&WholeSecret>) -> Plan {
    let desired = desired(locations);
    let key = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENGbPx")];
    let key = key.map(|(name, text)| (name.to_owned(), SecretString::from(text)));
    let key = AccessKey::from_secret("key", &key.into()).unwrap();
    let failure = Failure::new(Reason::RoleNotAssumable, "(why)");
    let location = |name: &&str| ObservedLocation {
        principal: Ok(Principal::Key(key.clone())),
        key_version: None,
        account: None,
        proof: if proven.contains(name) {
            ProofState::Skipped
        } else {
            ProofState::Failed(Step::AssumeRole, failure.clone())
        },
        written_at: None,
        claimed_by: None,
    };
    let both = OutputSeen {
        owner: owner(),
        source: Reference::Found(source.clone()),
        output: output.cloned().map_or(Reference::Missing, Reference::Found),
    };
    let bundle = ObservedBundle::Output(Box::new(both));
    let locations = locations.iter().map(location).collect();
    Plan::make(
        &desired,
        &Observation {
            locations,
            bundle,
            unwatched: None,
            has_elder: false,
            left: Left::default(),
            approval: Approval::Waived,
            backup: None,
        },
    )
}

/// The output as a write leaves it.
fn carried_out(write: &BundleWrite) -> WholeSecret {
    let output = write.output.as_ref().unwrap();
    let mut whole = secret(&[(CONFIG, write.config.expose_secret())]);
    whole.data.extend(output.values.clone());
    whole.bundle.mark = Mark::read(Some(&output.mark.labels()), Some(&output.mark.annotations()));
    whole
}

fn unusable(plan: &Plan) -> Option<Reason> {
    match &plan.standings {
        Standings::Unusable(failure) => Some(failure.reason),
        _ => None,
    }
}

#[test]
fn what_was_written_is_in_step_whatever_is_proven_then_and_only_a_change_of_the_source_is_written() {
    let source = secret(&[(CONFIG, SOURCE), ("ssl.cert", "1")]);
    let first = planned(&["b", "c"], &["b", "c"], &source, None).write.unwrap();
    assert!(first.output.as_ref().unwrap().creates);
    assert_eq!(first.locations, ["b", "c"]);
    let output = carried_out(&first);
    for (locations, proven) in
        [(&["b", "c"][..], &["b", "c"][..]), (&["b", "c"], &["c"]), (&["b", "c"], &[]), (&["b"], &["b"]), (&["c"], &[])]
    {
        assert!(planned(locations, proven, &source, Some(&output)).write.is_none(), "{locations:?} {proven:?}");
        let renewed = secret(&[(CONFIG, SOURCE), ("ssl.cert", "2"), ("more", "3")]);
        let write = planned(locations, proven, &renewed, Some(&output)).write.unwrap();
        assert_eq!(write.config.expose_secret(), first.config.expose_secret(), "{locations:?} {proven:?}");
        assert!(write.locations.is_empty());
        let less = secret(&[(CONFIG, SOURCE)]);
        let write = planned(locations, proven, &less, Some(&output)).write.unwrap();
        assert_eq!(write.output.unwrap().gone, ["ssl.cert"]);
    }
}

#[test]
fn it_is_the_owner_of_the_output_that_counts_and_not_that_of_the_source() {
    let tool = Owner { name: "Argo CD".into(), by: "its label".into() };
    let mut source = secret(&[(CONFIG, SOURCE)]);
    source.bundle.owner = Some(tool.clone());
    let mut output = carried_out(&planned(&["b"], &["b"], &source, None).write.unwrap());
    output.bundle.owner = Some(tool);
    assert!(planned(&["b"], &["b"], &source, Some(&output)).write.is_none());
    output.data.insert("more".into(), SecretSlice::from(b"of it".to_vec()));
    let plan = planned(&["b"], &["b"], &source, Some(&output));
    assert!(plan.write.is_none());
    let Standings::Each(each) = &plan.standings else { panic!("each location is told of") };
    let Standing::Kept(failure) = &each[0] else { panic!("it is kept") };
    assert_eq!(failure.reason, Reason::BundleOwnedElsewhere);
    assert!(failure.message.starts_with("Secret output (spec.outputSecret) is kept by Argo CD"), "{}", failure.message);
}

#[test]
fn an_output_larger_than_a_secret_can_be_is_refused() {
    let large = "x".repeat(LARGEST_SECRET);
    let source = secret(&[(CONFIG, SOURCE), ("extra_ca_cert_a", &large)]);
    assert_eq!(unusable(&planned(&["b"], &["b"], &source, None)), Some(Reason::BundleUneditable));
}

#[test]
fn nothing_is_made_of_a_source_with_another_key_that_sets_ours() {
    let source = secret(&[(CONFIG, SOURCE), ("a.config.yaml", "DISTRIBUTED_STORAGE_CONFIG: {}")]);
    assert_eq!(unusable(&planned(&["b"], &["b"], &source, None)), Some(Reason::BundleUneditable));
}

#[test]
fn an_entry_that_cannot_be_carried_is_told_of_with_the_output_that_has_it() {
    let source = secret(&[(CONFIG, SOURCE)]);
    let anchored = "A: &a x\nDISTRIBUTED_STORAGE_CONFIG:\n  b: [S3Storage, {s3_bucket: *a}]\n";
    let mut output = secret(&[(CONFIG, anchored)]);
    output.bundle.mark = Some(Mark::new(&owner(), Vec::new()));
    let plan = planned(&["b"], &[], &source, Some(&output));
    let Standings::Unusable(failure) = &plan.standings else { panic!("it is carried") };
    assert!(failure.message.starts_with("Secret output: config.yaml"), "{}", failure.message);
}
