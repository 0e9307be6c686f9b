//! The providers, by what their manifests say below `[package.metadata.bulla]`. Lanes and features
//! are made from that, and documents and the command are held against it.

use std::{collections::BTreeMap, ffi::OsStr, fs, path::Path};

use serde::{Deserialize, de::DeserializeOwned};

use crate::project::{Outcome, Project, read_file};

/// What else is a feature of the command, or of a crate that it does not have.
const OTHER_FEATURES: [&str; 15] = [
    "bulla-cli/oauth",
    "bulla-cli/oidc",
    "bulla-cli/serve",
    "bulla-cli/spiffe",
    "bulla-cli/store",
    "bulla-object-store/object-store-0-13",
    "bulla-spiffe/authority",
    "bulla-spiffe/federation",
    "bulla-spiffe/mtls",
    "bulla-spiffe/ring",
    "bulla-spiffe/serve",
    "bulla-spiffe/server",
    "bulla-spiffe/workload",
    "bulla-tokens/postgres",
    "bulla-tokens/sqlite",
];

#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) package: String,
    /// As people call it.
    pub(crate) name: String,
    schemes: Vec<String>,
    /// The feature of the command that links it. Without one, the command always does.
    feature: Option<String>,
    pub(crate) lane: Option<ServersLane>,
    /// Whether it has code of its own for a crypto backend, or hands the choice on to the core.
    pub(crate) has_backend_code: bool,
    pub(crate) dir: String,
    /// Its integration tests.
    tests: Vec<String>,
}

/// Tests that need servers: in Python, which `testworld/NAME-requirements.txt` lists, unless it says where
/// else they come from.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServersLane {
    pub(crate) name: String,
    /// Tests of other packages; the provider's own are always among them.
    tests: Vec<String>,
    /// Packages of Debian, instead of Python.
    #[serde(default)]
    pub(crate) debian: Vec<String>,
    /// Whether they are programs of the Go module `testworld/NAME`, instead of Python.
    #[serde(default)]
    pub(crate) go: bool,
    /// What its tests do more of where `BULLA_LONG_TESTS` is set, in words.
    pub(crate) long: Option<String>,
}

/// What is read of a `Cargo.toml`.
#[derive(Deserialize)]
struct Manifest {
    package: Package,
    #[serde(default)]
    features: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    dependencies: toml::Table,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    bulla: Option<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    schemes: Vec<String>,
    feature: Option<String>,
    lane: Option<ServersLane>,
}

/// Where a provider has to be named, as far as it can be looked up.
struct Places {
    command: Manifest,
    backends: String,
    readme: String,
    architecture: String,
    configuration: String,
}

/// All providers, in the order of their directories.
pub(crate) fn all(project: &Project) -> Outcome<Vec<Provider>> {
    let dirs = names_in(&project.path("providers"), |path| path.is_dir())?;
    let read = |dir: &String| {
        let manifest = manifest(project, &format!("providers/{dir}/Cargo.toml"))?;
        let tests = project.path(format!("providers/{dir}/tests"));
        let tests = names_in(&tests, |path| path.extension() == Some(OsStr::new("rs")))?;
        Provider::of(dir, manifest, tests)
    };
    dirs.iter().map(read).collect()
}

/// All packages with every provider, and what else is a feature, in the command: what lanes build in
/// common, so that they share what is built.
pub(crate) fn workspace(project: &Project) -> Outcome<Vec<String>> {
    let features = all(project)?.into_iter().filter_map(|provider| provider.feature);
    let features = features.map(|feature| format!("bulla-cli/{feature}"));
    let features: Vec<_> = features.chain(OTHER_FEATURES.map(str::to_owned)).collect();
    Ok(vec!["--workspace".to_owned(), "--features".to_owned(), features.join(",")])
}

/// Where a provider is not named that should be.
pub(crate) fn check(project: &Project) -> Outcome<Vec<String>> {
    let read = |file: &str| read_file(&project.path(file));
    let places = Places {
        command: manifest(project, "cli/Cargo.toml")?,
        backends: read("cli/src/providers/backends.rs")?,
        readme: read("README.md")?,
        architecture: read("ARCHITECTURE.md")?,
        configuration: read("docs/configuration.md")?,
    };
    Ok(all(project)?.iter().flat_map(|provider| provider.findings(&places)).collect())
}

impl Provider {
    fn of(dir: &str, manifest: Manifest, tests: Vec<String>) -> Outcome<Self> {
        let entry = manifest.package.metadata.and_then(|metadata| metadata.bulla);
        let Entry { name, schemes, feature, lane } = entry
            .ok_or_else(|| format!("providers/{dir}/Cargo.toml has no [package.metadata.bulla]"))?;
        let backends = ["aws-lc-rs", "rustcrypto"].iter().filter_map(|b| manifest.features.get(*b));
        let has_backend_code = backends.flatten().any(|enabled| !enabled.starts_with("bulla/"));
        let package = manifest.package.name;
        let dir = dir.to_owned();
        Ok(Self { package, name, schemes, feature, lane, has_backend_code, dir, tests })
    }

    /// The tests of its lane.
    pub(crate) fn lane_tests(&self) -> Vec<&str> {
        let others = self.lane.iter().flat_map(|lane| &lane.tests);
        self.tests.iter().chain(others).map(String::as_str).collect()
    }

