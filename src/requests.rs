//! What people ask of a resource by an annotation. The value says when; a new one is a new request, and the answer is its
//! echo in status.

use std::collections::BTreeMap;

use crate::api::status::QuayStorageStatus;
use crate::status::shortened;

/// Look at everything anew; Flux's own spelling, so that its tools work.
pub const LOOK: &str = "reconcile.fluxcd.io/requestedAt";
/// Prove every location anew, in full.
pub const PROVE: &str = "registry-sts.dev/proveAt";

/// Make this change, where each is to be approved of; the value is its digest, and there is no echo.
pub const APPROVE: &str = "registry-sts.dev/approve";

/// A time is shorter; of what is longer this much counts, and is echoed.
const LIMIT: usize = 256;

/// The values of the annotations, where they are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Requests {
    /// Of [`LOOK`].
    pub look: Option<String>,
    /// Of [`PROVE`].
    pub prove: Option<String>,
    /// Of [`APPROVE`].
    pub approve: Option<String>,
}

impl Requests {
    /// What the annotations ask for.
    pub fn of(annotations: &BTreeMap<String, String>) -> Self {
        let value = |key: &str| annotations.get(key).map(|value| shortened(value.clone(), LIMIT));
        Self { look: value(LOOK), prove: value(PROVE), approve: value(APPROVE) }
    }

    /// Those that status does not echo yet.
    #[must_use]
    pub fn open(self, status: Option<&QuayStorageStatus>) -> Self {
        let open = |asked: Option<String>, echo: Option<&String>| asked.filter(|asked| Some(asked) != echo);
        Self {
            look: open(self.look, status.and_then(|status| status.last_handled_reconcile_at.as_ref())),
            prove: open(self.prove, status.and_then(|status| status.last_handled_prove_at.as_ref())),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(look: &str, prove: &str) -> Requests {
        Requests::of(&[(LOOK.to_owned(), look.to_owned()), (PROVE.to_owned(), prove.to_owned())].into())
    }

    #[test]
    fn a_request_is_open_until_status_echoes_it() {
        let status = QuayStorageStatus {
            last_handled_reconcile_at: Some("monday".into()),
            last_handled_prove_at: Some("monday".into()),
            ..QuayStorageStatus::default()
        };
        assert_eq!(asked("monday", "monday").open(None), asked("monday", "monday"));
        assert_eq!(asked("monday", "monday").open(Some(&status)), Requests::default());
        let prove = Some("tuesday".to_owned());
        assert_eq!(asked("monday", "tuesday").open(Some(&status)), Requests { prove, ..Requests::default() });
        assert_eq!(Requests::default().open(Some(&status)), Requests::default(), "what is not asked is not answered");
    }

    #[test]
    fn what_is_too_long_for_status_is_echoed_as_far_as_it_counts() {
        let long = asked(&"x".repeat(100_000), "monday");
        let echo = long.look.clone().unwrap();
        assert!(echo.len() < 300);
        let status = QuayStorageStatus { last_handled_reconcile_at: Some(echo), ..QuayStorageStatus::default() };
        assert_eq!(long.open(Some(&status)).look, None);
    }
}
