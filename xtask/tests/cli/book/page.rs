//! A page in Markdown, as far as it is checked: blocks of code, and code, links and headings between
//! them.
#![forbid(unsafe_code)]

/// A block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The words behind its opening: its language, and what the page says more. Empty where the block
    /// is an indented one.
    pub info: String,
    /// Its lines.
    pub lines: Vec<String>,
}

/// What a page has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its blocks.
    pub blocks: Vec<Block>,
    /// Code within its lines.
    pub spans: Vec<String>,
    /// Where its links go.
    pub links: Vec<String>,
    /// The anchors of its headings.
    pub anchors: Vec<String>,
}

const FENCE: &str = "```";
const INDENT: &str = "    ";

impl Page {
    /// The page with this text.
    pub fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut lines = text.lines().peekable();
        let mut is_after_blank = true;
        while let Some(line) = lines.next() {
            if let Some(info) = line.strip_prefix(FENCE) {
                let inside: Vec<_> =
                    lines.by_ref().take_while(|line| *line != FENCE).map(str::to_owned).collect();
                page.blocks.push(Block { info: info.to_owned(), lines: inside });
            } else if let (true, Some(first)) = (is_after_blank, line.strip_prefix(INDENT)) {
                let mut inside = vec![first.to_owned()];
                while let Some(next) = lines.next_if(|l| l.starts_with(INDENT) || l.is_empty()) {
                    inside.push(next.strip_prefix(INDENT).unwrap_or("").to_owned());
                }
                page.blocks.push(Block { info: String::new(), lines: inside });
            } else {
                page.prose(line);
            }
            is_after_blank = line.is_empty();
        }
        page
    }

    fn prose(&mut self, line: &str) {
        if line.starts_with('#') {
            let anchor = anchor(line.trim_start_matches('#'));
            // As on GitHub and in mdbook, the second of a name is the first with a number.
            let numbered = |number| format!("{anchor}-{number}");
            let mut names = std::iter::once(anchor.clone()).chain((1_u32..).map(numbered));
            self.anchors.extend(names.find(|name| !self.anchors.contains(name)));
        }
        // What stands between two marks of code is every second part.
        for (at, part) in line.split('`').enumerate() {
            if at % 2 == 1 {
                self.spans.push(part.to_owned());
            }
        }
        let without_code: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let targets = without_code.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        self.links.extend(targets.map(|(target, _)| target.to_owned()));
    }
}

/// A heading's anchor: in small letters, without signs, with dashes for blanks.
fn anchor(heading: &str) -> String {
    let small = heading.trim().to_lowercase();
    let kept = small.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn blocks_are_found_and_their_lines_are_kept() {
    let text = "one\n\n```toml a/b.toml\n[x]\n\n    y = 1\n```\ntext\n    no block\n\n    $ cmd\n\n    out\n- end\n";
    let page = Page::parse(text);
    let block = |info: &str, lines: &[&str]| Block {
        info: info.to_owned(),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
    };
    let expected =
        [block("toml a/b.toml", &["[x]", "", "    y = 1"]), block("", &["$ cmd", "", "out"])];
    assert_eq!(page.blocks, expected);
}

#[test]
fn code_links_and_headings_are_found_outside_of_blocks() {
    let text = "# The `a`: b, c\n\n| `x --y` | [z](q.md#w), [`v`](u.md) `[no](link)` |\n\n```\n# no [k](l)\n```\n# The a b c\n# The a b c\n";
    let page = Page::parse(text);
    assert_eq!(page.spans, ["a", "x --y", "v", "[no](link)"]);
    assert_eq!(page.links, ["q.md#w", "u.md"]);
    assert_eq!(page.anchors, ["the-a-b-c", "the-a-b-c-1", "the-a-b-c-2"]);
}
