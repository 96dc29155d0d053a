//! Markdown to sections and to HTML. A stranger wrote it, so the HTML is made of known elements alone: what the author wrote as HTML is shown as text,
//! pictures are links, links are of known kinds, and anchors have a prefix of ours. It must not know where documents are kept.

use std::collections::HashMap;

use grace_domain::document::Heading;
use grace_store::NewSection;
use pulldown_cmark::{Alignment, CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html::push_html};

use crate::highlight::{escape, highlight};

/// Longest title and heading, in characters.
const TITLE: usize = 160;
/// Most sections; what follows belongs to the last one.
const SECTIONS: usize = 400;
/// Deepest nesting of lists and quotations; what is deeper stands there flat.
const DEPTH: usize = 24;
/// Stands before anchors, so that none is the name of something else on the page.
const PREFIX: &str = "s-";

/// What a document says, without markup.
#[derive(Debug)]
pub(super) struct Outline {
    pub title: String,
    pub sections: Vec<NewSection>,
}

/// Where a link of a document leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// To a place on the same site.
    Inside(String),
    /// To another site.
    Outside(String),
    /// Nowhere: its words stay.
    Nothing,
}

/// Title and sections. The title is the first heading, else the file's name.
pub(super) fn outline(path: &str, text: &str) -> Outline {
    let sections = Walk::new(&|_| Target::Nothing, 0).walk(path, text).1;
    let first = sections.iter().filter_map(|section| section.heading.as_ref()).next();
    let name = path.rsplit('/').next().unwrap_or(path);
    let title = first.map(|heading| heading.text.as_str()).filter(|text| !text.is_empty()).unwrap_or(name);
    Outline { title: title.to_owned(), sections }
}

/// The headings, in their order.
pub(super) fn headings(path: &str, text: &str) -> Vec<Heading> {
    Walk::new(&|_| Target::Nothing, 0).walk(path, text).1.into_iter().filter_map(|section| section.heading).collect()
}

/// The HTML. Headings are `lower` levels lower than the author's; `resolve` says where a link leads.
pub(super) fn html(path: &str, text: &str, lower: u8, resolve: &dyn Fn(&str) -> Target) -> String {
    let (events, _) = Walk::new(resolve, lower).walk(path, text);
    let mut html = String::with_capacity(text.len() * 3 / 2);
    push_html(&mut html, events.into_iter());
    html
}

/// The anchor that a heading of this text has, when it is the first of it.
pub(super) fn anchor(text: &str) -> String {
    let mut slug = String::from(PREFIX);
    for letter in text.trim().chars() {
        if letter.is_alphanumeric() || letter == '_' {
            slug.extend(letter.to_lowercase());
        } else if letter == ' ' || letter == '-' {
            slug.push('-');
        }
    }
    slug.chars().take(80).collect()
}

/// One pass over a document.
struct Walk<'a> {
    resolve: &'a dyn Fn(&str) -> Target,
    lower: u8,
    events: Vec<Event<'a>>,
    sections: Vec<NewSection>,
    anchors: HashMap<String, u32>,
    /// Of each open list and quotation, whether it is written.
    nested: Vec<bool>,
    /// Of each open link, how it is closed.
    links: Vec<Option<&'static str>>,
    /// Text that is gathered before it is written.
    gathering: Option<Gathering>,
}

enum Gathering {
    Code {
        language: String,
        text: String,
    },
    /// A block of the author's HTML.
    Html(String),
    Heading {
        level: HeadingLevel,
        at: usize,
        text: String,
    },
    Metadata,
}

impl<'a> Walk<'a> {
    fn new(resolve: &'a dyn Fn(&str) -> Target, lower: u8) -> Self {
        Self {
            resolve,
            lower,
            events: Vec::new(),
            sections: vec![NewSection { heading: None, text: String::new() }],
            anchors: HashMap::new(),
            nested: Vec::new(),
            links: Vec::new(),
            gathering: None,
        }
    }

    fn walk(mut self, path: &str, text: &'a str) -> (Vec<Event<'a>>, Vec<NewSection>) {
        let lower = path.to_ascii_lowercase();
        if lower.ends_with(".md") || lower.ends_with(".markdown") {
            let options =
                Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
            for event in Parser::new_ext(text, options) {
                self.take(event);
            }
        } else {
            self.code("", text);
        }
        // What stands before the first heading is no section when it is nothing.
        if self.sections.len() > 1 && self.sections[0].text.trim().is_empty() {
            self.sections.remove(0);
        }
        for section in &mut self.sections {
            section.text = section.text.trim().to_owned();
        }
        (self.events, self.sections)
    }

