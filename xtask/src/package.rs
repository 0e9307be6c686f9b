//! The packages that a release publishes, packed as cargo packs them.

use std::fs;

use crate::{
    lanes::Level,
    project::{Outcome, Project, create_dir, read_file, remove_dir},
};

/// In the workspace's manifest, until the first release; with it, cargo finds no package of the
/// workspace in the place of one from the registry.
const UNPUBLISHED: &str = "\npublish = false\n";

/// In the manifest of a package that a release publishes.
const PUBLISHED: &str = "\npublish.workspace = true\n";

/// Packs the last commit. Not built from what was packed: what those files are, the other lanes build.
pub(crate) fn run(project: &Project, _: Level) -> Outcome {
    let clone = project.target("package-clone");
    remove_dir(&clone)?;
    create_dir(&project.target(""))?;
    project.command("git", ["clone", "--quiet", "--local", "."]).arg(&clone).run()?;

    let root = clone.join("Cargo.toml");
    let manifest = read_file(&root)?.replace(UNPUBLISHED, "\npublish = true\n");
    fs::write(&root, manifest).map_err(|error| format!("{}: {error}", root.display()))?;

    let listed = project.command("git", ["ls-files", "*Cargo.toml"]).current_dir(&clone).read()?;
    let mut package = project.cargo(["package", "--no-verify", "--allow-dirty"]);
    for file in listed.lines() {
        if let Some(name) = published(&read_file(&clone.join(file))?) {
            package = package.args(["-p", &name]);
        }
    }
    package.current_dir(&clone).env("CARGO_TARGET_DIR", project.target("package")).run()?;
    remove_dir(&clone)
}

/// The name of a package that a release publishes.
fn published(manifest: &str) -> Option<String> {
    let parsed: toml::Table = manifest.parse().ok()?;
    let name = parsed.get("package")?.get("name")?.as_str()?;
    manifest.contains(PUBLISHED).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers;

    #[test]
    fn every_provider_is_published_and_no_test_is() {
        let project = Project::find().unwrap();
        let name = |file: &str| published(&read_file(&project.path(file)).unwrap());
        assert_eq!(name("Cargo.toml").as_deref(), Some("bulla"));
        assert_eq!(name("cli/Cargo.toml").as_deref(), Some("bulla-cli"));
        for provider in providers::all(&project).unwrap() {
            let file = format!("providers/{}/Cargo.toml", provider.dir);
            assert_eq!(name(&file), Some(provider.package));
        }
        for other in ["tests", "testworld", "benches", "examples", "fuzz", "xtask"] {
            assert_eq!(name(&format!("{other}/Cargo.toml")), None);
        }
    }
}
