//! Whatever a command names is there: the program, its flags, paths of the repository, roles of deploy/, fields of a
//! QuayStorage. Those that ask an API server are not run here but in tests/delivery.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{binary, pages};
use crate::console::{blocks, programs};
use crate::files::{documents, kustomized, printed, root, text};

/// What a page may use of any shell, besides what is looked into below.
const SHELL: [&str; 11] = ["cat", "command", "date", "grep", "ln", "mkdir", "printf", "read", "rm", "sed", "umask"];
/// What is there only where the comment above a block says so.
const ELSEWHERE: [(&str, &[&str]); 3] = [("aws", &["aws"]), ("oc", &["openshift"]), ("yq", &["cluster", "openshift"])];
/// What is there to be named.
struct There {
    /// What each verb's help says.
    helps: BTreeMap<String, String>,
    roles: BTreeSet<String>,
    schema: Value,
    targets: String,
}

impl There {
    fn look() -> Self {
        let all = printed(binary().arg("--help"));
        let verbs = all.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        // What is said of a verb may go on in lines that are further in.
        let helps = verbs.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        let helps = helps.filter(|verb| !verb.is_empty() && *verb != "help");
        let helps = helps.map(|verb| (verb.to_owned(), printed(binary().args([verb, "--help"])))).collect();
        let is_role = |object: &&Value| object["kind"] == "ClusterRole";
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        let roles = kustomized("deploy/default").iter().filter(is_role).map(name).collect();
        let crd = documents(&text("crds/quaystorages.yaml")).remove(0);
        let schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        Self { helps, roles, schema, targets: text("Makefile") }
    }

    /// What is wrong with a program and its words, if something is.
    fn fault(&self, words: &[String], needs: Option<&str>) -> Option<String> {
        match words[0].as_str() {
            "registry-sts" => self.verb(&words[1..]),
            "kubectl" | "oc" if words.get(1).is_some_and(|word| word == "registry-sts") => self.verb(&words[2..]),
            "make" => {
                let known = |word: &&String| word.contains('=') || self.targets.contains(&format!("\n{word}:"));
                words[1..].iter().find(|word| !known(word)).map(|word| format!("make has no target {word}"))
            }
            "python3" | "helm" | "kustomize" => paths(words),
            program if SHELL.contains(&program) => None,
            program => {
                let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == program);
                match elsewhere {
                    Some((_, marks)) if !needs.is_some_and(|mark| marks.contains(&mark)) => {
                        Some(format!("{program} needs a comment <!-- needs: {} --> above its block", marks[0]))
                    }
                    None if program != "kubectl" => Some(format!("nobody knows {program}")),
                    _ => self.roles(words).or_else(|| self.fields(words)).or_else(|| paths(words)),
                }
            }
        }
    }

    fn verb(&self, words: &[String]) -> Option<String> {
        let verb = words.first()?;
        if verb.starts_with('-') {
            return None;
        }
        let Some(help) = self.helps.get(verb) else { return Some(format!("registry-sts has no verb {verb}")) };
        let flags = words[1..].iter().filter(|word| word.starts_with('-') && *word != "-");
        let mut names = flags.map(|flag| flag.split('=').next().unwrap());
        let is_known = |flag: &str| {
            let mut told = help.split(|c: char| c.is_whitespace() || ",[".contains(c));
            told.any(|word| word == flag)
        };
        names.find(|flag| !is_known(flag)).map(|flag| format!("registry-sts {verb} has no flag {flag}"))
    }

    fn roles(&self, words: &[String]) -> Option<String> {
        let mut named = words.iter().filter_map(|word| word.strip_prefix("--clusterrole="));
        named.find(|role| !self.roles.contains(*role)).map(|role| format!("deploy/ has no ClusterRole {role}"))
    }

    /// The fields of `QuayStorages` that a command names.
    fn fields(&self, words: &[String]) -> Option<String> {
        let is_ours = |word: &String| ["qst", "quaystorage"].iter().any(|name| word.starts_with(name));
        if !words.iter().any(is_ours) {
            return None;
        }
        for word in words {
            for (at, _) in word.match_indices(".spec.").chain(word.match_indices(".status.")) {
                let is_path = |c: &char| c.is_ascii_alphanumeric() || "._[]*".contains(*c);
                let path: String = word[at + 1..].chars().take_while(is_path).collect();
                // A filter such as [?(@.type=="Ready")] is not followed.
                let path = path.split("[?").next().unwrap().trim_end_matches(['[', '.']);
                let mut schema = &self.schema;
                for part in path.split('.') {
                    let name = part.split('[').next().unwrap();
                    schema = &schema["properties"][name];
                    if schema.is_null() {
                        return Some(format!("a QuayStorage has no .{path}"));
                    }
                    if schema["type"] == "array" {
                        schema = &schema["items"];
                    }
                }
            }
        }
        None
    }
}

/// The paths of the repository that a command names.
fn paths(words: &[String]) -> Option<String> {
    for (flag, path) in words.iter().zip(words.iter().skip(1)) {
        let is_ours = ["deploy", "crds", "docs", "tests"].iter().any(|top| path.split('/').next() == Some(top));
        if is_ours && !root().join(path).exists() {
            return Some(format!("there is no {path}"));
        }
        if flag == "-k" && !root().join(path).join("kustomization.yaml").is_file() {
            return Some(format!("{path} is no kustomization of this repository"));
        }
    }
    None
}

#[test]
fn every_program_flag_path_role_and_field_of_a_command_is_one_that_there_is() {
    let there = There::look();
    let mut wrong = Vec::new();
    for page in pages() {
        for block in blocks(&text(&page)).iter().filter(|block| block.language == "console") {
            let commands = block.commands();
            assert!(!commands.is_empty(), "{page}:{}: a block of console has no line that begins with $", block.line);
            for words in commands.iter().flat_map(|command| programs(command)) {
                let fault = there.fault(&words, block.needs.as_deref());
                wrong.extend(fault.map(|fault| format!("{page}:{}: {fault}", block.line)));
            }
            let marks = ["aws", "openshift", "cluster"];
            if block.needs.as_deref().is_some_and(|mark| !marks.contains(&mark)) {
                wrong.push(format!("{page}:{}: the comment above says none of {marks:?}", block.line));
            }
        }
        for code in text(&page).split('`').filter(|code| code.starts_with("registry-sts ") && !code.contains('\n')) {
            let Some(words) = programs(code).into_iter().next() else { continue };
            let is_verb = words.get(1).is_some_and(|verb| verb.chars().all(|c| c.is_ascii_lowercase()));
            let fault = is_verb.then(|| there.fault(&words, None)).flatten();
            wrong.extend(fault.map(|fault| format!("{page}: `{code}`: {fault}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kustomization_that_a_page_applies_can_be_built() {
    let mut folders = BTreeSet::new();
    for block in pages().iter().flat_map(|page| blocks(&text(page))) {
        for words in block.commands().iter().flat_map(|command| programs(command)) {
            let named = words.iter().zip(words.iter().skip(1)).filter(|(flag, _)| *flag == "-k");
            folders.extend(named.map(|(_, folder)| folder.clone()));
        }
    }
    assert!(folders.contains("deploy/default"));
    for folder in folders {
        assert!(!kustomized(&folder).is_empty(), "{folder}");
    }
}
