//! What the environment of Quay's pods says, as a `QuayRegistry` overrides it. The values of anything else are dropped
//! here: passwords stand in environments.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Variables that decide which STS host Quay asks.
pub(super) const AWS_DEFAULT_REGION: &str = "AWS_DEFAULT_REGION";
/// See [`AWS_DEFAULT_REGION`].
pub(super) const AWS_REGION: &str = "AWS_REGION";
/// See [`AWS_DEFAULT_REGION`].
pub(super) const AWS_STS_REGIONAL_ENDPOINTS: &str = "AWS_STS_REGIONAL_ENDPOINTS";
/// Where Quay pushes to, whatever config.yaml says.
const PREFERENCE: &str = "QUAY_DISTRIBUTED_STORAGE_PREFERENCE";
/// Keys of config.yaml, as JSON, whatever config.yaml says.
const OVERRIDES: &str = "QUAY_OVERRIDE_CONFIG";

/// The variables whose values are kept: no secret belongs there.
const KEPT: [&str; 4] = [AWS_DEFAULT_REGION, AWS_REGION, AWS_STS_REGIONAL_ENDPOINTS, PREFERENCE];
/// The variables that hold a secret of AWS.
const SECRETS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// The variables that Quay's default chain takes before what the webhook puts into the pod, or that the webhook leaves
/// as they are.
const IDENTITIES: [&str; 5] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"];
/// Where the Quay operator's own token authentication puts the credentials that it mounts.
const CREDENTIALS_FILE: &str = "AWS_SHARED_CREDENTIALS_FILE";
/// The keys of config.yaml that are ours.
const OURS: [&str; 3] =
    ["DISTRIBUTED_STORAGE_CONFIG", "DISTRIBUTED_STORAGE_PREFERENCE", "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS"];

/// A variable as a pod's template has it.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EnvVar {
    name: String,
    value: Option<String>,
    value_from: Option<IgnoredAny>,
}

/// What a variable is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// This.
    To(String),
    /// Something that a Secret or a `ConfigMap` says.
    Elsewhere,
}

/// Which of our keys `QUAY_OVERRIDE_CONFIG` sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Overrides {
    /// None of them.
    #[default]
    NoneOfOurs,
    /// These.
    Ours(Vec<&'static str>),
    /// It is no JSON object, or a Secret or a `ConfigMap` has it.
    Unreadable,
}

/// The environment of a component's pods, as far as it concerns their storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodsEnvironment {
    settings: BTreeMap<&'static str, Setting>,
    /// Which of our keys it sets itself.
    pub overrides: Overrides,
    /// The names of the variables that hold a secret of AWS.
    pub secrets: BTreeSet<&'static str>,
    /// The names of the variables that say who a pod is to AWS.
    pub identities: BTreeSet<&'static str>,
    /// Whether it names a file with credentials.
    pub credentials_file: bool,
}

impl PodsEnvironment {
    /// What the variables say; of several of one name the last counts.
    pub(super) fn of(variables: &[EnvVar]) -> Self {
        let mut environment = Self::default();
        let mut last: BTreeMap<&str, &EnvVar> = BTreeMap::new();
        last.extend(variables.iter().map(|variable| (variable.name.as_str(), variable)));
        // What is set to nothing is as if it were not set, to Quay and to AWS's libraries.
        last.retain(|_, variable| {
            variable.value_from.is_some() || variable.value.as_ref().is_some_and(|v| !v.is_empty())
        });
        let is_set = |name: &&'static str| last.contains_key(name);
        environment.secrets = SECRETS.into_iter().filter(is_set).collect();
        environment.identities = IDENTITIES.into_iter().filter(is_set).collect();
        environment.credentials_file = is_set(&CREDENTIALS_FILE);
        for name in KEPT {
            if let Some(variable) = last.get(name) {
                environment.settings.insert(name, variable.setting());
            }
        }
        if let Some(variable) = last.get(OVERRIDES) {
            environment.overrides = match variable.setting() {
                Setting::To(json) => Overrides::of(&json),
                Setting::Elsewhere => Overrides::Unreadable,
            };
        }
        environment
    }

