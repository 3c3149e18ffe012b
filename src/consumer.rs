//! Whose bundle it is: the Quay that reads it, as far as it is known. Which STS host it asks is decided by its pods'
//! environment, and by nothing in config.yaml.

use crate::arn::Partition;
use crate::place::{EndpointUrl, Region};
use crate::reason::Failure;
use crate::registry::QuayVersion;
use crate::rollout::Runners;

/// The Quay that reads a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumer {
    /// The name of the bundle Secret: of the one that is written.
    pub bundle: String,
    /// The name of the Secret that the bundle is made from, where that is another one.
    pub source: Option<String>,
    /// That its registry does not read that bundle (yet).
    pub elsewhere: Option<Failure>,
    /// The name of the `QuayRegistry` that says so; none where the resource itself does.
    pub registry: Option<String>,
    /// The environment of its pods.
    pub environment: Environment,
    /// Its version, if that is known.
    pub version: Option<QuayVersion>,
    /// Why nothing is to be written for it as it is.
    pub hindrance: Option<Failure>,
    /// The variables of its pods that say who they are to AWS, whatever their service account says.
    pub identities: Vec<&'static str>,
    /// What is worth knowing of it though nothing fails.
    pub notes: Vec<String>,
    /// What runs it.
    pub runners: Runners,
}

impl Consumer {
    /// The name of the Secret that is read.
    pub fn read_from(&self) -> &str {
        self.source.as_deref().unwrap_or(&self.bundle)
    }

    /// The same Quay as if it read the Secret that the bundle is made from.
    #[must_use]
    pub fn of_source(&self) -> Self {
        Self { bundle: self.read_from().to_owned(), source: None, registry: None, ..self.clone() }
    }

    /// The field that names the bundle, as people find it.
    pub fn field(&self) -> String {
        match &self.registry {
            _ if self.source.is_some() => "spec.outputSecret".to_owned(),
            Some(registry) => format!("spec.configBundleSecret of QuayRegistry {registry}"),
            None => "spec.configBundleSecret".to_owned(),
        }
    }
}

/// The regions that exist since before regions had to be opted into. botocore and the Go SDK ask the global host for
/// them, unless `AWS_STS_REGIONAL_ENDPOINTS=regional`.
const OLD_REGIONS: [&str; 15] = [
    "ap-northeast-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The environment of Quay's pods, as far as it decides which STS host Quay asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `AWS_DEFAULT_REGION`, which Quay's driver reads.
    pub default_region: Option<Region>,
    /// `AWS_REGION`, which config-tool reads.
    pub region: Option<Region>,
    /// `AWS_STS_REGIONAL_ENDPOINTS=regional`.
    pub regional: bool,
}

/// A host of STS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StsEndpoint {
    /// `sts.amazonaws.com`, signed for us-east-1.
    Global,
    /// The host of one region.
    Regional(Region),
    /// Something else that speaks STS: config-tool of Quay 3.17 and later asks `endpoint_url`.
    Elsewhere(EndpointUrl),
}

impl StsEndpoint {
    /// The host's name; of something else its origin.
    pub fn host(&self) -> String {
        match self {
            Self::Global => "sts.amazonaws.com".into(),
            Self::Regional(region) if self.partition() == Some(Partition::China) => {
                format!("sts.{region}.amazonaws.com.cn")
            }
            Self::Regional(region) => format!("sts.{region}.amazonaws.com"),
            Self::Elsewhere(url) => url.origin().to_owned(),
        }
    }

    /// The region that requests to it are signed for.
    pub fn signing_region(&self) -> &str {
        match self {
            Self::Global | Self::Elsewhere(_) => "us-east-1",
            Self::Regional(region) => region.as_str(),
        }
    }

    /// The partition whose roles it knows; none for one that is not supported.
    pub fn partition(&self) -> Option<Partition> {
        match self {
            Self::Global => Some(Partition::Aws),
            Self::Regional(region) => Partition::of_region(region.as_str()),
            Self::Elsewhere(_) => None,
        }
    }
}

/// The hosts that a Quay pod asks: its driver, and config-tool when the pod starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StsEndpoints {
    /// What the driver asks, for as long as the pod lives.
    pub driver: StsEndpoint,
    /// What config-tool asks before the pod is let start.
    pub config_tool: StsEndpoint,
}

impl Environment {
    /// The region that requests to an `endpoint_url` are signed for.
    pub fn signing_region(&self) -> String {
        self.default_region.as_ref().map_or_else(|| "us-east-1".to_owned(), ToString::to_string)
    }

    /// The STS hosts that pods with this environment ask.
    pub fn sts(&self) -> StsEndpoints {
        let Some(default_region) = self.default_region.as_ref().filter(|region| self.regional || is_opt_in(region))
        else {
            return StsEndpoints { driver: StsEndpoint::Global, config_tool: StsEndpoint::Global };
        };
        StsEndpoints {
            driver: StsEndpoint::Regional(default_region.clone()),
            config_tool: self.region.clone().map_or(StsEndpoint::Global, StsEndpoint::Regional),
        }
    }
}

/// Whether a region's S3 refuses tokens of the global STS host: one that has to be opted into, or one of another
/// partition.
pub fn is_opt_in(region: &Region) -> bool {
    !OLD_REGIONS.contains(&region.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(default_region: &str, region: &str, regional: bool) -> [String; 2] {
        let environment =
            Environment { default_region: default_region.parse().ok(), region: region.parse().ok(), regional };
        let sts = environment.sts();
        [sts.driver.host(), sts.config_tool.host()]
    }

    #[test]
    fn quay_asks_the_host_that_its_environment_makes_it_ask() {
        let global = "sts.amazonaws.com";
        for (default_region, region, regional, driver, config_tool) in [
            ("", "", false, global, global),
            ("", "eu-west-1", false, global, global),
            ("", "", true, global, global),
            ("eu-west-1", "", false, global, global),
            ("eu-west-1", "eu-west-1", true, "sts.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com"),
            ("eu-west-1", "", true, "sts.eu-west-1.amazonaws.com", global),
            ("eu-south-1", "eu-south-1", false, "sts.eu-south-1.amazonaws.com", "sts.eu-south-1.amazonaws.com"),
            (
                "us-gov-west-1",
                "us-gov-west-1",
                false,
                "sts.us-gov-west-1.amazonaws.com",
                "sts.us-gov-west-1.amazonaws.com",
            ),
            ("cn-north-1", "cn-north-1", false, "sts.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.amazonaws.com.cn"),
            ("sa-east-1", "", false, global, global),
        ] {
            assert_eq!(
                asked(default_region, region, regional),
                [driver, config_tool],
                "{default_region:?} {region:?} {regional}"
            );
        }
    }
}
