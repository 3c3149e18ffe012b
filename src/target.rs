//! What is to be proven: who assumes which role, where, and what Quay will do with it.

use std::sync::Arc;

use secrecy::ExposeSecret as _;

use crate::arn::{Partition, RoleArn};
use crate::consumer::{Environment, StsEndpoints};
use crate::fingerprint::{fingerprint, hex};
use crate::place::{Bucket, Endpoint, StoragePath};
use crate::plan::desired::WebIdentity;
use crate::plan::key::AccessKey;
use crate::reason::{Failure, Reason};
use crate::registry::QuayVersion;

/// Who assumes a role.
#[derive(Clone)]
pub enum Principal {
    /// An IAM user, by its access key.
    Key(AccessKey),
    /// A service account, by a token that is minted for it.
    Account(Account),
}

/// A service account of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid: another one of the same name is another.
    pub uid: String,
    /// The audience of its tokens.
    pub audience: String,
}

impl Account {
    /// What its tokens have as `sub`.
    pub fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

impl Principal {
    /// A service account that nobody looked at.
    pub fn unseen(namespace: &str, wanted: &WebIdentity) -> Self {
        Self::Account(Account {
            namespace: namespace.to_owned(),
            name: wanted.account.clone(),
            uid: String::new(),
            audience: wanted.audience.clone(),
        })
    }

    /// Who it is, for people.
    pub fn told(&self) -> String {
        match self {
            Self::Key(key) => format!("access key …{}", key.last_four()),
            Self::Account(account) => format!("service account {}/{}", account.namespace, account.name),
        }
    }

    fn parts(&self) -> Vec<&str> {
        match self {
            Self::Key(key) => vec!["key", key.id(), key.secret().expose_secret()],
            Self::Account(account) => {
                vec!["account", &account.namespace, &account.name, &account.uid, &account.audience]
            }
        }
    }
}

/// A role, who assumes it, and the storage that it opens.
#[derive(Clone)]
pub struct Target {
    /// Who assumes the role.
    pub principal: Principal,
    /// The role; none where the key itself opens the storage, as with `S3Storage`.
    pub role: Option<RoleArn>,
    /// The STS hosts that Quay asks.
    pub sts: StsEndpoints,
    /// Where the bucket is.
    pub endpoint: Endpoint,
    /// Whether config-tool sends `AssumeRole` to `endpoint_url`, if there is one and the Quay that reads it is known.
    pub endpoint_gets_sts: Option<bool>,
    /// The region that requests to an `endpoint_url` are signed for.
    pub signing_region: String,
    /// The bucket.
    pub bucket: Bucket,
    /// What Quay puts before every key.
    pub storage_path: StoragePath,
    /// The customer managed key that the bucket encrypts with, if it is known.
    pub kms_key_arn: Option<String>,
    /// The certificates that Quay trusts beside the system's own, as PEM: for an `endpoint_url`.
    pub certificates: Option<Arc<str>>,
}

impl Target {
    /// The region that the role's credentials are used in.
    pub fn region(&self) -> &str {
        match &self.endpoint {
            Endpoint::Region(region) => region.as_str(),
            Endpoint::Url(_) => &self.signing_region,
        }
    }

    /// Who opens the storage, for people: the role, or the key where there is none.
    pub fn holder(&self) -> String {
        self.role.as_ref().map_or_else(|| self.principal.told(), ToString::to_string)
    }

    /// The partition of the role; without one that of the bucket.
    pub fn partition(&self) -> Partition {
        let of_bucket = || match &self.endpoint {
            Endpoint::Region(region) => Partition::of_region(region.as_str()).unwrap_or(Partition::Aws),
            Endpoint::Url(_) => Partition::Aws,
        };
        self.role.as_ref().map_or_else(of_bucket, RoleArn::partition)
    }

    /// The account of the role; empty where there is none.
    pub fn account(&self) -> &str {
        self.role.as_ref().map_or("", RoleArn::account)
    }

    /// What Quay puts before every key, after its own normalisation.
    pub fn prefix(&self) -> String {
        crate::place::key_prefix(self.storage_path.as_str())
    }

    /// A hash of everything that the role's credentials depend on.
    pub fn session_key(&self) -> [u8; 32] {
        let driver = self.sts.driver.host();
        let role = self.role.as_ref().map_or("", RoleArn::as_str);
        fingerprint(self.principal.parts().into_iter().chain([role, &driver]))
    }

