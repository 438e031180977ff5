//! A Markdown file, read once: its headings, links, code spans, fenced blocks and HTML, each with its line.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A file of the book, or another document of the repository.
#[derive(Debug, Default)]
pub struct Page {
    /// Path from the repository's root.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// Headings of all levels.
    pub headings: Vec<Heading>,
    /// Links and pictures written as Markdown.
    pub links: Vec<Link>,
    /// Code within a line.
    pub spans: Vec<Located>,
    /// Fenced blocks.
    pub blocks: Vec<Block>,
    /// Pieces of HTML, comments among them.
    pub html: Vec<Located>,
}

/// A heading.
#[derive(Debug)]
pub struct Heading {
    /// 1 for the title.
    pub level: usize,
    /// Its words.
    pub text: String,
    /// What links call it.
    pub anchor: String,
    /// Line, from 1.
    pub line: usize,
}

/// A link or a picture.
#[derive(Debug)]
pub struct Link {
    /// What it leads to.
    pub target: String,
    /// Its words; of a picture, the text that stands for it.
    pub text: String,
    /// Whether it is a picture.
    pub is_picture: bool,
    /// Where it is in the text.
    pub at: Range<usize>,
    /// Line, from 1.
    pub line: usize,
}

/// A piece of text and its line, from 1.
#[derive(Debug)]
pub struct Located {
    /// The piece.
    pub text: String,
    /// Line, from 1.
    pub line: usize,
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// The word after the fence.
    pub language: String,
    /// What is between the fences.
    pub text: String,
    /// The line of the first fence, from 1.
    pub line: usize,
    /// The comment in the line before it, without its marks.
    pub comment: Option<String>,
}

impl Page {
    /// Reads a file of the repository.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(root: &Path, path: &str) -> Result<Self> {
        let text = fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))?;
        Ok(Self::parse(path, text))
    }

    /// Parses a text as the file of this path.
    pub fn parse(path: &str, text: String) -> Self {
        let mut page = Self { path: path.to_owned(), ..Self::default() };
        let lines = Lines::of(&text);
        let mut reader = Reader { page: &mut page, lines: &lines, source: &text, open: Vec::new() };
        for (event, at) in Parser::new_ext(&text, options()).into_offset_iter() {
            reader.take(event, at);
        }
        page.name_anchors();
        page.text = text;
        page
    }

    /// The same name twice is told apart by a number, as forges and mdBook do.
    fn name_anchors(&mut self) {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for heading in &mut self.headings {
            let anchor = anchor(&heading.text);
            let times = seen.entry(anchor.clone()).or_default();
            heading.anchor = if *times == 0 { anchor } else { format!("{anchor}-{times}") };
            *times += 1;
        }
    }
}

/// What the book's Markdown may use beyond the common ground.
pub fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH
}

/// What a heading is called in links: small letters, hyphens for blanks, no punctuation.
pub fn anchor(words: &str) -> String {
    let kept = words.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The beginnings of a text's lines.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Self([0].into_iter().chain(after).collect())
    }

    fn of_offset(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

/// What is being read.
enum Open {
    Heading(usize, usize, String),
    Link(Link),
    Block(Block),
}

struct Reader<'a> {
    page: &'a mut Page,
    lines: &'a Lines,
    source: &'a str,
    open: Vec<Open>,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, at: Range<usize>) {
        let line = self.lines.of_offset(at.start);
        match event {
            Event::Start(tag) => self.start(tag, at, line),
            Event::End(TagEnd::Heading(_) | TagEnd::Link | TagEnd::Image | TagEnd::CodeBlock) => self.end(),
            Event::Text(text) => self.add(&text),
            Event::Code(text) => {
                self.add(&text);
                self.page.spans.push(Located { text: text.into_string(), line });
            }
            Event::SoftBreak | Event::HardBreak => self.add(" "),
            Event::Html(text) | Event::InlineHtml(text) => {
                self.page.html.push(Located { text: text.into_string(), line });
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, at: Range<usize>, line: usize) {
        let link = |target: String, is_picture| {
            Open::Link(Link { target, text: String::new(), is_picture, at: at.clone(), line })
        };
        match tag {
            Tag::Heading { level, .. } => {
                self.open.push(Open::Heading(level_number(level), line, String::new()))
            }
            Tag::Link { dest_url, .. } => self.open.push(link(dest_url.into_string(), false)),
            Tag::Image { dest_url, .. } => self.open.push(link(dest_url.into_string(), true)),
            Tag::CodeBlock(kind) => {
                let language = match kind {
                    CodeBlockKind::Fenced(word) => word.into_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                let comment = self.comment_before(at.start);
                self.open.push(Open::Block(Block { language, text: String::new(), line, comment }));
            }
            _ => {}
        }
    }

    /// The comment that the line directly before this place is.
    fn comment_before(&self, offset: usize) -> Option<String> {
        let before = self.source[..offset].trim_end_matches([' ', '\t']).strip_suffix('\n')?;
        let line = before.rsplit('\n').next()?.trim();
        Some(line.strip_prefix("<!--")?.strip_suffix("-->")?.trim().to_owned())
    }

    /// A link's words are also those of the heading around it.
    fn add(&mut self, text: &str) {
        for open in &mut self.open {
            match open {
                Open::Heading(_, _, words) => words.push_str(text),
                Open::Link(link) => link.text.push_str(text),
                Open::Block(block) => block.text.push_str(text),
            }
        }
    }

    fn end(&mut self) {
        match self.open.pop() {
            Some(Open::Heading(level, line, text)) => {
                self.page.headings.push(Heading { level, text, anchor: String::new(), line });
            }
            Some(Open::Link(link)) => self.page.links.push(link),
            Some(Open::Block(block)) => self.page.blocks.push(block),
            None => {}
        }
    }
}

fn level_number(level: HeadingLevel) -> usize {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_of_a_page_are_found_with_their_lines() {
        let text = "# From reset to `main`\n\n[a](b.md#c) and `x/y.rs`, 5<!-- figure: a.b -->\n\n\
                    <!-- check: skip, it takes root -->\n```console\n$ ls\n```\n\n## Again\n\n## Again\n\n![p](q.png)\n";
        let page = Page::parse("docs/a.md", text.to_owned());
        let headings: Vec<(usize, &str, usize)> =
            page.headings.iter().map(|h| (h.level, h.anchor.as_str(), h.line)).collect();
        assert_eq!(headings, [(1, "from-reset-to-main", 1), (2, "again", 10), (2, "again-1", 12)]);
        let links: Vec<(&str, &str, bool, usize)> =
            page.links.iter().map(|l| (l.target.as_str(), l.text.as_str(), l.is_picture, l.line)).collect();
        assert_eq!(links, [("b.md#c", "a", false, 3), ("q.png", "p", true, 14)]);
        assert!(page.spans.iter().any(|span| span.text == "x/y.rs" && span.line == 3));
        let block = &page.blocks[0];
        assert_eq!((block.language.as_str(), block.text.as_str(), block.line), ("console", "$ ls\n", 6));
        assert_eq!(block.comment.as_deref(), Some("check: skip, it takes root"));
        assert_eq!(page.html[0].text, "<!-- figure: a.b -->");
    }

    #[test]
    fn a_comment_that_is_further_away_is_not_the_blocks() {
        let page = Page::parse("a.md", "<!-- check: skip, x -->\n\n```console\n$ ls\n```\n".to_owned());
        assert_eq!(page.blocks[0].comment, None);
    }
}