    fn take(&mut self, event: Event<'a>) {
        if self.gathers(&event) {
            return;
        }
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => {
                self.say(&text);
                self.events.push(Event::Text(text));
            }
            Event::Code(text) => {
                self.say(&text);
                self.events.push(Event::Code(text));
            }
            // Shown as it was written. A line break is what most mean by HTML in a table.
            Event::InlineHtml(text) => {
                if matches!(text.to_ascii_lowercase().as_str(), "<br>" | "<br/>" | "<br />") {
                    self.say(" ");
                    self.events.push(Event::HardBreak);
                } else if !is_comment(&text) {
                    self.events.push(Event::Text(text));
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                self.say("\n");
                self.events.push(event);
            }
            Event::Rule => self.events.push(event),
            Event::TaskListMarker(done) => self.events.push(Event::Text(if done { "\u{2611} " } else { "\u{2610} " }.into())),
            // Not asked of the parser, or part of a block that is gathered.
            Event::Html(_) | Event::FootnoteReference(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {}
        }
    }

    /// Whether a block that is written as a whole takes the event.
    fn gathers(&mut self, event: &Event<'a>) -> bool {
        match (&mut self.gathering, event) {
            (Some(Gathering::Code { text, .. }), Event::Text(more)) | (Some(Gathering::Html(text)), Event::Html(more) | Event::Text(more)) => {
                text.push_str(more);
                true
            }
            (Some(Gathering::Code { .. }), Event::End(TagEnd::CodeBlock)) => {
                if let Some(Gathering::Code { language, text }) = self.gathering.take() {
                    self.code(&language, &text);
                }
                true
            }
            (Some(Gathering::Html(_)), Event::End(TagEnd::HtmlBlock)) => {
                if let Some(Gathering::Html(text)) = self.gathering.take()
                    && !is_comment(text.trim())
                {
                    let text = CowStr::from(text.trim_end().to_owned());
                    self.events.extend([Event::Start(Tag::Paragraph), Event::Text(text), Event::End(TagEnd::Paragraph)]);
                }
                true
            }
            (Some(Gathering::Metadata), Event::End(TagEnd::MetadataBlock(_))) => {
                self.gathering = None;
                true
            }
            (Some(Gathering::Code { .. } | Gathering::Html(_) | Gathering::Metadata), _) => true,
            (Some(Gathering::Heading { text, .. }), Event::Text(more) | Event::Code(more)) => {
                text.push_str(more);
                false
            }
            (Some(Gathering::Heading { .. }), Event::End(TagEnd::Heading(_))) => {
                if let Some(Gathering::Heading { level, at, text }) = self.gathering.take() {
                    self.heading(level, at, &text);
                }
                true
            }
            _ => false,
        }
    }

    fn start(&mut self, tag: Tag<'a>) {
        match tag {
            Tag::CodeBlock(kind) => {
                let language = match kind {
                    CodeBlockKind::Fenced(info) => info.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.gathering = Some(Gathering::Code { language, text: String::new() });
            }
            Tag::HtmlBlock => self.gathering = Some(Gathering::Html(String::new())),
            Tag::MetadataBlock(_) => self.gathering = Some(Gathering::Metadata),
            Tag::Heading { level, .. } => {
                self.gathering = Some(Gathering::Heading { level, at: self.events.len(), text: String::new() });
            }
            Tag::BlockQuote(_) | Tag::List(_) | Tag::Item => {
                let written = match tag {
                    Tag::Item => self.nested.last().copied().unwrap_or(true),
                    _ => self.nested.len() < DEPTH,
                };
                self.nested.push(written);
                if written {
                    // Kinds of quotations are a class, which nothing here styles.
                    self.events.push(Event::Start(if matches!(tag, Tag::BlockQuote(_)) { Tag::BlockQuote(None) } else { tag }));
                }
            }
            Tag::Link { dest_url, .. } => self.link(&dest_url),
            Tag::Image { dest_url, .. } => {
                // Nothing is fetched for a page that a stranger wrote: a picture is a link to it.
                if self.links.is_empty() {
                    self.link(&dest_url);
                } else {
                    self.links.push(None);
                }
            }
            Tag::Table(columns) => {
                self.raw("<div class=\"wide\" role=\"region\" aria-label=\"Table\" tabindex=\"0\">");
                // Alignment is written as a style, of which an author has none here.
                self.events.push(Event::Start(Tag::Table(vec![Alignment::None; columns.len()])));
            }
            Tag::Paragraph | Tag::TableHead | Tag::TableRow | Tag::TableCell | Tag::Emphasis | Tag::Strong | Tag::Strikethrough => {
                self.events.push(Event::Start(tag))
            }
            // Not asked of the parser.
            Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Item => {
                self.say("\n");
                if self.nested.pop() == Some(true) {
                    self.events.push(Event::End(if matches!(tag, TagEnd::BlockQuote(_)) { TagEnd::BlockQuote(None) } else { tag }));
                }
            }
            TagEnd::Link | TagEnd::Image => {
                if let Some(Some(closing)) = self.links.pop() {
                    self.raw(closing);
                }
            }
            TagEnd::Table => {
                self.events.push(Event::End(tag));
                self.raw("</div>");
            }
            TagEnd::Paragraph | TagEnd::TableHead | TagEnd::TableRow | TagEnd::TableCell => {
                self.say(if tag == TagEnd::TableCell { " " } else { "\n" });
                self.events.push(Event::End(tag));
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => self.events.push(Event::End(tag)),
            TagEnd::CodeBlock
            | TagEnd::HtmlBlock
            | TagEnd::MetadataBlock(_)
            | TagEnd::Heading(_)
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Superscript
            | TagEnd::Subscript => {}
        }
    }

    /// Elements of ours, with escaped attributes.
    fn raw(&mut self, html: impl Into<CowStr<'a>>) {
        self.events.push(Event::InlineHtml(html.into()));
    }

    fn link(&mut self, address: &str) {
        let target = (self.resolve)(address);
        let escaped = |address: &str| {
            let mut out = String::new();
            escape(address, &mut out);
            out
        };
        let opened = match &target {
            Target::Inside(address) => format!("<a href=\"{}\">", escaped(address)),
            Target::Outside(address) => {
                format!("<a href=\"{}\" target=\"_blank\" rel=\"external noopener noreferrer nofollow\">", escaped(address))
            }
            Target::Nothing => {
                self.links.push(None);
                return;
            }
        };
        self.raw(opened);
        self.links.push(Some("</a>"));
    }

    fn code(&mut self, language: &str, text: &str) {
        let ending = match language.to_ascii_lowercase().as_str() {
            "python" => "py".to_owned(),
            "rust" => "rs".to_owned(),
            "typescript" | "javascript" => "ts".to_owned(),
            "bash" | "shell" | "console" => "sh".to_owned(),
            other => other.to_owned(),
        };
        self.say(text);
        self.say("\n");
        let (_, lines) = highlight(&format!("code.{ending}"), text);
        self.raw(format!("<pre class=\"code\" tabindex=\"0\"><code>{}</code></pre>\n", lines.join("\n")));
    }

    /// A heading that is read to its end; what is in it was written from `at` on.
    fn heading(&mut self, level: HeadingLevel, at: usize, text: &str) {
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TITLE).collect();
        let slug = anchor(&text);
        let times = self.anchors.entry(slug.clone()).or_default();
        let anchor = if *times == 0 { slug } else { format!("{slug}-{times}") };
        *times += 1;
        let number = (level as u8 + self.lower).min(6);
        let shown = HeadingLevel::try_from(usize::from(number)).unwrap_or(HeadingLevel::H6);
        let start = Tag::Heading { level: shown, id: Some(anchor.clone().into()), classes: Vec::new(), attrs: Vec::new() };
        self.events.insert(at, Event::Start(start));
        self.events.push(Event::End(TagEnd::Heading(shown)));
        if self.sections.len() < SECTIONS {
            self.sections.push(NewSection { heading: Some(Heading { level: level as u8, text, anchor }), text: String::new() });
        }
    }

    /// Adds to the text of the section that is read.
    fn say(&mut self, text: &str) {
        if !matches!(self.gathering, Some(Gathering::Heading { .. }))
            && let Some(section) = self.sections.last_mut()
        {
            section.text.push_str(text);
        }
    }
}

fn is_comment(html: &str) -> bool {
    html.starts_with("<!--") && html.ends_with("-->")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        html("README.md", text, 1, &|address| match address.split_once(':') {
            Some(("https", _)) => Target::Outside(address.to_owned()),
            Some(_) => Target::Nothing,
            None => Target::Inside(address.to_owned()),
        })
    }

    #[test]
    fn nothing_that_an_author_writes_becomes_an_element_of_his_own() {
        let hostile = [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<details open ontoggle=alert(1)>\n\ntext\n\n</details>",
            "[a](javascript:alert(1)) [b](<data:text/html,x>) [c]( \"onmouseover=alert(1)\")",
            "[a](https://e.example/\"onmouseover=alert(1)) [x](/a'\"><script>)",
            "![a](javascript:alert(1))",
            "# <svg onload=alert(1)> {#page onclick=alert(1)}",
            "```\"><script>\n<script>alert(1)</script>\n```",
            "| <b onclick=x> | \n|---|\n| <iframe src=x> |",
            "[a]: javascript:alert(1)\n\n[a] and ![a]",
            "<a href='javascript:alert(1)'>x</a>",
            "---\ntitle: <script>\n---\ntext",
        ];
        for text in hostile {
            let html = shown(text);
            // Text is escaped, so a bracket begins an element.
            for element in html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default()) {
                let (name, mut rest) = element.split_once(' ').unwrap_or((element, ""));
                let known =
                    ["p", "a", "h2", "pre", "code", "div", "table", "thead", "tbody", "tr", "th", "td", "br", "hr", "strong", "em", "ul", "li"];
                assert!(known.contains(&name.trim_start_matches('/')), "{text} → {html}");
                while let Some((attribute, after)) = rest.split_once("=\"") {
                    let known = ["href", "target", "rel", "id", "class", "role", "aria-label", "tabindex"];
                    let (value, next) = after.split_once('"').expect("values are quoted");
                    assert!(known.contains(&attribute.trim()), "{text} → {html}");
                    assert!(attribute.trim() != "href" || !value.contains("javascript") && !value.contains("data:"), "{text} → {html}");
                    rest = next;
                }
                assert!(matches!(rest.trim(), "" | "/"), "{text} → {html}");
            }
        }
    }

