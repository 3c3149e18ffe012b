//! The manifests as text. What is no manifest is a comment, so that the whole can be given to kubectl.

use std::fmt::Write as _;

use serde_json::json;

use super::keys::KeySecret;
use super::location::Adopted;
use super::preview::Preview;
use super::{Bundle, fill_in};
use crate::api::QuayStorageSpec;
use crate::policy::location::Documents;

/// All that is printed.
pub(super) struct Printed<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) resource: &'a str,
    pub(super) spec: &'a QuayStorageSpec,
    pub(super) adopted: &'a [Adopted],
    pub(super) left: &'a [String],
    pub(super) keys: &'a [KeySecret],
    pub(super) preview: &'a Preview,
    pub(super) policies: &'a [Documents],
}

/// Why something cannot be printed.
type Unprintable = Box<dyn std::error::Error>;

impl Printed<'_> {
    pub(super) fn text(&self) -> Result<String, Unprintable> {
        let mut out = String::new();
        self.head(&mut out);
        for (index, key) in self.keys.iter().enumerate() {
            self.key(key, index == 0, &mut out)?;
        }
        self.storage(&mut out)?;
        self.change(&mut out);
        for policies in self.policies {
            comment(&format!("\nThe policies of location {}, with the least privilege:", policies.location), &mut out);
            comment(&serde_json::to_string_pretty(policies)?, &mut out);
        }
        Ok(fill_in::shown(&out))
    }

    fn head(&self, out: &mut String) {
        let of = match &self.bundle.consumer.registry {
            Some(registry) => format!("{}, the bundle of QuayRegistry {registry}", self.bundle.called()),
            None => self.bundle.called(),
        };
        comment(&format!("What leaves {of}, as it is. Fill in what stands in <…>, then apply it."), out);
        for left in self.left {
            comment(&format!("Left alone: {left}"), out);
        }
    }

    fn key(&self, key: &KeySecret, is_first: bool, out: &mut String) -> Result<(), Unprintable> {
        comment(&format!("\nThe access key of location {}.", key.locations.join(", ")), out);
        if let Some(command) = key.command(self.bundle) {
            comment(
                "Fill it in; or leave this document out, and create the Secret from the bundle, without seeing it:",
                out,
            );
            comment(&command, out);
        }
        let [id, secret] = key.placeholders().map(|placeholder| json!(placeholder));
        out.push_str(if is_first { "" } else { "---\n" });
        out.push_str("apiVersion: v1\nkind: Secret\n");
        self.metadata(&key.name, out)?;
        write!(out, "type: Opaque\nstringData:\n  AWS_ACCESS_KEY_ID: {id}\n  AWS_SECRET_ACCESS_KEY: {secret}\n")?;
        Ok(())
    }

    fn storage(&self, out: &mut String) -> Result<(), Unprintable> {
        out.push_str(if self.keys.is_empty() { "" } else { "---\n" });
        out.push_str("apiVersion: registry-sts.dev/v1alpha1\nkind: QuayStorage\n");
        self.metadata(self.resource, out)?;
        out.push_str("spec:\n");
        if let Some(registry) = &self.spec.registry_ref {
            writeln!(out, "  registryRef: {{name: {}}}", json!(registry.name))?;
        }
        if let Some(bundle) = &self.spec.config_bundle_secret {
            writeln!(out, "  configBundleSecret: {}", json!(bundle))?;
        }
        if self.spec.replicate {
            out.push_str("  replicate: true\n");
        }
        out.push_str("  locations:\n");
        for one in self.adopted {
            for remark in &one.remarks {
                writeln!(out, "  # {remark}")?;
            }
            let mut lead = "  - ";
            for line in serde_yaml::to_string(&one.location)?.lines() {
                writeln!(out, "{lead}{line}")?;
                lead = "    ";
            }
        }
        Ok(())
    }

    fn metadata(&self, name: &str, out: &mut String) -> Result<(), Unprintable> {
        writeln!(out, "metadata:\n  name: {}", json!(name))?;
        if let Some(namespace) = &self.bundle.namespace {
            writeln!(out, "  namespace: {}", json!(namespace))?;
        }
        Ok(())
    }

    fn change(&self, out: &mut String) {
        out.push_str("#\n");
        for (location, failure) in &self.preview.failures {
            let location = location.as_ref().map_or_else(String::new, |name| format!("location {name}: "));
            let reason = failure.reason.as_str();
            comment(&format!("As it is, this would not be written: {location}{reason}: {}", failure.message), out);
        }
        if self.preview.failures.iter().any(|(location, _)| location.is_none()) {
            comment("What else it would change can be told when that is mended.", out);
        } else if self.preview.diff.is_empty() {
            comment("Applying it would change nothing of config.yaml.", out);
        } else {
            let what = if self.adopted.iter().any(|one| one.migrates) { ", once the roles are filled in" } else { "" };
            comment(
                &format!("Applying it would change config.yaml{what}, and restart Quay (secrets are masked):"),
                out,
            );
            comment(&self.preview.diff, out);
        }
    }
}

/// A text as comments, line by line. What some reader of YAML takes for the end of a line is none of ours.
pub(super) fn comment(text: &str, out: &mut String) {
    let shown = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { '\u{fffd}' } else { c };
    for line in text.lines() {
        let line: String = format!("# {line}").trim_end().chars().map(shown).collect();
        out.push_str(&line);
        out.push('\n');
    }
}
