//! `registry-sts policy`

use std::collections::BTreeSet;
use std::io::Write as _;

use serde_json::Value;

use super::files::{self, Files};
use super::{Outcome, Problem, tell};
use crate::identity::owner::ClusterId;
use crate::plan::desired::Allowed;
use crate::policy::location::{Documents, Of, Told};
use crate::policy::operator;
use crate::policy::principal::{AccountId, Issuer, PrincipalArn};

/// Print the IAM policy documents with the least privilege: who may assume each role, and what it may do.
///
/// Reads QuayStorages; of other kinds and of Secrets nothing is needed. With --operator or --boundary it reads
/// IdentityPolicies, and prints what the operator's own role needs to keep StorageIdentities, or the permissions boundary. What no manifest says stands there as a marked
/// placeholder, such as `<ARN of the IAM user>`, and stderr says which flag fills it. No network.
#[derive(clap::Args)]
#[command(group(files::required()))]
#[command(after_help = "Examples:
  registry-sts policy -f storage.yaml --principal arn:aws:iam::123492922789:user/quay-user
  registry-sts policy -f storage.yaml --document trust --oidc-issuer https://oidc.example.com/id > trust.json
  registry-sts policy -f storage.yaml --document permissions > permissions.json
  aws iam put-role-policy --role-name example-role --policy-name quay --policy-document file://permissions.json
  registry-sts policy --boundary -f identity-policy.yaml > boundary.json
  registry-sts policy --operator -f identity-policy.yaml --cluster-id prod-eu-1 > operator.json")]
pub(super) struct Policy {
    #[command(flatten)]
    files: Files,

    #[command(flatten)]
    tell: Tell,

    /// Print only this document, of the only location.
    #[arg(long, value_name = "DOCUMENT")]
    document: Option<Document>,

    /// Print what the operator's own role has to be allowed, for the IdentityPolicies given.
    #[arg(long, requires = "cluster_id", conflicts_with_all = ["document", "boundary"])]
    operator: bool,

    /// What the cluster is called in AWS, as `registry-sts run --cluster-id` has it.
    #[arg(long, value_name = "ID", requires = "operator")]
    cluster_id: Option<ClusterId>,

    /// Print the permissions boundary of the only IdentityPolicy given: the most that its users and roles can do.
    #[arg(long, conflicts_with = "document")]
    boundary: bool,
}

/// What no manifest says.
#[derive(clap::Args)]
pub(super) struct Tell {
    /// The IAM user (or role) that assumes the role, for auth.accessKey.
    #[arg(long, value_name = "ARN")]
    principal: Option<PrincipalArn>,

    /// The issuer of the cluster's service account tokens, for auth.webIdentity.
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<Issuer>,

    /// The account that owns the bucket. [default: the role's]
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
}

impl Tell {
    pub(super) fn told(self) -> Told {
        Told { principal: self.principal, issuer: self.oidc_issuer, account: self.account }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Document {
    /// The role's trust policy
    Trust,
    /// The role's permissions
    Permissions,
    /// What the user needs itself, where it is of another account than the role
    Principal,
    /// What the bucket's policy has to add, where the bucket is of another account than the role
    Bucket,
    /// What the key's policy has to add, where the bucket or its key is of another account than the role
    Key,
}

impl Policy {
    pub(super) fn run(self) -> Result<Outcome, Problem> {
        if self.operator || self.boundary {
            return self.of_policies();
        }
        let manifests = self.files.manifests()?;
        let told = self.tell.told();
        let (mut notes, mut all, mut refused) = (BTreeSet::new(), Vec::new(), Vec::new());
        match manifests.parsed(&Allowed::any()) {
            Err(faults) => refused.extend(faults.iter().map(ToString::to_string)),
            Ok(parsed) => {
                for (one, location) in parsed.iter().flat_map(|one| one.desired.locations.iter().map(move |l| (one, l)))
                {
                    let of = Of { resource: &one.name(), namespace: one.namespace(), location: &location.name };
                    match &location.wanted {
                        Ok(wanted) => match Documents::new(of, wanted, &told, &mut notes) {
                            Ok(documents) => all.push(documents),
                            Err(why) => refused.push(why),
                        },
                        Err(failure) => refused.push(one.refused(&location.name, failure).to_string()),
                    }
                }
            }
        }
        if !refused.is_empty() {
            for line in refused {
                tell(&line);
            }
            return Ok(Outcome::Refused);
        }
        let printed = match (self.document, all.as_slice()) {
            (Some(document), [one]) => match document.of(one) {
                Some(value) => serde_json::to_string_pretty(value)?,
                None => return Ok(Outcome::Usage(document.not_needed())),
            },
            (Some(_), _) => {
                return Ok(Outcome::Usage(
                    "the manifests have several locations: --document prints one. Leave it out, or give a QuayStorage with one location",
                ));
            }
            (None, [one]) => serde_json::to_string_pretty(one)?,
            (None, _) => serde_json::to_string_pretty(&all)?,
        };
        writeln!(std::io::stdout(), "{printed}")?;
        for note in notes {
            tell(note);
        }
        Ok(Outcome::Done)
    }
}

impl Policy {
    fn of_policies(&self) -> Result<Outcome, Problem> {
        let manifests = self.files.any_manifests()?;
        let policies = match manifests.identities() {
            Ok(found) => found.policies,
            Err(refused) => {
                for line in refused {
                    tell(&line.to_string());
                }
                return Ok(Outcome::Refused);
            }
        };
        let printed = match (policies, &self.cluster_id) {
            ([], _) => return Ok(Outcome::Usage("there is no IdentityPolicy among the files: add its file with -f")),
            (policies, Some(cluster)) => operator::operator(cluster, policies.iter().map(|policy| &policy.spec)),
            ([policy], None) => operator::boundary(&policy.spec),
            _ => {
                return Ok(Outcome::Usage(
                    "there are several IdentityPolicies: --boundary prints that of one. Give one",
                ));
            }
        };
        match printed {
            Ok(document) => writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&document)?)?,
            Err(failure) => {
                tell(&failure.message);
                return Ok(Outcome::Refused);
            }
        }
        Ok(Outcome::Done)
    }
}

impl Document {
    fn of(self, all: &Documents) -> Option<&Value> {
        match self {
            Self::Trust => Some(&all.trust_policy),
            Self::Permissions => Some(&all.permission_policy),
            Self::Principal => all.principal_policy.as_ref(),
            Self::Bucket => all.bucket_policy.as_ref(),
            Self::Key => all.key_policy.as_ref(),
        }
    }

    fn not_needed(self) -> &'static str {
        match self {
            Self::Trust | Self::Permissions => "there is no such document",
            Self::Principal => {
                "the user needs no policy of its own in the role's account, and a service account none at all; where the user is of another account, name it with --principal"
            }
            Self::Bucket => {
                "the bucket needs no policy in the role's account; where it is of another, name that with --account"
            }
            Self::Key => {
                "there is no customer managed key of another account: give kmsKeyArn in the QuayStorage, and --account where the bucket is of another account"
            }
        }
    }
}
