//! Every command line that the documentation and the help name is one that the program takes.

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::Cli;

/// What stands for something else in a command line, and something of that kind.
const PLACEHOLDERS: [(&str, &str); 7] = [
    ("${{ matrix.board }}", "pico"),
    ("${PORT:+--port \"$BOARD=$PORT\"}", "--port \"$BOARD=$PORT\""),
    ("$BOARD", "pico"),
    ("$PORT", "/dev/ttyACM0"),
    ("BOARD", "qemu-mps2-an386"),
    ("--board B", "--board pico"),
    // What may be left out.
    ("[--", "--"),
];

/// What else begins a command line.
const STANDS_FOR_CARAFE: &str = "cargo run --release --";

/// The words of a command line as a shell has them, up to a comment.
fn words(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    for c in line.chars().chain([' ']) {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (c, None) if c.is_whitespace() => all.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    all
}

/// The command lines of this program in a line, without its name.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut line = line.replace(STANDS_FOR_CARAFE, "carafe");
    let optional = line.contains("[--");
    for (placeholder, value) in PLACEHOLDERS {
        line = line.replace(placeholder, value);
    }
    let words = words(&line);
    let begins = |i: &usize| {
        let next = words.get(i + 1).is_some_and(|next| next.starts_with(|c: char| c.is_ascii_lowercase()));
        words[*i] == "carafe" && next
    };
    let ends = |word: &&String| !["|", "||", "&", "&&", ";", ">"].contains(&word.as_str());
    let command = |i: usize| {
        let rest = words[i + 1..].iter().take_while(ends);
        rest.map(|word| if optional { word.trim_end_matches(']').to_owned() } else { word.clone() }).collect()
    };
    (0..words.len()).filter(begins).map(command).collect()
}

/// What a page has: lines of its blocks of code, and what it quotes in its sentences.
#[derive(Default)]
struct Page {
    code: Vec<String>,
    quoted: Vec<String>,
}

fn read(text: &str) -> Page {
    let mut page = Page::default();
    let (mut fence, mut prose, mut open) = (None, String::new(), String::new());
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), fence) {
            (Some(language), None) => fence = Some(language),
            (Some(_), Some(_)) => fence = None,
            (None, None) => prose = prose + line + "\n",
            (None, Some("sh" | "yaml" | "text")) => match line.strip_suffix('\\') {
                Some(begun) => open += begun,
                None => page.code.push(std::mem::take(&mut open) + line),
            },
            (None, Some(_)) => {}
        }
    }
    assert!(fence.is_none(), "a block of code does not end");
    let quoted = prose.split("\n\n").flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
    page.quoted = quoted.map(|quoted| quoted.replace('\n', " ")).collect();
    page
}

/// `README.md`s, and the pages in `docs`.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let inside = |folder: &str| fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let readme = |folder: PathBuf| folder.join("README.md");
    let others = ["boards", "examples", "templates"].into_iter().flat_map(inside).map(readme).filter(|f| f.exists());
    let docs = inside("docs").filter(|path| path.extension().is_some_and(|e| e == "md"));
    [root.join("README.md")].into_iter().chain(docs).chain(others).collect()
}

/// What is wrong with a command line. One in a sentence may leave out what does not matter there.
fn wrong(command: &[String], quoted: bool) -> Option<String> {
    let error = Cli::try_parse_from(["carafe".to_owned()].iter().chain(command)).err()?;
    let left_out = [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    (!quoted || !left_out.contains(&error.kind())).then(|| format!("carafe {}\n{error}", command.join(" ")))
}

#[test]
fn every_command_line_of_the_documentation_is_taken() {
    let (mut wrongs, mut found) = (Vec::new(), 0);
    for path in pages() {
        let page = read(&fs::read_to_string(&path).unwrap());
        for (lines, quoted) in [(&page.code, false), (&page.quoted, true)] {
            for command in lines.iter().flat_map(|line| commands(line)) {
                found += 1;
                wrongs.extend(wrong(&command, quoted).map(|wrong| format!("{}: {wrong}", path.display())));
            }
        }
    }
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
    assert!(found > 80, "there are more than {found}");
}

#[test]
fn every_example_of_the_help_is_taken() {
    let mut found = 0;
    for subcommand in Cli::command().get_subcommands() {
        let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
        for command in help.lines().flat_map(commands) {
            found += 1;
            let wrong = wrong(&command, false);
            assert!(wrong.is_none(), "{}: {}", subcommand.get_name(), wrong.unwrap_or_default());
        }
    }
    assert!(found > 5, "there are more than {found}");
}

#[test]
fn command_lines_are_found() {
    let of = |line: &str| commands(line).into_iter().map(|words| words.join("|")).collect::<Vec<_>>();
    assert_eq!(of("cd carafe && carafe run a.carafe # here"), ["run|a.carafe"]);
    assert_eq!(of("- run: carafe test s.toml --only 'a b' | jq"), ["test|s.toml|--only|a b"]);
    assert_eq!(of("x=1 cargo run --release -- flash m [--probe P] [--log 5]"), ["flash|m|--probe|P|--log|5"]);
    assert_eq!(of("carafe test \"$BOARD\" ${PORT:+--port \"$BOARD=$PORT\"}"), ["test|pico|--port|pico=/dev/ttyACM0"]);
    let page = read("a `carafe run\nx` b\n\n```sh\ncarafe sign \\\n  b\n```\n");
    assert_eq!((page.quoted, page.code), (vec!["carafe run x".to_owned()], vec!["carafe sign   b".to_owned()]));
}