    #[test]
    fn headings_are_lowered_and_have_anchors_of_their_own() {
        let html = shown("# A *b* `c`\n\n## Install & run\n\n## Install & run\n\n###### six\n");
        assert_eq!(
            html,
            "<h2 id=\"s-a-b-c\">A <em>b</em> <code>c</code></h2>\n<h3 id=\"s-install--run\">Install &amp; run</h3>\n\
             <h3 id=\"s-install--run-1\">Install &amp; run</h3>\n<h6 id=\"s-six\">six</h6>\n"
        );
        let anchors: Vec<String> = headings("README.md", "# A\n## B\n# A\n").into_iter().map(|heading| heading.anchor).collect();
        assert_eq!(anchors, ["s-a", "s-b", "s-a-1"]);
    }

    #[test]
    fn sections_hold_what_stands_under_their_heading_without_markup() {
        let outline = outline(
            "docs/a.md",
            "before\n\n# Title\n\nSome *words* and `code`.\n\n## Run\n\n```sh\nmake <all>\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        );
        assert_eq!(outline.title, "Title");
        let seen: Vec<(Option<&str>, &str)> =
            outline.sections.iter().map(|section| (section.heading.as_ref().map(|heading| heading.text.as_str()), section.text.as_str())).collect();
        assert_eq!(seen, [(None, "before"), (Some("Title"), "Some words and code."), (Some("Run"), "make <all>\n\na b \n1 2")]);
        assert_eq!(super::outline("docs/plain.md", "just text").title, "plain.md");
        assert_eq!(super::outline("README", "# no markdown").sections[0].text, "# no markdown");
    }

    #[test]
    fn links_open_where_they_lead_and_pictures_are_links() {
        assert_eq!(
            shown("[a](b.md) [c](https://e.example/?a=1&b=2) [d](ftp:x) ![e](f.png)"),
            "<p><a href=\"b.md\">a</a> <a href=\"https://e.example/?a=1&amp;b=2\" target=\"_blank\" rel=\"external noopener noreferrer nofollow\">c</a> d \
             <a href=\"f.png\">e</a></p>\n"
        );
        assert_eq!(shown("[![e](f.png)](b.md)"), "<p><a href=\"b.md\">e</a></p>\n", "no link is within another");
    }

    #[test]
    fn what_is_nested_without_end_stays_shallow() {
        let html = shown(&format!("{}text", "> ".repeat(5_000)));
        assert!(html.matches("<blockquote>").count() <= DEPTH, "{}", html.len());
        assert_eq!(html.matches("<blockquote>").count(), html.matches("</blockquote>").count());
        assert!(html.contains("text"));
    }

    #[test]
    fn tables_and_tasks_are_read_without_a_mouse() {
        let html = shown("- [x] done\n- [ ] open\n\n| a |\n|---|\n| b<br>c |\n");
        assert!(html.contains("\u{2611} done") && html.contains("\u{2610} open") && !html.contains("<input"), "{html}");
        assert!(html.contains("<div class=\"wide\" role=\"region\" aria-label=\"Table\" tabindex=\"0\">") && html.contains("b<br />\nc"), "{html}");
    }
}
