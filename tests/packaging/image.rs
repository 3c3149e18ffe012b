//! The container image: what is in it, and that it runs as clusters run it. It is built once, by deploy/image/build.py.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::files::{printed, root, text};

/// As OpenShift gives one to a namespace.
const SOMEBODY: &str = "1000680000:0";
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";
/// Runs a program in a root file system that is read-only, with what is mounted over one of its files.
const CONTAINED: &str = r#"
mount --bind "$1" "$1"
[ -z "$2" ] || mount --bind "$2" "$1/$3"
mount -o remount,bind,ro "$1"
if touch "$1/written" 2>/dev/null; then echo 'the root file system can be written' >&2; exit 99; fi
root=$1; as=$4; shift 4
exec chroot $as "$root" "$@"
"#;

struct Image {
    archive: PathBuf,
    rootfs: PathBuf,
    digest: String,
}

static IMAGE: LazyLock<Image> = LazyLock::new(|| {
    let digest = build(&root().join("target/image"));
    let out = root().join("target/image");
    Image { archive: out.join("registry-sts.oci.tar"), rootfs: out.join(architecture()).join("rootfs"), digest }
});

fn build(out: &Path) -> String {
    let mut build = Command::new("python3");
    printed(build.args(["deploy/image/build.py", "--allow-glibc", "--out"]).arg(out)).trim().to_owned()
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}

