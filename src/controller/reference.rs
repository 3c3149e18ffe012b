//! What an answer of the API server says of what is referred to.

use crate::cluster::ApiProblem;
use crate::cluster::secrets::Read;
use crate::cluster::version::Version;
use crate::plan::observation::Reference;

/// Where a reference leads; `grant` is the command that lets the operator see it, asked for only if it may not.
pub(super) async fn of<T>(answer: Result<T, ApiProblem>, grant: impl Future<Output = String>) -> Reference<T> {
    match answer {
        Ok(found) => Reference::Found(found),
        Err(ApiProblem::NotFound) => Reference::Missing,
        Err(ApiProblem::Forbidden) => Reference::Forbidden { grant: grant.await },
        Err(problem) => Reference::Unreadable { why: problem.to_string() },
    }
}

/// The same of a Secret, and which version that is of, if it is known.
pub(super) async fn of_secret<T>(
    answer: Result<Read<T>, ApiProblem>,
    grant: impl Future<Output = String>,
) -> (Reference<T>, Option<Version>) {
    let version = match &answer {
        Ok(read) => Some(read.version.clone()),
        Err(ApiProblem::NotFound) => Some(Version::Absent),
        Err(_) => None,
    };
    (of(answer.map(|read| read.content), grant).await, version)
}