    fn findings(&self, places: &Places) -> Vec<String> {
        let Self { package, name, feature, dir, .. } = self;
        let mut findings = Vec::new();
        let mut must = |is: bool, what: String| findings.extend((!is).then_some(what));
        let row = format!("| {name} | `{package}` |");
        must(places.readme.contains(&row), format!("README.md: no row {row}"));
        let room = format!("| `providers/{dir}/` |");
        must(places.architecture.contains(&room), format!("ARCHITECTURE.md: no row {room}"));

        let dependency = places.command.dependencies.get(package);
        must(dependency.is_some(), format!("cli/Cargo.toml: no dependency on {package}"));
        let optional = dependency.and_then(|dependency| dependency.get("optional")?.as_bool());
        match feature {
            Some(feature) => {
                let enabled = places.command.features.get(feature);
                let links = enabled.is_some_and(|list| list.contains(&format!("dep:{package}")));
                must(links, format!("cli/Cargo.toml: no feature {feature} for dep:{package}"));
                let default = places.command.features.get("default");
                must(
                    !default.is_some_and(|list| list.contains(feature)),
                    format!(
                        "cli/Cargo.toml: {feature} is a default feature, and first builds are to be short"
                    ),
                );
            }
            None => must(
                optional != Some(true),
                format!("cli/Cargo.toml: {package} is optional, but its manifest has no feature"),
            ),
        }
        for scheme in &self.schemes {
            let named = match feature {
                Some(feature) => format!("(\"{scheme}\", \"{feature}\""),
                None => format!("\"{scheme}\""),
            };
            must(
                places.backends.contains(&named),
                format!("cli/src/providers/backends.rs: no {named}"),
            );
            must(
                places.configuration.contains(&format!("{scheme}:")),
                format!("docs/configuration.md: nothing on {scheme}: keys"),
            );
        }
        findings
    }
}

fn manifest<T: DeserializeOwned>(project: &Project, file: &str) -> Outcome<T> {
    toml::from_str(&read_file(&project.path(file))?).map_err(|error| format!("{file}: {error}"))
}

/// The names, without extensions, of what is wanted in a directory.
fn names_in(dir: &Path, wanted: impl Fn(&Path) -> bool) -> Outcome<Vec<String>> {
    let entries =
        fs::read_dir(dir).map_err(|error| format!("cannot read {}: {error}", dir.display()))?;
    let mut names: Vec<_> = entries
        .flatten()
        .filter(|entry| wanted(&entry.path()))
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDER: &str = "[package]\nname = \"bulla-x\"\n\
        [package.metadata.bulla]\nname = \"X\"\nschemes = [\"xkms\"]\nfeature = \"x\"\n\
        lane = { name = \"x\", tests = [\"both\"] }\n\
        [features]\naws-lc-rs = [\"bulla/aws-lc-rs\"]\nrustcrypto = [\"bulla/rustcrypto\"]\n";

    const COMMAND: &str = "[package]\nname = \"c\"\n[features]\nx = [\"dep:bulla-x\"]\n\
        [dependencies]\nbulla-x = { optional = true }\n";

    fn provider(manifest: &str) -> Outcome<Provider> {
        Provider::of("x", toml::from_str(manifest).unwrap(), vec!["own".to_owned()])
    }

    fn places(command: &str) -> Places {
        Places {
            command: toml::from_str(command).unwrap(),
            backends: "(\"xkms\", \"x\", ".to_owned(),
            readme: "| X | `bulla-x` | yes |".to_owned(),
            architecture: "| `providers/x/` | X |".to_owned(),
            configuration: "`xkms:` keys".to_owned(),
        }
    }

    #[test]
    fn a_manifest_tells_of_its_provider() {
        let found = provider(PROVIDER).unwrap();
        assert_eq!((&*found.package, &*found.name), ("bulla-x", "X"));
        assert_eq!(found.lane_tests(), ["own", "both"]);
        assert!(!found.has_backend_code);
        let code = PROVIDER.replace("\"bulla/aws-lc-rs\"", "\"bulla/aws-lc-rs\", \"dep:y\"");
        assert!(provider(&code).unwrap().has_backend_code);
        assert!(provider("[package]\nname = \"x\"").is_err());
    }

    #[test]
    fn a_lane_has_its_servers_from_where_its_manifest_says() {
        let lane = |more: &str| {
            let manifest = PROVIDER.replace("tests = [\"both\"]", &format!("tests = []{more}"));
            provider(&manifest).map(|provider| provider.lane.unwrap())
        };
        let python = lane("").unwrap();
        assert!(python.debian.is_empty() && !python.go);
        assert_eq!(lane(", debian = [\"softhsm2\"]").unwrap().debian, ["softhsm2"]);
        assert!(lane(", go = true").unwrap().go);
    }

    #[test]
    fn a_provider_that_is_named_everywhere_is_fine() {
        assert_eq!(provider(PROVIDER).unwrap().findings(&places(COMMAND)), [""; 0]);
    }

    #[test]
    fn each_place_that_lacks_a_provider_is_found() {
        let found = provider(PROVIDER).unwrap();
        let nothing = Places {
            command: toml::from_str("[package]\nname = \"c\"").unwrap(),
            backends: String::new(),
            readme: String::new(),
            architecture: String::new(),
            configuration: String::new(),
        };
        assert_eq!(found.findings(&nothing).len(), 6);
        let other = COMMAND.replace("dep:bulla-x", "dep:bulla-y");
        assert_eq!(
            found.findings(&places(&other)),
            ["cli/Cargo.toml: no feature x for dep:bulla-x"]
        );
        let default = COMMAND.replace("[features]", "[features]\ndefault = [\"x\"]");
        assert!(found.findings(&places(&default)).iter().any(|f| f.contains("x is a default")));
        let always = provider(&PROVIDER.replace("feature = \"x\"\n", "")).unwrap();
        assert!(always.findings(&places(COMMAND)).iter().any(|f| f.contains("is optional")));
    }
}
