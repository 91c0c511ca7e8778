//! What a parameter must match: regular expressions without back references, in linear time.

/// The most instructions of a pattern: repetitions are written out.
const MAX_PROGRAM: usize = 4096;

/// The deepest that groups may nest.
const MAX_DEPTH: usize = 32;

/// A regular expression, matched from end to end.
///
/// It has literals, `.`, classes (`[a-z]`, `[^/]`, `\d`, `\w`, `\s`), groups, `|`, and `*`, `+`, `?`, `{n}`, `{n,}`,
/// `{n,m}`; and look-ahead (`(?=…)`, `(?!…)`) at its very start. `^` and `$` at the ends change nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    ahead: Vec<Ahead>,
    program: Program,
}

/// What the text must, or must not, begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ahead {
    wanted: bool,
    program: Program,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Program(Vec<Step>);

/// It is no pattern, or one with more than is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsupported;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Char(Class),
    /// Go on at both places.
    Split(usize, usize),
    Jump(usize),
    End,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    fn one(c: char) -> Self {
        Self {
            negated: false,
            ranges: vec![(c, c)],
        }
    }

    const fn any() -> Self {
        Self {
            negated: true,
            ranges: Vec::new(),
        }
    }

    fn has(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != self.negated
    }
}

#[derive(Debug, Clone)]
enum Node {
    Char(Class),
    Sequence(Vec<Self>),
    Either(Vec<Self>),
    Repeat(Box<Self>, usize, Option<usize>),
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, Unsupported> {
        let mut chars: Vec<char> = text.chars().collect();
        if chars.first() == Some(&'^') {
            chars.remove(0);
        }
        let escaped = chars.iter().rev().skip(1).take_while(|c| **c == '\\').count() % 2 == 1;
        if chars.last() == Some(&'$') && !escaped {
            chars.pop();
        }
        let mut reader = Reader { chars, at: 0 };
        let mut ahead = Vec::new();
        while let Some(wanted) = reader.look_ahead() {
            ahead.push(Ahead {
                wanted,
                program: reader.ahead()?,
            });
        }
        let node = reader.either(0)?;
        if reader.at != reader.chars.len() {
            return Err(Unsupported);
        }
        Ok(Self {
            ahead,
            program: Program::of(&node)?,
        })
    }

    /// Whether the whole text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        let allowed = |ahead: &Ahead| ahead.program.matches(text) == ahead.wanted;
        self.ahead.iter().all(allowed) && self.program.matches(text)
    }
}

impl Program {
    fn of(node: &Node) -> Result<Self, Unsupported> {
        let mut program = Vec::new();
        write(node, &mut program)?;
        program.push(Step::End);
        Ok(Self(program))
    }

    /// Every state at once: time grows with the text, never beyond.
    fn matches(&self, text: &str) -> bool {
        let mut states = self.closure([0].into());
        for c in text.chars() {
            let next = states
                .iter()
                .filter(|state| matches!(&self.0[**state], Step::Char(class) if class.has(c)))
                .map(|state| state + 1)
                .collect();
            states = self.closure(next);
        }
        states.iter().any(|state| self.0[*state] == Step::End)
    }

    fn closure(&self, mut open: Vec<usize>) -> Vec<usize> {
        let mut seen = vec![false; self.0.len()];
        let mut closed = Vec::new();
        while let Some(state) = open.pop() {
            if std::mem::replace(&mut seen[state], true) {
                continue;
            }
            match &self.0[state] {
                Step::Jump(to) => open.push(*to),
                Step::Split(one, other) => open.extend([*one, *other]),
                Step::Char(_) | Step::End => closed.push(state),
            }
        }
        closed
    }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Result<char, Unsupported> {
        let c = self.peek().ok_or(Unsupported)?;
        self.at += 1;
        Ok(c)
    }

