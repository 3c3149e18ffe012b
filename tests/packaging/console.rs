//! Pages as their readers take them: blocks, the commands in them, and the programs that these run.

/// A fenced block of a page.
pub(crate) struct Block {
    /// The line of its first fence, counted from 1.
    pub(crate) line: usize,
    pub(crate) language: String,
    /// What a comment above it says it needs: `aws`, `openshift`, `cluster`.
    pub(crate) needs: Option<String>,
    pub(crate) text: String,
}

/// The fenced blocks of a page.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut above = "";
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            let needs = above.strip_prefix("<!-- needs: ").and_then(|rest| rest.strip_suffix(" -->"));
            blocks.push(Block {
                line: index + 1,
                language: language.to_owned(),
                needs: needs.map(str::to_owned),
                text: text.join("\n"),
            });
        }
        above = line;
    }
    blocks
}

impl Block {
    /// What is typed after each `$`, with all its lines; what is printed is left out.
    pub(crate) fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let Some(mut command) = line.strip_prefix("$ ").map(str::to_owned) else { continue };
            while command.ends_with(['\\', '|']) {
                command = format!("{command}\n{}", lines.next().expect("a command that goes on has another line"));
            }
            if let Some((_, end)) = command.split_once("<<") {
                let end = end.split_whitespace().next().unwrap().to_owned();
                for line in lines.by_ref() {
                    command = format!("{command}\n{line}");
                    if line == end {
                        break;
                    }
                }
            }
            commands.push(command);
        }
        commands
    }
}

/// The programs that a command runs, each as its words: those of a pipeline, of a list and of `$(…)`. Assignments,
/// redirections and comments are left out.
pub(crate) fn programs(command: &str) -> Vec<Vec<String>> {
    let shell = command.split_once("<<").map_or(command, |(before, _)| before);
    let mut reader = Reader { text: shell.chars().collect(), at: 0, programs: Vec::new() };
    reader.list();
    let is_assignment = |word: &String| {
        word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    };
    let mut programs = reader.programs;
    for words in &mut programs {
        let assigned = words.iter().take_while(|word| is_assignment(word)).count();
        words.drain(..assigned);
    }
    programs.retain(|words| !words.is_empty());
    programs
}

struct Reader {
    text: Vec<char>,
    at: usize,
    programs: Vec<Vec<String>>,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    /// Up to a closing bracket, or the end.
    fn list(&mut self) {
        let mut words = Vec::new();
        let mut skips = false;
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\n' => self.at += 1,
                '\\' if self.text.get(self.at + 1) == Some(&'\n') => self.at += 2,
                '#' => self.skip_line(),
                '>' | '<' => {
                    self.at += 1;
                    skips = true;
                }
                '|' | ';' | '&' | '(' | '{' | '}' => {
                    self.at += 1;
                    self.programs.push(std::mem::take(&mut words));
                }
                ')' => break,
                _ => {
                    let word = self.word();
                    if !std::mem::take(&mut skips) {
                        words.push(word);
                    }
                }
            }
        }
        self.programs.push(words);
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|c| c != '\n') {
            self.at += 1;
        }
    }

    /// A word without its quotes; what `$(…)` in it runs is read, too.
    fn word(&mut self) -> String {
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = self.peek() {
            let next = self.text.get(self.at + 1).copied();
            match (c, quote) {
                ('$', None | Some('"')) if next == Some('(') => {
                    self.at += 2;
                    self.list();
                    word.push_str("$()");
                }
                ('$', None | Some('"')) if next == Some('{') => {
                    while self.peek().is_some_and(|c| c != '}') {
                        word.push(self.text[self.at]);
                        self.at += 1;
                    }
                    word.push('}');
                }
                ('\'' | '"', None) => quote = Some(c),
                (_, Some(open)) if c == open => quote = None,
                (' ' | '\n' | '|' | ';' | '&' | '(' | ')' | '<' | '>', None) => return word,
                _ => word.push(c),
            }
            self.at += 1;
        }
        word
    }
}

#[test]
fn every_program_of_a_command_is_found_and_nothing_else() {
    let programs = |command: &str| -> Vec<String> { programs(command).iter().map(|words| words.join(" ")).collect() };
    assert_eq!(programs("a --b \"c d\" | e -f - > g   # h"), ["a --b c d", "e -f -"]);
    assert_eq!(programs("A=b c --d=\"$(e 'f;g' | h)\" \\\n  i && j"), ["e f;g", "h", "c --d=$() i", "j"]);
    assert_eq!(programs("(k; l | { m -n \"$O\" \"${P##*/}\"; } > q)"), ["k", "l", "m -n $O ${P##*/}"]);
    assert_eq!(programs("cat > a <<EOF\nb | c\nEOF"), ["cat"]);
    assert!(programs("A=b-1   # of c").is_empty());
}

#[test]
fn a_command_has_all_its_lines_and_what_is_printed_is_none() {
    let page = "a\n<!-- needs: aws -->\n```console\n$ a \\\n    b\nprinted\n$ cat <<EOF\n$ c\nEOF\nprinted |\n```\n```yaml\na: b\n```\n";
    let blocks = blocks(page);
    assert_eq!(
        blocks.iter().map(|block| (block.line, block.language.as_str())).collect::<Vec<_>>(),
        [(3, "console"), (12, "yaml")]
    );
    assert_eq!((blocks[0].needs.as_deref(), blocks[1].needs.as_deref()), (Some("aws"), None));
    assert_eq!(blocks[0].commands(), ["a \\\n    b", "cat <<EOF\n$ c\nEOF"]);
}
