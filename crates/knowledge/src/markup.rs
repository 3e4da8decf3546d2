//! From HTML, as help centres export it, to text that an agent can read.
//!
//! Blocks and line breaks become lines, list items lines with `-` or their number, the cells of a table's row one line with
//! `|` between them; links are their text, images their alternative text; scripts, styles and comments are dropped.
//!
//! A text is taken for HTML only when it can be nothing else: an element of HTML is opened and closed in it, or it has a
//! line break or an image. Anything else with a `<` in it stays as it is, but for character references that end in `;`,
//! which exports leave behind where they cut the elements out.

use std::cell::RefCell;
use std::collections::HashSet;

use html5ever::LocalName;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

/// Elements that articles are made of. Those that are more often the fields of an XML file (title, link, address, object)
/// are left out: they must not make HTML of one.
const ELEMENTS: &str = "a abbr article aside audio b big blockquote body button caption center cite code dd del details \
     dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header html i iframe ins kbd li main mark nav \
     noscript ol p picture pre q s samp script section small span strike strong style sub summary sup table tbody td \
     tfoot th thead tr tt u ul var video";

/// Elements that stand on lines of their own.
const BLOCKS: &str = "article aside blockquote body br caption center dd details div dl dt figcaption figure footer h1 h2 \
     h3 h4 h5 h6 header hr html li main nav ol option p pre section summary table tbody tfoot thead tr ul";

/// Elements whose content is no text of the article, with how they end.
const DROPPED: [(&str, RawKind); 7] = [
    ("script", RawKind::ScriptData),
    ("style", RawKind::Rawtext),
    ("iframe", RawKind::Rawtext),
    ("noscript", RawKind::Rawtext),
    ("template", RawKind::Rawtext),
    ("title", RawKind::Rcdata),
    ("textarea", RawKind::Rcdata),
];

/// What lies deeper is no further to the right: nobody could tell, and lists within lists would fill the memory.
const MOST_INDENTS: usize = 8;

/// The text of `source`, or nothing where it has no markup.
pub fn text_of(source: &str) -> Option<String> {
    if source.contains('<') {
        let rendered = rendered(source, Text::default());
        if rendered.is_markup {
            return Some(rendered.written.trim().to_owned());
        }
    }
    decoded(source)
}

/// A title without its markup.
pub fn title_of(source: String) -> String {
    text_of(&source).map_or(source, |text| text.replace('\n', " "))
}

/// A body without its markup, and without the copy of the title that a page has as its heading.
pub fn body_of(source: String, title: &str) -> String {
    let Some(text) = text_of(&source) else { return source };
    let below_title = text.strip_prefix(title.trim()).filter(|below| below.is_empty() || below.starts_with('\n'));
    below_title.map_or(text.as_str(), str::trim_start).to_owned()
}

/// The text with its character references replaced, or nothing where it has none.
fn decoded(source: &str) -> Option<String> {
    let mut parts = source.split('&');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let is_name = |name: &str| name.chars().all(|character| character.is_ascii_alphanumeric() || character == '#');
        match part.split_once(';') {
            Some((name, rest)) if is_name(name) => {
                let verbatim = Text { num_preformatted: 1, ..Text::default() };
                text.push_str(&rendered(&format!("&{name};"), verbatim).written);
                text.push_str(rest);
            }
            _ => {
                text.push('&');
                text.push_str(part);
            }
        }
    }
    (text != source).then_some(text)
}

fn rendered(source: &str, text: Text) -> Text {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(source));
    let tokenizer = Tokenizer::new(Sink(RefCell::new(text)), TokenizerOpts::default());
    // Only a script that is to be run would pause it.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

struct Sink(RefCell<Text>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut text = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(characters) => text.write(&characters),
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => text.start(&tag),
            Token::TagToken(tag) => text.end(&tag.name),
            _ => {}
        }
        let raw = text.raw.take();
        raw.map_or(TokenSinkResult::Continue, TokenSinkResult::RawData)
    }
}

/// What stands between what was written and what comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    Nothing,
    Space,
    Cell,
    Line,
}

/// What was written in the row of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Cells {
    #[default]
    None,
    First,
    /// One more, whose lines stay on that of the row.
    Later,
}

