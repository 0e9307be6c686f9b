//! The rooms of the core, which are the modules at its root, and the arrows between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::{
    imports::{exports, imports},
    project::{Outcome, Project, read_file},
};

const DOCUMENT: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- rooms: begin -->\n";
const END: &str = "<!-- rooms: end -->";

/// What the order of the rooms alone does not rule out: the format is bytes, and knows nobody who
/// reads or writes them.
const FORBIDDEN: &[(&str, &[&str])] = &[("format", &["provider", "stream", "envelope"])];

/// Who uses whom.
#[derive(Default)]
struct Rooms {
    names: BTreeSet<String>,
    /// From a room to one that it uses, with the first place where it does.
    arrows: BTreeMap<(String, String), String>,
    /// Paths that lead to no room.
    unknown: Vec<String>,
}

/// Prints the drawing, or writes it where it belongs.
pub(crate) fn run(project: &Project, write: bool) -> Outcome {
    let rooms = Rooms::of(&sources(project)?);
    let findings = rooms.findings();
    if !findings.is_empty() {
        return Err(findings.join("\n"));
    }
    let drawing = rooms.drawing();
    if !write {
        print!("{drawing}");
        return Ok(());
    }
    let path = project.path(DOCUMENT);
    let text = read_file(&path)?;
    let (before, _, after) = around_drawing(&text)?;
    fs::write(&path, format!("{before}{drawing}{after}"))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// What is wrong with the arrows, or else with the drawing of them.
pub(crate) fn check(project: &Project) -> Outcome<Vec<String>> {
    let rooms = Rooms::of(&sources(project)?);
    let mut findings = rooms.findings();
    if findings.is_empty() {
        let text = read_file(&project.path(DOCUMENT))?;
        if around_drawing(&text)?.1 != rooms.drawing() {
            findings.push(format!(
                "{DOCUMENT}: the drawing of the rooms is not what the code is; `cargo xtask rooms \
                 --write` makes it so"
            ));
        }
    }
    Ok(findings)
}

/// The core's sources by their paths.
fn sources(project: &Project) -> Outcome<Vec<(String, String)>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "src/*.rs"];
    let files = project.command("git", list).read()?;
    let files = files.split_terminator('\0').filter(|file| project.path(file).exists());
    files.map(|file| Ok((file.to_owned(), read_file(&project.path(file))?))).collect()
}

/// The document before, inside of and after the markers.
fn around_drawing(text: &str) -> Outcome<(&str, &str, &str)> {
    let missing = || format!("{DOCUMENT} has no {} and {END}", BEGIN.trim_end());
    let begin = text.find(BEGIN).ok_or_else(missing)? + BEGIN.len();
    let (before, rest) = text.split_at(begin);
    let (drawing, after) = rest.split_at(rest.find(END).ok_or_else(missing)?);
    Ok((before, drawing, after))
}

/// The room of a file, and how deep below the root its module is. Tests and the root have none.
fn room_of(file: &str) -> Option<(&str, usize)> {
    let module = file.strip_prefix("src/")?.strip_suffix(".rs")?;
    let module = module.strip_suffix("/mod").unwrap_or(module);
    let parts: Vec<_> = module.split('/').collect();
    let room = parts.first()?;
    let is_test = parts.contains(&"tests") || *room == "testing";
    (!is_test && *room != "lib").then_some((*room, parts.len()))
}

impl Rooms {
    fn of(sources: &[(String, String)]) -> Self {
        let names = sources.iter().filter_map(|(file, _)| Some(room_of(file)?.0.to_owned()));
        let mut rooms = Self { names: names.collect(), ..Self::default() };
        let root = sources.iter().find(|(file, _)| Path::new(file) == Path::new("src/lib.rs"));
        let at_root: BTreeMap<_, _> =
            root.map(|(_, text)| exports(text)).unwrap_or_default().into_iter().collect();
        for (file, text) in sources {
            let Some((from, depth)) = room_of(file) else { continue };
            for import in imports(text, depth) {
                let to = at_root.get(&import.name).unwrap_or(&import.name);
                let place = format!("{file}:{}", import.line);
                if !rooms.names.contains(to) {
                    rooms.unknown.push(format!("{place}: crate::{} is in no room", import.name));
                } else if to != from {
                    rooms.arrows.entry((from.to_owned(), to.clone())).or_insert(place);
                }
            }
        }
        rooms
    }

    fn findings(&self) -> Vec<String> {
        let reach = self.reach();
        let cycle = self.arrows.iter().filter(|((from, to), _)| reach_of(&reach, to, from));
        let cycle = cycle.map(|((from, to), place)| {
            format!("{place}: {from} uses {to}, which uses {from}, directly or by way of others")
        });
        let forbidden = self.arrows.iter().filter(|((from, to), _)| {
            FORBIDDEN.iter().any(|(room, not)| room == from && not.contains(&to.as_str()))
        });
        let forbidden = forbidden.map(|((from, to), place)| {
            format!("{place}: {from} is below {to}, and may not use it")
        });
        self.unknown.iter().cloned().chain(cycle).chain(forbidden).collect()
    }

