//! A plan in words. Nothing secret is in it.

use std::fmt;

use super::{Plan, ProofState, Standing, Standings};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, location) in self.locations.iter().enumerate() {
            let proof = match &location.proof {
                ProofState::Pending => "being proven".to_owned(),
                ProofState::Proven(_) => "proven".to_owned(),
                ProofState::Stale(_, failure) => format!("proven before, now {}", failure.reason.as_str()),
                ProofState::Earlier(_) => "proven before a restart".to_owned(),
                ProofState::Skipped => "not tried".to_owned(),
                ProofState::Failed(_, failure) => format!("not proven ({})", failure.reason.as_str()),
            };
            let entry = match &self.standings {
                Standings::NotLooked | Standings::Unusable(_) => "not looked at".to_owned(),
                Standings::Each(each) => match each.get(index) {
                    Some(Standing::Kept(failure)) => format!("kept as it is ({})", failure.reason.as_str()),
                    Some(Standing::Current) if self.writes(&location.name) => match self.held {
                        Some(_) if self.pending.is_some() => "to be approved of".to_owned(),
                        Some(_) => "undone by somebody else".to_owned(),
                        None => "to be written".to_owned(),
                    },
                    Some(Standing::Current) | None => "current".to_owned(),
                },
            };
            writeln!(f, "location {}: {proof}; its entry: {entry}", location.name)?;
        }
        for annotation in &self.annotations {
            let super::web_identity::Annotation { account, role, .. } = annotation;
            writeln!(f, "service account {account}: add annotation {}={role}", super::web_identity::ROLE_ARN)?;
        }
        if let Some(write) = self
            .write
            .as_ref()
            .filter(|write| write.keep.as_ref().is_some_and(|keep| keep.remembered.is_some()) && self.held.is_none())
        {
            writeln!(f, "Secret {}: keep what stands there first", write.secret_name)?;
        }
        match (&self.write, &self.standings) {
            (Some(write), _) => {
                let secret = &write.secret_name;
                let (change, would) = match &write.output {
                    None => ("change config.yaml".to_owned(), "config.yaml would change".to_owned()),
                    Some(output) => {
                        let source = format!("Secret {}", output.source);
                        let (does, would) = if output.creates {
                            ("create it from", "it would be created from")
                        } else {
                            ("bring it in step with", "it would be brought in step with")
                        };
                        (format!("{does} {source}"), format!("{would} {source}"))
                    }
                };
                match self.held.as_ref().map(|held| (held.wait, held.failure.reason.as_str())) {
                    None => writeln!(f, "Secret {secret}: {change}"),
                    Some((Some(wait), reason)) => {
                        writeln!(f, "Secret {secret}: {change}, not before {wait:#} ({reason})")
                    }
                    Some((None, reason)) => writeln!(f, "Secret {secret}: {would} ({reason})"),
                }
            }
            (None, Standings::Unusable(failure)) => writeln!(f, "nothing to write ({})", failure.reason.as_str()),
            (None, _) => writeln!(f, "nothing to write"),
        }
    }
}

impl Plan {
    fn writes(&self, location: &str) -> bool {
        self.write.as_ref().is_some_and(|write| write.locations.iter().any(|name| name == location))
    }
}
