//! What of a spec the operator's administrator has to allow.

use std::collections::BTreeSet;

use crate::place::EndpointUrl;
use crate::reason::{Failure, Reason};

/// What the operator's administrator allows.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// Endpoints.
    pub endpoints: AllowedEndpoints,
    /// Audiences of service accounts' tokens (`--allow-audience`); any, if none is named: who asks mints none.
    pub audiences: Option<BTreeSet<String>>,
}

impl Allowed {
    /// Everything: whoever asks goes nowhere and mints nothing.
    pub fn any() -> Self {
        Self { endpoints: AllowedEndpoints::Any, audiences: None }
    }

    /// An audience, if it is allowed.
    pub(super) fn audience(&self, audience: &str) -> Result<String, Failure> {
        let Some(audiences) = &self.audiences else { return Ok(audience.to_owned()) };
        if audiences.contains(audience) {
            return Ok(audience.to_owned());
        }
        let known: Vec<&str> = audiences.iter().map(String::as_str).collect();
        Err(Failure::new(
            Reason::AudienceNotAllowed,
            format!(
                "auth.webIdentity.audience {audience:?} is not among those that the operator's administrator allows ({}). Use one of them, or ask for --allow-audience={audience} on `registry-sts run`.",
                known.join(", ")
            ),
        ))
    }

    /// An endpoint, if it is allowed.
    pub(super) fn endpoint(&self, url: EndpointUrl) -> Result<EndpointUrl, Failure> {
        match &self.endpoints {
            AllowedEndpoints::Any => return Ok(url),
            AllowedEndpoints::Only(origins) if origins.contains(url.origin()) => return Ok(url),
            AllowedEndpoints::Only(_) => {}
        }
        Err(Failure::new(
            Reason::EndpointNotAllowed,
            format!(
                "endpointUrl {} is not among the endpoints that the operator's administrator allows. Ask for --allow-endpoint={} on `registry-sts run`, or use region for AWS S3.",
                url.as_str(),
                url.origin()
            ),
        ))
    }
}

/// The endpoints that the operator's administrator allows, by origin (`--allow-endpoint`).
#[derive(Clone, Debug)]
pub enum AllowedEndpoints {
    /// All: whoever asks goes to none of them.
    Any,
    /// These origins.
    Only(BTreeSet<String>),
}

impl FromIterator<EndpointUrl> for AllowedEndpoints {
    fn from_iter<T: IntoIterator<Item = EndpointUrl>>(urls: T) -> Self {
        Self::Only(urls.into_iter().map(|url| url.origin().to_owned()).collect())
    }
}