    /// Whether a `$` stands here that ends a group: it means something at the end of a look-ahead alone.
    fn ends_ahead(&self) -> bool {
        self.chars.get(self.at..self.at + 2) == Some(&['$', ')'])
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    /// Whether a look-ahead begins here, and whether it is wanted or not.
    fn look_ahead(&mut self) -> Option<bool> {
        let wanted = match self.chars.get(self.at..self.at + 3)? {
            ['(', '?', '='] => true,
            ['(', '?', '!'] => false,
            _ => return None,
        };
        self.at += 3;
        Some(wanted)
    }

    /// The rest of a look-ahead: what the text begins with, or with `$` what it is.
    fn ahead(&mut self) -> Result<Program, Unsupported> {
        let mut nodes = vec![self.either(1)?];
        if !self.eat('$') {
            nodes.push(Node::Repeat(Box::new(Node::Char(Class::any())), 0, None));
        }
        if !self.eat(')') {
            return Err(Unsupported);
        }
        Program::of(&Node::Sequence(nodes))
    }

    fn either(&mut self, depth: usize) -> Result<Node, Unsupported> {
        if depth > MAX_DEPTH {
            return Err(Unsupported);
        }
        let mut branches = vec![self.sequence(depth)?];
        while self.eat('|') {
            branches.push(self.sequence(depth)?);
        }
        Ok(Node::Either(branches))
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, Unsupported> {
        let mut nodes = Vec::new();
        while self
            .peek()
            .is_some_and(|c| c != '|' && c != ')' && !self.ends_ahead())
        {
            let atom = self.atom(depth)?;
            nodes.push(self.repeated(atom)?);
        }
        Ok(Node::Sequence(nodes))
    }

    fn atom(&mut self, depth: usize) -> Result<Node, Unsupported> {
        Ok(match self.next()? {
            '(' => {
                if self.eat('?') && !self.eat(':') {
                    return Err(Unsupported);
                }
                let node = self.either(depth + 1)?;
                if !self.eat(')') {
                    return Err(Unsupported);
                }
                node
            }
            '[' => Node::Char(self.class()?),
            '.' => Node::Char(Class {
                negated: true,
                ranges: vec![('\n', '\n')],
            }),
            '\\' => Node::Char(self.escape()?),
            '*' | '+' | '?' | '{' | '^' | '$' => return Err(Unsupported),
            c => Node::Char(Class::one(c)),
        })
    }

    fn repeated(&mut self, atom: Node) -> Result<Node, Unsupported> {
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                self.at += 1;
                let least = self.number()?;
                let most = if self.eat(',') {
                    if self.peek() == Some('}') {
                        None
                    } else {
                        Some(self.number()?)
                    }
                } else {
                    Some(least)
                };
                (least, most)
            }
            _ => return Ok(atom),
        };
        self.at += 1;
        // Lazy or greedy is the same where only the whole match counts.
        self.eat('?');
        if most.is_some_and(|most| most < least) || least > 512 || most.is_some_and(|most| most > 512) {
            return Err(Unsupported);
        }
        Ok(Node::Repeat(Box::new(atom), least, most))
    }

    fn number(&mut self) -> Result<usize, Unsupported> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.chars[start..self.at].iter().collect();
        digits.parse().map_err(|_| Unsupported)
    }

    fn escape(&mut self) -> Result<Class, Unsupported> {
        let (ranges, negated): (&[(char, char)], bool) = match self.next()? {
            'd' => (&[('0', '9')], false),
            'D' => (&[('0', '9')], true),
            'w' => (&[('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')], false),
            'W' => (&[('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')], true),
            's' => (&[(' ', ' '), ('\t', '\r')], false),
            'S' => (&[(' ', ' '), ('\t', '\r')], true),
            // A boundary, a back reference, a code point: not supported.
            c if c.is_ascii_alphanumeric() => return Err(Unsupported),
            c => return Ok(Class::one(c)),
        };
        Ok(Class {
            negated,
            ranges: ranges.to_vec(),
        })
    }

    fn class(&mut self) -> Result<Class, Unsupported> {
        let mut class = Class {
            negated: self.eat('^'),
            ranges: Vec::new(),
        };
        let mut first = true;
        loop {
            let c = self.next()?;
            if c == ']' && !first {
                return Ok(class);
            }
            first = false;
            let low = if c == '\\' {
                let escaped = self.escape()?;
                if escaped.negated {
                    return Err(Unsupported);
                }
                if escaped.ranges.len() != 1 || escaped.ranges[0].0 != escaped.ranges[0].1 {
                    class.ranges.extend(escaped.ranges);
                    continue;
                }
                escaped.ranges[0].0
            } else {
                c
            };
            let is_range = self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|c| *c != ']');
            if is_range {
                self.at += 1;
                let high = match self.next()? {
                    '\\' => self.next()?,
                    high => high,
                };
                if high < low {
                    return Err(Unsupported);
                }
                class.ranges.push((low, high));
            } else {
                class.ranges.push((low, low));
            }
        }
    }
}