/// The binary in its image, as a user that the image does not know; with other authorities, if there are any.
fn contained(authorities: Option<&Path>, arguments: &[&str]) -> Command {
    let is_root = Path::new("/proc/self").metadata().unwrap().uid() == 0;
    let as_root: &[&str] = if is_root { &[] } else { &["--user", "--map-root-user"] };
    let probe = Command::new("unshare").args(as_root).args(["--mount", "true"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("not in a root file system of its own: mounting is not allowed here");
        let mut command = Command::new(IMAGE.rootfs.join("registry-sts"));
        let authorities = authorities.map_or_else(|| IMAGE.rootfs.join(AUTHORITIES), Path::to_owned);
        command.args(arguments).env_clear().env("SSL_CERT_FILE", authorities);
        return command;
    }
    let mut command = Command::new("unshare");
    command.args(as_root);
    let user = if is_root {
        format!("--userspec={SOMEBODY} --groups=")
    } else {
        eprintln!("not as another user: that needs root");
        String::new()
    };
    command.args(["--mount", "--propagation", "private", "sh", "-euc", CONTAINED, "sh"]).arg(&IMAGE.rootfs);
    command.arg(authorities.unwrap_or(Path::new(""))).args([AUTHORITIES, &user, "/registry-sts"]).args(arguments);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/");
    command
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A blob of the archive, which has the digest that it is called by.
fn blob(descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap();
    let member = format!("blobs/{}", digest.replace(':', "/"));
    let output = Command::new("tar").arg("-xOf").arg(&IMAGE.archive).arg(member).output().unwrap();
    assert!(output.status.success());
    assert_eq!(descriptor["size"], output.stdout.len());
    let hash: Vec<String> = Sha256::digest(&output.stdout).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, format!("sha256:{}", hash.concat()));
    output.stdout
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The manifest of this machine's architecture.
fn manifest() -> Value {
    let layout = json(printed(Command::new("tar").arg("-xOf").arg(&IMAGE.archive).arg("index.json")).as_bytes());
    assert_eq!(layout["manifests"][0]["digest"], IMAGE.digest);
    let index = json(&blob(&layout["manifests"][0]));
    assert_eq!(index["manifests"][0]["platform"]["architecture"], architecture());
    json(&blob(&index["manifests"][0]))
}

fn sbom() -> Value {
    json(&std::fs::read(IMAGE.rootfs.join("usr/share/doc/registry-sts/sbom.cdx.json")).unwrap())
}

#[test]
fn the_binary_needs_no_interpreter_and_no_library() {
    const INTERPRETER: u64 = 3;
    const DYNAMIC: u64 = 2;
    let elf = std::fs::read(IMAGE.rootfs.join("registry-sts")).unwrap();
    let number = |at: usize, bytes: usize| -> u64 {
        elf[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let place = |at: usize| usize::try_from(number(at, 8)).unwrap();
    assert_eq!(elf[..6], *b"\x7fELF\x02\x01");
    let (table, size, count) = (place(0x20), number(0x36, 2), number(0x38, 2));
    for index in 0..count {
        let header = table + usize::try_from(index * size).unwrap();
        let kind = number(header, 4);
        assert_ne!(kind, INTERPRETER, "it has an interpreter");
        if kind == DYNAMIC {
            let section = &elf[place(header + 8)..][..place(header + 0x20)];
            let needed = section.chunks_exact(16).filter(|entry| entry[..8] == 1_u64.to_le_bytes()).count();
            assert_eq!(needed, 0, "it needs libraries");
        }
    }
    assert!(elf.windows(8).any(|bytes| bytes == b"\0.dep-v0"), "it does not say what it is made of");
}

#[test]
fn it_runs_as_a_user_that_it_does_not_know_on_a_root_that_cannot_be_written() {
    assert_eq!(printed(&mut contained(None, &["--version"])), format!("registry-sts {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(printed(&mut contained(None, &["crd", "quaystorages"])), text("crds/quaystorages.yaml"));
}

#[test]
fn without_a_cluster_it_says_so() {
    let output = contained(None, &["run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("there is no cluster to work in"), "{}", told(&output));
}

#[test]
fn what_the_images_authorities_vouch_for_is_trusted_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own.crt");
    let python = printed(Command::new("python3").arg("tests/controlplane/venv.py"));
    let mut server = Command::new(python.trim());
    server.arg("tests/packaging/image/server.py").arg(&own).current_dir(root());
    let mut server = server.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();

    let own = std::fs::read_to_string(own).unwrap();
    let authorities = folder.path().join("authorities.crt");
    std::fs::write(&authorities, std::fs::read_to_string(IMAGE.rootfs.join(AUTHORITIES)).unwrap() + &own).unwrap();
    let check = |authorities: Option<&Path>| {
        let mut check = contained(authorities, &["check", "--read-only", "-f", "-"]);
        check.env("AWS_ENDPOINT_URL", format!("https://127.0.0.1:{}", port.trim()));
        check.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut check = check.spawn().unwrap();
        check.stdin.take().unwrap().write_all(STORAGE.as_bytes()).unwrap();
        told(&check.wait_with_output().unwrap())
    };
    let (without, with) = (check(None), check(Some(&authorities)));
    drop(server.stdin.take());
    assert!(server.wait().unwrap().success());
    assert!(without.contains("there was no connection"), "{without}");
    assert!(with.contains("without an error code of AWS"), "{with}");
}

const STORAGE: &str = "
apiVersion: registry-sts.dev/v1alpha1
kind: QuayStorage
metadata: {name: example, namespace: quay}
spec:
  configBundleSecret: bundle
  locations:
  - name: default
    roleArn: arn:aws:iam::123492922789:role/example-role
    bucket: my-quay-bucket
    region: us-east-1
    auth: {accessKey: {secretRef: {name: quay-user}}}
---
apiVersion: v1
kind: Secret
metadata: {name: quay-user, namespace: quay}
stringData: {AWS_ACCESS_KEY_ID: AKIAIOSFODNN7EXAMPLE, AWS_SECRET_ACCESS_KEY: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY}
";

#[test]
fn its_authorities_are_mozillas_and_can_be_read() {
    let pem = std::fs::read(IMAGE.rootfs.join(AUTHORITIES)).unwrap();
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect();
    assert!(certificates.len() > 100, "{}", certificates.len());
    for certificate in &certificates {
        webpki::anchor_from_trusted_cert(certificate).unwrap();
    }
}

#[test]
fn the_same_binary_is_packed_into_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(build(folder.path()), IMAGE.digest);
}

#[test]
fn the_layer_has_these_files_and_they_are_roots() {
    let layer = blob(&manifest()["layers"][0]);
    let mut tar = Command::new("tar");
    tar.args(["-tzvf", "-", "--numeric-owner"]).env("TZ", "UTC").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut tar = tar.spawn().unwrap();
    let mut input = tar.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(&layer));
    let listed = String::from_utf8(tar.wait_with_output().unwrap().stdout).unwrap();
    writer.join().unwrap().unwrap();
    let mut members = Vec::new();
    for line in listed.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, _, _, _, name] = fields[..] else { panic!("{line}") };
        assert_eq!(owner, "0/0", "{line}");
        members.push(format!("{mode} {name}"));
    }
    let expected = [
        "drwxr-xr-x etc/",
        "-rw-r--r-- etc/group",
        "-rw-r--r-- etc/passwd",
        "drwxr-xr-x etc/ssl/",
        "drwxr-xr-x etc/ssl/certs/",
        "-rw-r--r-- etc/ssl/certs/ca-certificates.crt",
        "-rwxr-xr-x registry-sts",
        "drwxr-xr-x usr/",
        "drwxr-xr-x usr/share/",
        "drwxr-xr-x usr/share/doc/",
        "drwxr-xr-x usr/share/doc/registry-sts/",
        "-rw-r--r-- usr/share/doc/registry-sts/LICENSE",
        "-rw-r--r-- usr/share/doc/registry-sts/THIRD-PARTY.txt",
        "-rw-r--r-- usr/share/doc/registry-sts/sbom.cdx.json",
    ];
    assert_eq!(members, expected);
}

#[test]
fn the_containerfile_makes_the_same_of_it() {
    let config = json(&blob(&manifest()["config"]));
    let config = &config["config"];
    let containerfile = text("deploy/image/Containerfile");
    let instruction = |name: &str| containerfile.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    assert_eq!(config["User"], instruction("USER"));
    assert_eq!(config["Entrypoint"], json(instruction("ENTRYPOINT").as_bytes()));
    assert_eq!(config["WorkingDir"], instruction("WORKDIR"));
    let named = containerfile.split("org.opencontainers.image.").skip(1).map(|rest| rest.split_once('=').unwrap());
    let labels = config["Labels"].as_object().unwrap();
    let mut count = 0;
    for (key, rest) in named {
        let value = rest.split('"').nth(1).unwrap();
        let label = labels[&format!("org.opencontainers.image.{key}")].as_str().unwrap();
        assert!(value.starts_with("${") || value == label, "{key} is {value} there, and {label} here");
        count += 1;
    }
    assert_eq!(count, labels.len());
}

#[test]
fn the_bill_of_materials_has_every_crate_of_the_binary_and_so_have_the_licences() {
    let sysroot = printed(Command::new("rustc").args(["--print", "sysroot"]));
    let target = |libc: &str| format!("{}-unknown-linux-{libc}", std::env::consts::ARCH);
    // What was built, where musl could not be had.
    let has_musl = Path::new(sysroot.trim()).join("lib/rustlib").join(target("musl")).is_dir();
    let target = target(if has_musl { "musl" } else { "gnu" });
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe"]);
    tree.args(["--target", &target]);
    let crates: BTreeSet<String> = printed(&mut tree)
        .lines()
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ").replace(" v", " "))
        .filter(|name| !name.starts_with("registry-sts "))
        .collect();
    let bill = sbom();
    assert_eq!(bill["metadata"]["component"]["name"], "registry-sts");
    let listed: BTreeSet<String> = bill["components"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|component| component["scope"] == "required")
        .inspect(|component| assert!(component["hashes"][0]["content"].is_string(), "{component}"))
        .map(|component| format!("{} {}", component["name"].as_str().unwrap(), component["version"].as_str().unwrap()))
        .collect();
    assert_eq!(crates.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new());
    // cargo-auditable goes by `cargo metadata`, which takes a crate for needed that only a feature nobody asked for needs.
    let more: Vec<&str> = listed.difference(&crates).map(|name| name.split_once(' ').unwrap().0).collect();
    assert_eq!(more, ["bstr"]);
    let licences = std::fs::read_to_string(IMAGE.rootfs.join("usr/share/doc/registry-sts/THIRD-PARTY.txt")).unwrap();
    for name in crates {
        assert!(licences.contains(&format!("\n{name}: ")), "THIRD-PARTY.txt does not have {name}");
    }
}
