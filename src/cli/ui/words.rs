//! podman's sentences, for a program that is called `podman`: scripts look for them. The program speaks its own (docker's)
//! words everywhere; this one dictionary says them again when an error is printed, and nothing else depends on it.
//!
//! A row is a command (`""` is any), the sentence as it is, and podman's. `{}` stands for a part, `{0}` repeats it. What is
//! before the sentence, up to a colon and a space, stays.

mod table;

/// What a sentence begins with that podman logs.
pub(super) const LOGGED: &str = "log: ";

use table::{TABLE, TYPES};

/// Says errors again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// The command with its group, `container rm`.
    command: String,
    /// The arguments as typed.
    typed: Vec<String>,
}

impl Words {
    /// For a command and its arguments.
    #[must_use]
    pub fn of(command: &str, typed: &[String]) -> Self {
        Self { command: command.to_owned(), typed: typed.to_vec() }
    }

    /// An error in podman's words.
    #[must_use]
    pub fn say(&self, message: &str) -> String {
        if let Some(said) = self.template(message) {
            return said;
        }
        let own = |row: &&(&str, &str, &str)| row.0.is_empty() || self.is_called(row.0);
        for (_, from, to) in TABLE.iter().filter(own) {
            // The longest rest that fits, so that a name with a colon is taken whole.
            let starts = std::iter::once(0).chain(message.match_indices(": ").map(|(at, _)| at + 2));
            for at in starts {
                if let Some(parts) = parts(from, &message[at..]) {
                    return kernels(&format!("{}{}", &message[..at], self.fill(to, &parts)));
                }
            }
        }
        kernels(message)
    }

    /// The error of a template: podman names it after the command, and what the user gave stands within `{{range .}}`.
    fn template(&self, message: &str) -> Option<String> {
        let rest = message.strip_prefix("template parsing error: template: :1:")?;
        let (column, rest) = rest.split_once(": executing \"\" at ")?;
        let column = column.parse::<usize>().ok()? + "{{range .}}".len();
        let name = self.command.rsplit(' ').next().unwrap_or_default();
        let types = TYPES.iter().find(|(command, _)| *command == name);
        let of = types.filter(|_| rest.contains(": can't evaluate field ")).map_or("", |(_, of)| of);
        Some(format!("template: {name}:1:{column}: executing \"{name}\" at {rest}{of}"))
    }

    /// `rm` is `container rm`, too.
    fn is_called(&self, name: &str) -> bool {
        self.command == name || self.command.strip_prefix("container ").is_some_and(|short| short == name)
    }

    fn fill(&self, to: &str, parts: &[&str]) -> String {
        let mut text = to.to_owned();
        for (i, part) in parts.iter().enumerate() {
            text = text.replace(&format!("{{{i}}}"), self.as_typed(part));
        }
        text
    }

    /// docker adds the tag that a name has unsaid, podman does not.
    fn as_typed<'a>(&self, part: &'a str) -> &'a str {
        let said = |text: &str| self.typed.iter().any(|word| word == text);
        match part.strip_suffix(":latest") {
            Some(bare) if !said(part) && said(bare) => bare,
            _ => part,
        }
    }
}

/// The kernel's errors as Go prints them.
fn kernels(message: &str) -> String {
    let Some((before, rest)) = message.split_once(" (os error ") else { return message.to_owned() };
    let Some((_, after)) = rest.split_once(')') else { return message.to_owned() };
    let at = before.rfind(": ").map_or(0, |at| at + 2);
    let (head, error) = before.split_at(at);
    let mut letters = error.chars();
    let error: String = letters.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(letters).collect();
    format!("{head}{error}{after}")
}

/// What stands for the `{}` of a pattern, if the text has its form. A part is as short as it can be.
fn parts<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut literals = pattern.split("{}");
    let mut rest = text.strip_prefix(literals.next()?)?;
    let mut found = Vec::new();
    let mut literals = literals.peekable();
    while let Some(literal) = literals.next() {
        let last = literals.peek().is_none();
        let at = match (last, literal.is_empty()) {
            (true, true) => rest.len(),
            (true, false) => rest.strip_suffix(literal)?.len(),
            (false, _) => rest.find(literal)?,
        };
        found.push(&rest[..at]);
        rest = &rest[at + literal.len()..];
    }
    rest.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(command: &str, typed: &[&str], message: &str) -> String {
        let typed: Vec<String> = typed.iter().map(|&t| t.to_owned()).collect();
        Words::of(command, &typed).say(message)
    }

    #[test]
    fn sentences_are_said_as_podman_says_them() {
        let none = "No such container: x";
        assert_eq!(say("start", &["x"], none), "no container with name or ID \"x\" found: no such container");
        assert_eq!(
            say("container rm", &["x"], none),
            "no container with ID or name \"x\" found: no such container"
        );
        assert_eq!(
            say("cp", &[], "copying: No such container: x"),
            "copying: no container with name or ID \"x\" found: no such container"
        );
        assert_eq!(say("rmi", &["a"], "No such image: a:latest"), "a: image not known");
        assert_eq!(say("rmi", &["a:latest"], "No such image: a:latest"), "a:latest: image not known");
        assert_eq!(say("ps", &[], "what nobody knows"), "what nobody knows");
    }

    #[test]
    fn errors_of_templates_are_podman_s() {
        let told =
            r#"template parsing error: template: :1:17: executing "" at <.No>: can't evaluate field No"#;
        assert_eq!(
            say("container stats", &[], told),
            r#"template: stats:1:28: executing "stats" at <.No>: can't evaluate field No in type containers.containerStats"#
        );
    }

    #[test]
    fn the_kernel_s_errors_are_go_s() {
        let told = "reading /x: No such file or directory (os error 2)";
        assert_eq!(say("logs", &[], told), "reading /x: no such file or directory");
    }

    #[test]
    fn parts_are_found_between_the_fixed_words() {
        assert_eq!(parts("a {} b {}", "a 1 b 2: 3"), Some(vec!["1", "2: 3"]));
        assert_eq!(parts("a {} b", "a 1 c"), None);
        assert_eq!(parts("a", "a b"), None);
    }

    #[test]
    fn each_sentence_has_what_it_repeats() {
        for (command, from, to) in TABLE {
            let count = from.matches("{}").count();
            let highest = (0..9).filter(|i| to.contains(&format!("{{{i}}}"))).max();
            assert!(highest.is_none_or(|h| h < count), "{command}: {to}");
        }
    }
}