/// The text that was written so far.
#[derive(Default)]
struct Text {
    written: String,
    gap: Gap,
    /// In front of the first word of a list item.
    marker: Option<String>,
    /// The lists that are open; an ordered one with the number of its next item.
    lists: Vec<Option<u32>>,
    cells: Cells,
    /// Elements around this one in which white space counts.
    num_preformatted: usize,
    is_dropped: bool,
    /// How the tokenizer is to read on.
    raw: Option<RawKind>,
    opened: HashSet<LocalName>,
    /// Whether something was seen that only HTML has.
    is_markup: bool,
}

impl Text {
    fn start(&mut self, tag: &Tag) {
        let name = &*tag.name;
        let attribute = |name: &str| tag.attrs.iter().find(|attribute| &*attribute.name.local == name);
        if let Some((_, kind)) = DROPPED.iter().find(|(dropped, _)| *dropped == name && !tag.self_closing) {
            (self.raw, self.is_dropped) = (Some(*kind), true);
        }
        self.break_line(name);
        match name {
            "br" => self.is_markup = true,
            "img" => {
                self.is_markup |= attribute("src").is_some();
                if let Some(alt) = attribute("alt") {
                    self.write(&alt.value);
                }
            }
            "ul" => self.lists.push(None),
            "ol" => self.lists.push(Some(attribute("start").and_then(|start| start.value.parse().ok()).unwrap_or(1))),
            "li" => self.mark_item(),
            "td" | "th" if self.cells != Cells::None => (self.gap, self.cells) = (Gap::Cell, Cells::Later),
            "pre" => self.num_preformatted += 1,
            _ => {}
        }
        if is_one_of(name, ELEMENTS) {
            self.opened.insert(tag.name.clone());
        }
    }

    fn end(&mut self, name: &LocalName) {
        self.is_dropped = false;
        self.is_markup |= self.opened.contains(name);
        match &**name {
            "ul" | "ol" => drop(self.lists.pop()),
            "pre" => self.num_preformatted = self.num_preformatted.saturating_sub(1),
            _ => {}
        }
        self.break_line(name);
    }

    fn break_line(&mut self, name: &str) {
        if matches!(name, "tr" | "table") {
            (self.gap, self.cells) = (Gap::Line, Cells::None);
        } else if is_one_of(name, BLOCKS) {
            self.gap = if self.cells == Cells::Later { self.gap.max(Gap::Space) } else { Gap::Line };
        }
    }

    fn mark_item(&mut self) {
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(MOST_INDENTS));
        self.marker = Some(match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{indent}{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            _ => format!("{indent}- "),
        });
    }

    fn write(&mut self, characters: &str) {
        if self.is_dropped {
            return;
        }
        for character in characters.chars() {
            match character {
                // They say where a word may be parted, and would part it for a search.
                '\u{ad}' | '\u{200b}' | '\u{feff}' => {}
                '\u{a0}' if self.num_preformatted > 0 => self.push(' '),
                _ if character.is_whitespace() && (self.num_preformatted == 0 || self.gap == Gap::Line) => {
                    self.gap = self.gap.max(Gap::Space);
                }
                _ => self.push(character),
            }
        }
    }

    fn push(&mut self, character: char) {
        let gap = match std::mem::take(&mut self.gap) {
            _ if self.written.is_empty() => "",
            Gap::Nothing => "",
            Gap::Space => " ",
            Gap::Cell => " | ",
            Gap::Line => "\n",
        };
        self.written.push_str(gap);
        self.written.push_str(&self.marker.take().unwrap_or_default());
        self.written.push(character);
        if self.cells == Cells::None {
            self.cells = Cells::First;
        }
    }
}