    /// What a variable that decides about STS is set to.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.get(name)
    }

    /// What `QUAY_DISTRIBUTED_STORAGE_PREFERENCE` is set to.
    pub fn preference(&self) -> Option<&Setting> {
        self.setting(PREFERENCE)
    }

    /// The variables about STS that another component's pods have otherwise.
    pub fn differs_in(&self, other: &Self) -> Vec<&'static str> {
        let about_sts = [AWS_DEFAULT_REGION, AWS_REGION, AWS_STS_REGIONAL_ENDPOINTS];
        about_sts.into_iter().filter(|name| self.setting(name) != other.setting(name)).collect()
    }
}

impl EnvVar {
    fn setting(&self) -> Setting {
        match &self.value {
            Some(value) if self.value_from.is_none() => Setting::To(value.trim().to_owned()),
            _ => Setting::Elsewhere,
        }
    }
}

impl Overrides {
    fn of(json: &str) -> Self {
        let Ok(keys) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json) else {
            return Self::Unreadable;
        };
        let ours: Vec<&'static str> = OURS.into_iter().filter(|key| keys.contains_key(*key)).collect();
        if ours.is_empty() { Self::NoneOfOurs } else { Self::Ours(ours) }
    }

    /// Whether Quay's storage is what the environment says, and nothing in config.yaml.
    pub fn replaces_storage(&self) -> bool {
        matches!(self, Self::Ours(keys) if keys.contains(&OURS[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(yaml: &str) -> PodsEnvironment {
        PodsEnvironment::of(&serde_yaml::from_str::<Vec<EnvVar>>(yaml).unwrap())
    }

    #[test]
    fn only_what_concerns_storage_is_kept_and_no_other_value() {
        let seen = environment(
            "[{name: AWS_DEFAULT_REGION, value: eu-west-1}, {name: AWS_REGION, valueFrom: {configMapKeyRef: {name: c, key: k}}},
              {name: AWS_SECRET_ACCESS_KEY, value: HUSH}, {name: PASSWORD, value: HUSH}, {name: AWS_SESSION_TOKEN, value: ''},
              {name: QUAY_OVERRIDE_CONFIG, value: '{\"DB_URI\": \"HUSH\"}'}, {name: AWS_SHARED_CREDENTIALS_FILE, value: /HUSH}]",
        );
        assert!(!format!("{seen:?}").contains("HUSH"), "{seen:?}");
        assert_eq!(seen.setting(AWS_DEFAULT_REGION), Some(&Setting::To("eu-west-1".into())));
        assert_eq!(seen.setting(AWS_REGION), Some(&Setting::Elsewhere));
        assert_eq!(seen.overrides, Overrides::NoneOfOurs);
        assert_eq!(seen.secrets, ["AWS_SECRET_ACCESS_KEY"].into());
        assert!(seen.credentials_file && seen.preference().is_none());
    }

    #[test]
    fn of_two_variables_of_a_name_the_last_counts_and_an_empty_one_is_not_set() {
        let seen = environment(
            "[{name: AWS_DEFAULT_REGION, value: eu-west-1}, {name: AWS_DEFAULT_REGION, value: ''}, {name: AWS_REGION, value: a-b-1}, {name: AWS_REGION, value: ' us-east-1 '}]",
        );
        assert_eq!(seen.setting(AWS_DEFAULT_REGION), None);
        assert_eq!(seen.setting(AWS_REGION), Some(&Setting::To("us-east-1".into())));
        assert_eq!(seen.differs_in(&PodsEnvironment::default()), ["AWS_REGION"]);
    }

    #[test]
    fn an_override_is_told_by_our_keys_in_it() {
        for (json, expected) in [
            ("{}", Overrides::NoneOfOurs),
            ("{\"DISTRIBUTED_STORAGE_CONFIG\": {}}", Overrides::Ours(vec!["DISTRIBUTED_STORAGE_CONFIG"])),
            ("{\"DISTRIBUTED_STORAGE_PREFERENCE\": []}", Overrides::Ours(vec!["DISTRIBUTED_STORAGE_PREFERENCE"])),
            ("not json", Overrides::Unreadable),
            ("[]", Overrides::Unreadable),
        ] {
            assert_eq!(Overrides::of(json), expected, "{json}");
        }
        assert!(Overrides::of("{\"DISTRIBUTED_STORAGE_CONFIG\": {}}").replaces_storage());
        assert!(!Overrides::of("{\"DISTRIBUTED_STORAGE_PREFERENCE\": []}").replaces_storage());
    }
}
