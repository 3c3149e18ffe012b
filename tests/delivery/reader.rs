//! Somebody who types what a page tells to type.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::console::Block;
use crate::files::{root, tool};
use crate::harness::iam::Key;
use crate::harness::world::World;

/// A shell at the top of a clone, for one block after the other.
pub(crate) struct Reader<'a> {
    pub(crate) page: &'static str,
    world: &'a World,
    pub(crate) folder: &'a Path,
    /// What the page tells its reader to replace.
    variables: String,
}

impl<'a> Reader<'a> {
    pub(crate) fn of(page: &'static str, world: &'a World, variables: String) -> Self {
        let folder = world.dir.path();
        for name in ["deploy", "crds"] {
            symlink(root().join(name), folder.join(name)).unwrap();
        }
        std::fs::create_dir(folder.join("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_registry-sts"), folder.join("bin/registry-sts")).unwrap();
        symlink(env!("CARGO_BIN_EXE_registry-sts"), folder.join("bin/kubectl-registry_sts")).unwrap();
        symlink(tool("kubectl"), folder.join("bin/kubectl")).unwrap();
        Self { page, world, folder, variables }
    }

    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut shell = Command::new("bash");
        let path = format!("{}:{}", self.folder.join("bin").display(), std::env::var("PATH").unwrap());
        shell
            .args(["-euo", "pipefail", "-c", &format!("{}\n{script}", self.variables)])
            .current_dir(self.folder)
            .env("PATH", path)
            .env("HOME", self.folder)
            .env("KUBECONFIG", self.world.plane.info("kubeconfig"))
            .env("AWS_ENDPOINT_URL", self.world.plane.info("aws"))
            .stdin(Stdio::null());
        shell
    }

    /// Types what stands in a block; what is printed.
    pub(crate) fn types(&self, block: &Block) -> String {
        let script = block.commands().join("\n");
        let output = self.shell(&script).output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{}:{}: {script}\n{out}{err}", self.page, block.line);
        out
    }

    /// Types a command that stays.
    pub(crate) fn leaves_running(&self, block: &Block) -> Running {
        let [command] = block.commands().try_into().unwrap();
        let log = self.folder.join("operator.log");
        // The program itself, and not a shell that waits for it, gets the signal.
        let (variable, program) = command.split_once(' ').unwrap();
        let mut shell = self.shell(&format!("export {variable}; exec {program}"));
        Running(shell.stderr(File::create(&log).unwrap()).spawn().unwrap())
    }

    pub(crate) fn has_key(&self, key: &Key) {
        let mut file = File::create(self.folder.join("key.env")).unwrap();
        writeln!(file, "AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}", key.id, key.secret).unwrap();
    }
}

pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn ends(&mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