    /// A hash of everything that the outcome of a proof depends on.
    pub fn proof_key(&self) -> [u8; 32] {
        let session = hex(&self.session_key());
        let config_tool = self.sts.config_tool.host();
        let endpoint = match &self.endpoint {
            Endpoint::Region(region) => region.as_str(),
            Endpoint::Url(url) => url.as_str(),
        };
        let prefix = self.prefix();
        let gets_sts =
            self.endpoint_gets_sts.map_or("", |gets| if gets { "STS at the endpoint" } else { "STS at AWS" });
        let parts = [
            session.as_str(),
            &config_tool,
            endpoint,
            gets_sts,
            &self.signing_region,
            self.bucket.as_str(),
            prefix.as_str(),
            self.certificates.as_deref().unwrap_or_default(),
        ];
        fingerprint(parts.into_iter().chain(self.kms_key_arn.as_deref()))
    }
}

/// Whether a Quay's config-tool sends `AssumeRole` to the endpoint, if it is a URL and the Quay is known.
pub fn endpoint_gets_sts(endpoint: &Endpoint, version: Option<QuayVersion>) -> Option<bool> {
    match endpoint {
        Endpoint::Url(_) => version.map(QuayVersion::asks_endpoint_url_for_roles),
        Endpoint::Region(_) => None,
    }
}

/// That a role opens buckets of the endpoint's partition.
///
/// # Errors
/// `InvalidSpec` where role and region are of two partitions.
pub fn same_partition(role: &RoleArn, endpoint: &Endpoint) -> Result<(), Failure> {
    match endpoint {
        Endpoint::Region(region) if Partition::of_region(region.as_str()) != Some(role.partition()) => {
            Err(Failure::new(
                Reason::InvalidSpec,
                format!(
                    "region {region} is not in the role's partition ({}): a role of one partition opens no bucket of another. Correct the region or the role.",
                    role.partition().as_str()
                ),
            ))
        }
        Endpoint::Region(_) | Endpoint::Url(_) => Ok(()),
    }
}

/// The STS hosts that Quay's pods ask, if they know the role.
///
/// # Errors
/// `StsEndpointUnknown` where nothing says in which region of the role's partition they ask; `RoleNotAssumable` where
/// they ask in another partition.
pub fn sts_endpoints(environment: &Environment, role: &RoleArn) -> Result<StsEndpoints, Failure> {
    let (sts, partition) = (environment.sts(), role.partition());
    if sts.driver.partition() == Some(partition) {
        return Ok(sts);
    }
    let partition = partition.as_str();
    Err(match &environment.default_region {
        None => Failure::new(
            Reason::StsEndpointUnknown,
            format!(
                "The role is in partition {partition}, where Quay asks the STS host of the region that its pods' AWS_DEFAULT_REGION names, and nothing here names it: nothing can be proven. Set AWS_DEFAULT_REGION and AWS_REGION on Quay's pods (overrides.env of components quay and mirror), and without registryRef the same in spec.consumerEnv."
            ),
        ),
        Some(region) => Failure::new(
            Reason::StsEndpointUnknown,
            format!(
                "The role is in partition {partition}, and Quay's pods ask {} (AWS_DEFAULT_REGION {region}), which does not know it. Correct the role or AWS_DEFAULT_REGION.",
                sts.driver.host()
            ),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_a_partition_are_asked_for_where_the_pods_region_says_or_not_at_all() {
        let role = |partition: &str| format!("arn:{partition}:iam::123492922789:role/quay").parse().unwrap();
        let in_region = |region: &str| Environment { default_region: region.parse().ok(), ..Environment::default() };
        let host = |region: &str, partition: &str| {
            sts_endpoints(&in_region(region), &role(partition)).map(|sts| sts.driver.host()).map_err(|f| f.reason)
        };
        assert_eq!(host("", "aws"), Ok("sts.amazonaws.com".into()));
        assert_eq!(host("us-gov-west-1", "aws-us-gov"), Ok("sts.us-gov-west-1.amazonaws.com".into()));
        assert_eq!(host("cn-north-1", "aws-cn"), Ok("sts.cn-north-1.amazonaws.com.cn".into()));
        assert_eq!(host("", "aws-cn"), Err(Reason::StsEndpointUnknown));
        assert_eq!(host("cn-north-1", "aws"), Err(Reason::StsEndpointUnknown));
        let gov = Endpoint::Region("us-gov-west-1".parse().unwrap());
        assert!(same_partition(&role("aws-us-gov"), &gov).is_ok() && same_partition(&role("aws"), &gov).is_err());
    }
}
