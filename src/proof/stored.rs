//! Whether Quay has stored something at a place already.

use serde::Serialize;

use super::session::Program;
use super::{Prover, Terms};
use crate::target::Target;

/// What is below a storage path. The fields are named after the folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// Blobs, by their digest.
    pub sha256: bool,
    /// Uploads that are under way, or were given up.
    pub uploads: bool,
}

impl Prover {
    /// Looks for what Quay stores; nothing where the role does not let it be seen.
    pub async fn stored(&self, target: &Target, terms: Terms<'_>) -> Option<Stored> {
        let session = self.sessions.get(target, Program::Driver, terms).await.ok()?;
        let s3 = self.aws.trusting(target.certificates.as_ref()).s3(
            &session,
            &target.endpoint,
            &target.signing_region,
            &target.bucket,
        );
        let prefix = target.prefix();
        let (blobs, uploads) = (format!("{prefix}sha256/"), format!("{prefix}uploads/"));
        let (sha256, uploads) = tokio::join!(s3.has_any(&blobs), s3.has_any(&uploads));
        Some(Stored { sha256: sha256.ok()?, uploads: uploads.ok()? })
    }
}
