//! The pure rooms of registry-sts, compiled by themselves: a fuzz build takes a minute or two, and neither the
//! Kubernetes nor the AWS client is in it. A room that comes to need another one fails to compile here: add it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

#[path = "../../src/arn.rs"]
pub mod arn;
#[path = "../../src/bundle/mod.rs"]
pub mod bundle;
#[path = "../../src/fingerprint.rs"]
pub mod fingerprint;
#[path = "../../src/place/mod.rs"]
pub mod place;

/// Writes an input down before it is run, its length first: when the stack overflows, libFuzzer cannot save the input
/// that did it. Where to, is told by `FUZZ_LAST_INPUT`.
pub fn note(input: &[u8]) {
    static LAST: LazyLock<Option<File>> = LazyLock::new(|| File::create(std::env::var_os("FUZZ_LAST_INPUT")?).ok());
    if let Some(file) = &*LAST {
        let length = u64::try_from(input.len()).unwrap_or(u64::MAX).to_le_bytes();
        let _ = file.write_all_at(&[&length, input].concat(), 0);
    }
}