fn is_one_of(name: &str, names: &str) -> bool {
    names.split(' ').any(|known| known == name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_an_export_has_becomes_lines() {
        for (html, text) in [
            (
                "<div class=\"a\"><h2 id=\"h\"><strong>Fees</strong></h2><p style=\"margin:0\"><span lang=\"EN\">A&nbsp;fee\n of \
                 &#8364;5 &amp; more.</span></p><p>&nbsp;</p><p>Don&#x27;t pay twice.</p></div>",
                "Fees\nA fee of €5 & more.\nDon't pay twice.",
            ),
            ("One<br>two<br/>three<BR />four", "One\ntwo\nthree\nfour"),
            (
                "<p>See <a href=\"https://kb/1?a=1&b=2\">the <b>list</b></a>, or <a href='x>y'>ask</a>.</p>",
                "See the list, or ask.",
            ),
            (
                "<ul><li>One</li><li><p>Two</p><ol start=\"3\"><li>Three<li>Four</ol></li><li></li><li>Last</li></ul>After",
                "- One\n- Two\n  3. Three\n  4. Four\n- Last\nAfter",
            ),
            (
                "<table><thead><tr><th>Plan</th><th>Price</th></tr></thead><tbody><tr><td><p>Harbour</p></td>\
                 <td><p>€29</p><p>a month</p></td><td></td></tr>\n<tr><td></td><td>€3</td></tr></table><p>Without VAT.</p>",
                "Plan | Price\nHarbour | €29 a month\n€3\nWithout VAT.",
            ),
            (
                "Look: <img src=\"data:image/png;base64,AAAA\" alt=\"the&nbsp;back of the Hub\"><img src=\"x.png\" alt=\"\">, then",
                "Look: the back of the Hub, then",
            ),
            ("<p><img src=\"data:image/png;base64,AAAA\"></p>", ""),
            (
                "<head><title>T</title><style>p > a { color: red }</style></head><p>Text</p><script>if (a<b) x = \"</p>\";\
                 </script><!-- <p>old</p> --><noscript><p>no</p></noscript><iframe src=\"v\"></iframe> end",
                "Text\nend",
            ),
            ("<pre>\nping -c 4  host\n  if a &lt; b\n</pre>then", "ping -c 4  host\n  if a < b\n\nthen"),
            ("Kündi&shy;gung<wbr>s<b>frist</b>", "Kündigungsfrist"),
            ("<p>5 < 6 & 7 > 3</p><p>a", "5 < 6 & 7 > 3\na"),
            ("<p>&lt;p&gt; is a tag</p>", "<p> is a tag"),
        ] {
            assert_eq!(text_of(html).as_deref(), Some(text), "{html}");
        }
    }

    #[test]
    fn what_is_no_markup_stays_as_it_is() {
        for text in [
            "",
            "a < b, and b > a",
            "I <3 this",
            "x<y>z",
            "std::vector<int> a; Map<String, List<a>> b;",
            "template<typename T> T max(T a, T b)",
            "Press <Enter>, then <Ctrl>+<Alt>+<Del>, or <P> to print",
            "use <p> and <table> tags",
            "write to <name@host.example> or see <https://host/a>",
            "</p>",
            "<config><host>a</host></config>",
            "AT&T, R&D; a&b; ?a=1&copy=2 &c.",
            "5 &lt 6",
            "<",
            "<!",
            "<?php echo 1; ?>",
        ] {
            assert_eq!(text_of(text), None, "{text}");
        }
    }

    #[test]
    fn references_that_an_export_left_behind_are_characters() {
        for (text, decoded) in [
            ("Terms &amp; Conditions", "Terms & Conditions"),
            ("Don&#39;t&nbsp;&#x2013; x&lt;y", "Don't – x<y"),
            ("&amp;lt; stays &unknown; &", "&lt; stays &unknown; &"),
        ] {
            assert_eq!(text_of(text).as_deref(), Some(decoded), "{text}");
        }
    }

    #[test]
    fn an_article_of_a_hundred_thousand_elements_is_read() {
        let deep = "<div>".repeat(100_000) + "deep" + &"</div>".repeat(100_000);
        assert_eq!(text_of(&deep).as_deref(), Some("deep"));
    }

    #[test]
    fn lists_within_lists_fill_no_memory() {
        let deep = "<ul><li>x".repeat(10_000);
        let text = text_of(&format!("{deep}</ul>")).unwrap();
        assert!(text.len() < deep.len() * 3, "{} bytes became {}", deep.len(), text.len());
        assert!(text.starts_with("- x\n  - x\n    - x\n"), "{}", &text[..40]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_no_reference_or_tag_is_made_up(
            text in "(<[a-z/!]{0,6}[ >]|&[a-z#0-9]{0,4};?|[a-z<&; \n]){0,40}",
        ) {
            if let Some(read) = text_of(&text) {
                prop_assert!(text.contains('<') || text.contains('&'));
                prop_assert!(read.len() <= text.len() * 3);
            }
        }
    }
}