    /// The rooms that each one uses, by way of others too.
    fn reach(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut reach: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (from, to) in self.arrows.keys() {
            reach.entry(from).or_default().insert(to);
        }
        for middle in &self.names {
            let beyond = reach.get(middle.as_str()).cloned().unwrap_or_default();
            for used in reach.values_mut().filter(|used| used.contains(middle.as_str())) {
                used.extend(&beyond);
            }
        }
        reach
    }

    /// The drawing, from the bottom up. What is drawn by way of others is not drawn again.
    fn drawing(&self) -> String {
        let reach = self.reach();
        let floor = |room: &str| reach.get(room).map_or(0, BTreeSet::len);
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|name| (floor(name), *name));
        let mut lines = vec!["```mermaid".to_owned(), "flowchart TD".to_owned()];
        for from in names {
            let used: Vec<_> =
                self.arrows.keys().filter(|(room, _)| room == from).map(|(_, to)| to).collect();
            let direct = used.iter().filter(|to| used.iter().all(|via| !reach_of(&reach, via, to)));
            let direct: Vec<_> = direct.map(|to| to.as_str()).collect();
            lines.push(match direct.as_slice() {
                [] => format!("    {from}"),
                _ => format!("    {from} --> {}", direct.join(" & ")),
            });
        }
        lines.push("```\n".to_owned());
        lines.join("\n")
    }
}

fn reach_of(reach: &BTreeMap<&str, BTreeSet<&str>>, from: &str, to: &str) -> bool {
    reach.get(from).is_some_and(|used| used.contains(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(sources: &[(&str, &str)]) -> Rooms {
        let owned = |(file, text): &(&str, &str)| ((*file).to_owned(), (*text).to_owned());
        Rooms::of(&sources.iter().map(owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_room_is_a_module_at_the_root() {
        assert_eq!(room_of("src/ext.rs"), Some(("ext", 1)));
        assert_eq!(room_of("src/key/mod.rs"), Some(("key", 1)));
        assert_eq!(room_of("src/key/uri/local.rs"), Some(("key", 3)));
        for file in ["src/lib.rs", "src/testing.rs", "src/key/tests.rs", "src/key/tests/mod.rs"] {
            assert_eq!(room_of(file), None, "{file}");
        }
    }

    #[test]
    fn a_cycle_is_found_with_its_places() {
        let root = "pub use self::{c::Third};";
        let sources = [
            ("src/lib.rs", root),
            ("src/a.rs", "use crate::b;"),
            ("src/b/mod.rs", "\nuse crate::Third;"),
            ("src/c.rs", "fn f() { crate::a::g() }"),
            ("src/d.rs", "use crate::a;"),
        ];
        let found = rooms(&sources).findings().join("\n");
        for place in ["src/a.rs:1: a uses b", "src/b/mod.rs:2: b uses c", "src/c.rs:1: c uses a"] {
            assert!(found.contains(place), "{found}");
        }
        assert!(!found.contains("src/d.rs"), "{found}");
        assert_eq!(rooms(&sources[..3]).findings().len(), 1); // `Third` is in `c`, which is not there
        assert_eq!(rooms(&[sources[1], ("src/b/mod.rs", "")]).findings(), [""; 0]);
    }

    #[test]
    fn the_format_knows_none_of_its_users() {
        let sources = [("src/format/a.rs", "use crate::provider;"), ("src/provider/mod.rs", "")];
        let found = rooms(&sources).findings();
        assert_eq!(found, ["src/format/a.rs:1: format is below provider, and may not use it"]);
    }

    #[test]
    fn the_drawing_is_reduced_and_from_the_bottom_up() {
        let sources = [
            ("src/a.rs", "use crate::{b, c, d};"),
            ("src/b.rs", "use crate::c;"),
            ("src/c.rs", ""),
            ("src/d.rs", ""),
        ];
        let drawing = rooms(&sources).drawing();
        let want = "```mermaid\nflowchart TD\n    c\n    d\n    b --> c\n    a --> b & d\n```\n";
        assert_eq!(drawing, want);
    }

    #[test]
    fn the_drawing_is_between_its_markers() {
        let text = format!("a\n{BEGIN}old\n{END}\nb\n");
        let (before, drawing, after) = around_drawing(&text).unwrap();
        assert_eq!((drawing, after), ("old\n", &*format!("{END}\nb\n")));
        assert!(before.ends_with(BEGIN));
        assert!(around_drawing("a\nb\n").is_err());
        assert!(around_drawing(&format!("{END}\n{BEGIN}")).is_err());
    }
}
