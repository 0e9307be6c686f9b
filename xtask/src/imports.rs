//! Where a source of a library names other modules of it, its tests not counted.

use crate::source::{attributes, code_of, line, split_brackets, words};

/// What stands behind `crate` in a path, and in which line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) line: usize,
}

/// Everything that a source names by a path from the root, in `use` and elsewhere. A module `depth`
/// levels below the root may write `super` for `crate`.
pub(crate) fn imports(source: &str, depth: usize) -> Vec<Import> {
    let code = without_tests(&code_of(source));
    let root = format!("{}super", "super::".repeat(depth.saturating_sub(1)));
    let from_crate = words(&code, "crate");
    let from_super = words(&code, &root).filter(|(before, _)| !before.ends_with("::"));
    from_crate
        .chain(from_super)
        .filter_map(|(before, after)| Some((line(before), after.strip_prefix("::")?)))
        // A path that goes up still further is written in a module inside of the file.
        .filter(|(_, tree)| !tree.starts_with("super"))
        .flat_map(|(line, tree)| heads(tree, line))
        .collect()
}

/// The names that a `use self::…` of the root gives to items of its modules: each with its module.
pub(crate) fn exports(root: &str) -> Vec<(String, String)> {
    let code = without_tests(&code_of(root));
    let trees =
        words(&code, "use").filter_map(|(_, after)| after.trim_start().strip_prefix("self::"));
    let mut names = Vec::new();
    for tree in trees {
        for (module, tree) in branches(tree).map(|(tree, _)| (head(tree), tree)) {
            names.extend(leaves(tree).into_iter().map(|name| (name, module.to_owned())));
        }
    }
    names
}

/// The code with everything blank that is compiled for tests alone.
fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    for (before, attribute) in attributes(code) {
        let squeezed: String = attribute.split_whitespace().collect();
        let is_test = squeezed == "[cfg(test)]" || squeezed.starts_with("[cfg(all(test,");
        // What is before `kept`'s end is inside of something that is blank already.
        if let Some(new) = code.get(kept.len()..before.len()).filter(|_| is_test) {
            kept.push_str(new);
            let item = code.get(before.len()..).map_or("", |rest| rest.split_at(item(rest)).0);
            kept.extend(item.chars().flat_map(|c| {
                let blank = if c == '\n' { '\n' } else { ' ' };
                std::iter::repeat_n(blank, c.len_utf8())
            }));
        }
    }
    kept.push_str(code.get(kept.len()..).unwrap_or_default());
    kept
}

/// The length of the item that `code` starts with, its attributes included.
fn item(code: &str) -> usize {
    let mut rest = code;
    while let Some(attribute) = rest.trim_start().strip_prefix('#') {
        let Some((_, after)) = split_brackets(attribute) else { break };
        rest = after;
    }
    let attributes = code.len() - rest.len();
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return attributes + at,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(c, ';' | '}') {
            return attributes + at + c.len_utf8();
        }
    }
    code.len()
}

fn heads(tree: &str, line: usize) -> Vec<Import> {
    let import = |(tree, lines)| Import { name: head(tree).to_owned(), line: line + lines };
    branches(tree).map(import).filter(|import| import.name != "self").collect()
}

/// The first name of a tree.
fn head(tree: &str) -> &str {
    tree.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The trees in a tree's braces, or else the tree itself, each with the lines before it.
fn branches(tree: &str) -> impl Iterator<Item = (&str, usize)> {
    let group = split_brackets(tree).map(|(group, _)| group).filter(|g| g.starts_with('{'));
    let inner = group.and_then(|g| g.strip_prefix('{')?.strip_suffix('}'));
    let whole = inner.unwrap_or(tree);
    let mut depth = 0_usize;
    let between = move |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    let mut lines = 0;
    let pieces = whole.split(between).take(if inner.is_some() { usize::MAX } else { 1 });
    pieces.filter_map(move |piece| {
        let name = piece.trim_start();
        let before = lines + piece.get(..piece.len() - name.len())?.matches('\n').count();
        lines += piece.matches('\n').count();
        (!name.is_empty()).then_some((name, before))
    })
}

/// The names that a tree brings in.
fn leaves(tree: &str) -> Vec<String> {
    let tree = tree.split(';').next().unwrap_or(tree).trim();
    if let Some(at) = tree.find('{') {
        let (_, group) = tree.split_at(at);
        return branches(group).flat_map(|(tree, _)| leaves(tree)).collect();
    }
    tree.rsplit([':', ' ']).next().map(str::to_owned).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str, depth: usize) -> Vec<(String, usize)> {
        imports(source, depth).into_iter().map(|import| (import.name, import.line)).collect()
    }

    fn found(source: &str, depth: usize) -> Vec<String> {
        names(source, depth).into_iter().map(|(name, line)| format!("{name}:{line}")).collect()
    }

    #[test]
    fn imports_are_found_with_their_lines() {
        let source = "use crate::{\n    a::{self, b::{c, d}},\n    Error,\n};\n\
                      use crate::e;\npub(crate) fn f(g: crate::h::I) { crate::j::k!(); }\n";
        assert_eq!(found(source, 2), ["a:2", "Error:3", "e:5", "h:6", "j:6"]);
    }

    #[test]
    fn super_is_followed_to_the_root_only() {
        let source = "use super::a;\nuse super::super::b;\nuse super::super::super::c;\n";
        assert_eq!(found(source, 1), ["a:1"]);
        assert_eq!(found(source, 2), ["b:2"]);
        assert_eq!(found(source, 3), ["c:3"]);
        assert_eq!(found("use super::{a::b, c};", 1), ["a:1", "c:1"]);
    }

    #[test]
    fn comments_literals_and_tests_import_nothing() {
        for source in [
            "/// [`crate::a`]\n// crate::a\nconst B: &str = \"crate::a\";",
            "#[cfg(test)]\nmod tests {\n    use crate::a;\n}",
            "#[cfg(test)]\n#[allow(b, reason = \"ä\")]\nfn c() -> [u8; 2] { crate::a() }",
            "#[cfg(all(test, unix))]\nuse crate::a::{b, c};",
            "use b::not_crate::a;",
        ] {
            assert_eq!(names(source, 1), [], "{source}");
        }
    }

    #[test]
    fn what_follows_a_test_is_found() {
        let source = "#[cfg(test)]\nmod tests;\nuse crate::a;\n#[cfg(any(test, b))]\n\
                      use crate::c;\n#[cfg(test)]\nfn ä() {}\nuse crate::d;\n";
        assert_eq!(found(source, 1), ["a:3", "c:5", "d:8"]);
        // In a list, an attribute ends with the list at the latest.
        let list = "struct A { b: C, #[cfg(test)] d: E }\nuse crate::f;";
        assert_eq!(found(list, 1), ["f:2"]);
    }

    #[test]
    fn exports_have_their_modules() {
        let root = "pub use self::{\n    a::{B, c::{D, E}},\n    f::G as H,\n};\nuse self::i::J;\n";
        let names: Vec<_> =
            exports(root).into_iter().map(|(name, module)| format!("{module} {name}")).collect();
        assert_eq!(names, ["a B", "a D", "a E", "f H", "i J"]);
    }
}
