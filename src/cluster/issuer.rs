//! The issuer of the cluster's tokens: what an identity provider of AWS is named after.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{ApiProblem, answered};
use crate::policy::principal::Issuer;

/// What `OpenShift` says of its issuer: `spec.serviceAccountIssuer` of `Authentication` `cluster`. None where the cluster is none of
/// `OpenShift`, does not say, or does not let us see.
///
/// # Errors
/// The API server did not answer.
pub async fn of_openshift(client: &Client) -> Result<Option<Issuer>, ApiProblem> {
    let kind = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("config.openshift.io", "v1", "Authentication"),
        "authentications",
    );
    let authentications: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    match answered(authentications.get("cluster")).await {
        Ok(found) => {
            let issuer =
                found.data.get("spec").and_then(|spec| spec.get("serviceAccountIssuer")).and_then(Value::as_str);
            Ok(issuer.and_then(|issuer| issuer.parse().ok()))
        }
        Err(ApiProblem::NotFound | ApiProblem::Forbidden) => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// The issuer that a token names.
pub fn of_token(token: &SecretString) -> Option<Issuer> {
    let claims = token.expose_secret().split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    claims.get("iss")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_is_read_from_a_token() {
        let of = |claims: &str| of_token(&SecretString::from(format!("a.{}.c", URL_SAFE_NO_PAD.encode(claims))));
        let issuer = of(r#"{"iss":"https://oidc.example.com/id","sub":"x"}"#);
        assert_eq!(issuer.as_ref().map(Issuer::as_str), Some("oidc.example.com/id"));
        assert_eq!(of("{}"), None);
        assert_eq!(of(r#"{"iss":"https://kubernetes"}"#), None);
        assert_eq!(of_token(&SecretString::from("hush")), None);
    }
}
