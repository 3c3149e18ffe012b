//! The programs that read YAML, kept running: documents in, what each reads out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// What a reader made of a document: its value, or why it cannot read it.
pub(crate) type Reading = Result<Value, String>;

/// One program. It is ended when this is dropped, so also when a test fails.
pub(crate) struct Reader {
    pub(crate) name: String,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// Starts all three, after building them where needed.
pub(crate) fn start() -> Vec<Reader> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/prepare.py");
    let mut python = Command::new("python3");
    let prepared = python.arg(script).stderr(Stdio::inherit()).output().expect("python3 is needed for the readers");
    assert!(prepared.status.success(), "the readers could not be made: see the words above");
    let commands: Value = serde_json::from_slice(&prepared.stdout).unwrap();
    let commands = commands.as_object().unwrap().iter();
    commands.map(|(name, command)| Reader::start(name, command)).collect()
}

/// What each reader reads, reader by reader, in the order of the documents.
pub(crate) fn read(readers: &mut [Reader], documents: &[&str]) -> Vec<Vec<Reading>> {
    thread::scope(|scope| {
        let reading: Vec<_> = readers.iter_mut().map(|reader| scope.spawn(move || reader.read(documents))).collect();
        reading.into_iter().map(|reading| reading.join().expect("a reader ended")).collect()
    })
}

impl Reader {
    fn start(name: &str, command: &Value) -> Self {
        let mut words = command.as_array().unwrap().iter().map(|word| word.as_str().unwrap());
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a reader that was made starts");
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { name: name.to_owned(), child, stdin, stdout }
    }

    fn read(&mut self, documents: &[&str]) -> Vec<Reading> {
        let Self { name, stdin, stdout, .. } = self;
        thread::scope(|scope| {
            // On a thread of its own: a pipe holds only so much until somebody reads the answers.
            scope.spawn(move || {
                for (id, document) in documents.iter().enumerate() {
                    let request = json!({"id": id, "yaml": BASE64_STANDARD.encode(document)});
                    writeln!(stdin, "{request}").unwrap();
                }
                stdin.flush().unwrap();
            });
            let mut answer = String::new();
            (0..documents.len())
                .map(|id| {
                    answer.clear();
                    stdout.read_line(&mut answer).unwrap();
                    assert!(!answer.is_empty(), "{name} ended at {:?}", documents[id]);
                    let mut answer: Value = serde_json::from_str(&answer).unwrap();
                    assert_eq!(answer["id"], json!(id), "{name} answers in order");
                    match answer.get("error").and_then(Value::as_str) {
                        Some(error) => Err(error.to_owned()),
                        None => Ok(answer["value"].take()),
                    }
                })
                .collect()
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
