//! Which object, at which version.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Which Secret, at which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// There is none of that name.
    Absent,
    /// This one.
    At {
        /// Its uid.
        uid: String,
        /// Its resourceVersion.
        resource_version: String,
    },
}

impl Version {
    /// The version that an object's metadata tells.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self::At {
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
        }
    }

    /// The object's resourceVersion; empty for one that is absent.
    pub fn resource_version(&self) -> &str {
        match self {
            Self::Absent => "",
            Self::At { resource_version, .. } => resource_version,
        }
    }

    /// The object's uid; empty for one that is absent.
    pub fn uid(&self) -> &str {
        match self {
            Self::Absent => "",
            Self::At { uid, .. } => uid,
        }
    }

    /// Whether a watch that tells this version lags behind the one that is known. The API server's versions are
    /// decimal numbers that grow.
    pub(super) fn is_older_than(&self, known: &Self) -> bool {
        match (self, known) {
            (Self::At { resource_version: told, .. }, Self::At { resource_version: known, .. }) => {
                matches!((told.parse::<u128>(), known.parse::<u128>()), (Ok(told), Ok(known)) if told < known)
            }
            _ => false,
        }
    }
}