fn write(node: &Node, program: &mut Vec<Step>) -> Result<(), Unsupported> {
    if program.len() > MAX_PROGRAM {
        return Err(Unsupported);
    }
    match node {
        Node::Char(class) => program.push(Step::Char(class.clone())),
        Node::Sequence(nodes) => {
            for node in nodes {
                write(node, program)?;
            }
        }
        Node::Either(branches) => {
            let mut ends = Vec::new();
            for (index, branch) in branches.iter().enumerate() {
                if index + 1 == branches.len() {
                    write(branch, program)?;
                } else {
                    let split = program.len();
                    program.push(Step::End);
                    write(branch, program)?;
                    ends.push(program.len());
                    program.push(Step::End);
                    program[split] = Step::Split(split + 1, program.len());
                }
            }
            let end = program.len();
            for jump in ends {
                program[jump] = Step::Jump(end);
            }
        }
        Node::Repeat(node, least, most) => {
            for _ in 0..*least {
                write(node, program)?;
            }
            match most {
                None => {
                    let split = program.len();
                    program.push(Step::End);
                    write(node, program)?;
                    program.push(Step::Jump(split));
                    program[split] = Step::Split(split + 1, program.len());
                }
                Some(most) => {
                    let mut splits = Vec::new();
                    for _ in *least..*most {
                        splits.push(program.len());
                        program.push(Step::End);
                        write(node, program)?;
                    }
                    let end = program.len();
                    for split in splits {
                        program[split] = Step::Split(split + 1, end);
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_from_end_to_end() {
        for (pattern, yes, no) in [
            (
                "^[a-z0-9-]+$",
                &["acme", "a-1"][..],
                &["", "Acme", "a.b", "a\n"][..],
            ),
            (
                r"^https://[a-z0-9-]+\.atlassian\.net$",
                &["https://x.atlassian.net"],
                &["https://x.atlassian.net.evil", "https://xAatlassian.net"],
            ),
            (
                r"^\d{3}-\w{2,4}$",
                &["123-ab", "123-abcd"],
                &["12-ab", "123-a", "123-abcde"],
            ),
            (
                "^(eu|us|ap-?1)$",
                &["eu", "us", "ap1", "ap-1"],
                &["e", "euus", ""],
            ),
            (r"(?:[^/.]+\.)*x", &["x", "a.b.x"], &[".x", "a/b.x"]),
            (r"^[\w.-]+@[\]a]$", &["a.b@]", "x@a"], &["x@b"]),
            ("a{2,}", &["aa", "aaaa"], &["a"]),
            (
                r"^(?!(?:.*\.)?bad\.test$)[a-z.]+$",
                &["a.test", "bad.test.org", "notbad.test"],
                &["bad.test", "a.bad.test", "A"],
            ),
            ("^(?=.*[0-9])(?!x)[a-z0-9]+$", &["a1"], &["a", "x1", "1-"]),
            (r"\$", &["$"], &[""]),
        ] {
            let parsed = Pattern::parse(pattern).expect(pattern);
            for text in yes {
                assert!(parsed.matches(text), "{pattern} {text}");
            }
            for text in no {
                assert!(!parsed.matches(text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn what_is_not_supported_is_said_and_nothing_blows_up() {
        for pattern in [
            "a(?!a)b",
            "(?<=a)b",
            "(?!a",
            "(a$)b",
            r"(a)\1",
            "[a",
            "a{600}",
            "(",
            "*",
            r"\bx",
            "a)",
            "((((a{99}){99}){99}){99})",
        ] {
            assert_eq!(Pattern::parse(pattern), Err(Unsupported), "{pattern}");
        }
        let slow = Pattern::parse("(a*)*b").unwrap();
        assert!(!slow.matches(&"a".repeat(5_000)));
    }
}
