//! `registry-sts provision`

use std::io::Write as _;

use secrecy::ExposeSecret as _;

use super::files::{self, Files};
use super::reach::Reach;
use super::{Outcome, Problem, tell};
use crate::api::{IdentityPolicy, StorageIdentity};
use crate::aws::Aws;
use crate::aws::iam::Iam;
use crate::cluster::key_secrets::OWNER;
use crate::identity::desired::{Desired, Trusted};
use crate::identity::owner::ClusterId;
use crate::identity::step::{Kind, Step};
use crate::leadership::Fence;
use crate::manifests::Identities;
use crate::policy::principal::Issuer;
use crate::provision;
use crate::resource::ResourceId;

/// Make what StorageIdentities ask for without the operator: print the steps that are missing, or make them.
///
/// Reads StorageIdentities and the IdentityPolicies that allow them, and looks at AWS with the credentials that the AWS CLI
/// would use. Prints each step, and the AWS CLI's command for it: a script, that can be read, changed and run. With --apply
/// it makes the steps itself, and prints the Secret with the access key, if one was made: the key can be read only then.
#[derive(clap::Args)]
#[command(group(files::required()))]
#[command(after_help = "Examples:
  registry-sts provision -f identity-policy.yaml -f identity.yaml --cluster-id prod-eu-1
  registry-sts provision -f identity-policy.yaml -f identity.yaml --cluster-id prod-eu-1 --from-nothing > steps.sh
  registry-sts provision -f identity-policy.yaml -f identity.yaml --cluster-id prod-eu-1 --apply | kubectl apply -f -")]
pub(super) struct Provision {
    #[command(flatten)]
    files: Files,

    /// What the cluster is called in AWS, as `registry-sts run --cluster-id` has it.
    #[arg(long, value_name = "ID")]
    cluster_id: ClusterId,

    /// The issuer of the cluster's service account tokens, for trust: webIdentity.
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<Issuer>,

    /// Make the steps.
    #[arg(long, conflicts_with = "from_nothing")]
    apply: bool,

    /// Ask nobody: print the steps as if nothing were there.
    #[arg(long)]
    from_nothing: bool,

    #[command(flatten)]
    reach: Reach,
}

impl Provision {
    pub(super) async fn run(self) -> Result<Outcome, Problem> {
        let manifests = self.files.any_manifests()?;
        let Identities { identities, policies } = match manifests.identities() {
            Ok(found) => found,
            Err(refused) => {
                for line in refused {
                    tell(&line.to_string());
                }
                return Ok(Outcome::Refused);
            }
        };
        if identities.is_empty() {
            return Ok(Outcome::Usage("there is no StorageIdentity among the files: add its file with -f"));
        }
        let aws = self.reach.aws(Fence::open())?;
        let mut is_refused = false;
        for (origin, resource) in identities {
            if let Err(why) = Box::pin(self.one(&aws, resource, policies)).await? {
                tell(&format!("{origin}: {why}"));
                is_refused = true;
            }
        }
        Ok(if is_refused { Outcome::Refused } else { Outcome::Done })
    }

    async fn one(
        &self,
        aws: &Aws,
        resource: &StorageIdentity,
        policies: &[IdentityPolicy],
    ) -> Result<Result<(), String>, Problem> {
        let issuer = self.oidc_issuer.as_ref();
        let desired = match provision::desired(resource, policies, &self.cluster_id, issuer) {
            Ok(desired) => desired,
            Err(failure) => return Ok(Err(failure.message)),
        };
        let iam = if self.from_nothing { None } else { Some(iam(aws, &desired).await?) };
        let plan = match Box::pin(provision::plan(&desired, iam.as_ref())).await {
            Ok(plan) => plan,
            Err(failure) => return Ok(Err(failure.message)),
        };
        match iam.filter(|_| self.apply) {
            None => print(&desired, &plan.steps)?,
            Some(iam) => {
                for step in &plan.steps {
                    match Box::pin(provision::make(&desired, &iam, step)).await {
                        Err(failure) => return Ok(Err(failure.message)),
                        Ok(key) => {
                            tell(&format!("done: {}", step.says(&desired)));
                            if let Some(secret) = key.and_then(|key| provision::secret(&desired, &key)) {
                                write!(std::io::stdout(), "---\n{}", secret.expose_secret())?;
                            }
                        }
                    }
                }
            }
        }
        if plan.steps.is_empty() {
            tell(&format!("StorageIdentity {}: nothing is missing", desired.owner.resource));
        }
        if let Some(missing) = plan.missing {
            tell(&missing.message);
        }
        Ok(Ok(()))
    }
}

async fn iam(aws: &Aws, desired: &Desired) -> Result<Iam, Problem> {
    let credentials = aws.of_caller().await.ok_or(
        "there are no AWS credentials: set AWS_PROFILE, or what else the AWS CLI takes them from; or print the steps with --from-nothing",
    )?;
    Ok(aws.iam(desired.role_arn.partition(), credentials))
}

/// The steps as a script: each with what it does, and the command.
fn print(desired: &Desired, steps: &[Step]) -> Result<(), Problem> {
    let mut out = std::io::stdout();
    writeln!(out, "# StorageIdentity {} of cluster {}", desired.owner.resource, desired.owner.cluster)?;
    // A key that is made by hand needs no note beforehand: whoever made it has it.
    let steps = steps.iter().filter(|step| !matches!(step, Step::NoteIntent(_)));
    for (index, step) in steps.enumerate() {
        writeln!(out, "# {}. {}", index + 1, step.says(desired))?;
        if matches!(step, Step::Create(Kind::Role)) && desired.user().is_some() {
            writeln!(out, "# If IAM answers \"Invalid principal\": it does not know the new user yet. Run it again.")?;
        }
        if let Some(command) = step.command(desired) {
            writeln!(out, "{command}")?;
        }
        if let (Step::CreateKey, Trusted::User { secret, .. }) = (step, &desired.trusted) {
            let ResourceId { namespace, name } = &desired.owner.resource;
            writeln!(
                out,
                "# Its AccessKeyId and SecretAccessKey are told this once. The Secret that the operator takes over (--apply prints it):"
            )?;
            writeln!(
                out,
                "#   kubectl -n {namespace} create secret generic {secret} --from-literal=AWS_ACCESS_KEY_ID=<id> --from-literal=AWS_SECRET_ACCESS_KEY=<secret>"
            )?;
            writeln!(out, "#   kubectl -n {namespace} annotate secret {secret} {OWNER}={name}")?;
        }
    }
    Ok(())
}
