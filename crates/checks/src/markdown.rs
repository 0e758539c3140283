//! Links and headings of Markdown pages.

/// A link as written: `[text](target)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The line it stands on, from 1.
    pub line: usize,
    /// What is between the parentheses, without a title.
    pub target: String,
}

/// Every link outside code, in the order of the page.
pub fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for (line, content) in prose(text) {
        let content = without_code_spans(content);
        for (at, _) in content.match_indices("](") {
            let rest = &content[at + 2..];
            let Some(end) = rest.find(')') else { continue };
            let target = rest[..end].split_whitespace().next().unwrap_or_default();
            found.push(Link { line, target: target.trim_matches(['<', '>']).to_owned() });
        }
    }
    found
}

/// The anchors that a page's headings make, as GitHub forms them.
pub fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len() && title.starts_with(' ')).then(|| anchor(title.trim()))
    });
    let mut anchors: Vec<String> = Vec::new();
    for base in headings {
        let twins = anchors.iter().filter(|known| **known == base).count();
        anchors.push(base.clone());
        if twins > 0 {
            anchors.push(format!("{base}-{twins}"));
        }
    }
    anchors
}

fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}

/// The lines outside fenced code, with their numbers from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(n, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((n + 1, line))
    })
}

fn without_code_spans(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_in_code_are_not_links() {
        let page =
            "see [a](x.md#y) and `[no](no.md)`\n```\n[no](no.md)\n```\n[b](<c d> \"t\")\n[e](f.md)";
        let targets: Vec<_> = links(page).into_iter().map(|l| (l.line, l.target)).collect();
        assert_eq!(targets[0], (1, "x.md#y".to_owned()));
        assert_eq!(targets.last(), Some(&(6, "f.md".to_owned())));
        assert_eq!(targets.len(), 3);
    }

    #[test]
    fn anchors_are_formed_as_github_forms_them() {
        let page = "# The `walk`, in one file\n## Twice\n## Twice\n#no heading";
        assert_eq!(anchors(page), ["the-walk-in-one-file", "twice", "twice", "twice-1"]);
    }
}
