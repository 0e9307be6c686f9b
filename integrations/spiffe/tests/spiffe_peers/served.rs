//! What the clients in Go and in Python find at a Workload API.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use bulla_testworld::{GoSpiffe, Python};
use serde_json::Value;

/// The variable that clients find the Workload API by.
pub(crate) const SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";

/// A Workload API, and who is served there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served<'a> {
    /// The address of its socket.
    pub(crate) endpoint: &'a str,
    /// The one identity that is served.
    pub(crate) id: &'a str,
}

impl Served<'_> {
    fn trust_domain(&self) -> &str {
        self.id.trim_start_matches("spiffe://").split('/').next().unwrap()
    }

    /// Fetches all there is with go-spiffe, and holds each against the other: a chain against the bundle, a token
    /// against its keys and the server's own judgement. What was found.
    pub(crate) fn by_go(&self, go: &GoSpiffe) -> Value {
        let mut command = go.command("workload");
        command.args(["fetch", "-audience", "orders", "-audience", "billing"]);
        let found = go.run(command.env(SOCKET, self.endpoint)).remove(0);
        let svid = &found["x509"][0];
        assert_eq!((&svid["id"], &svid["verified"]), (&self.id.into(), &"ok".into()), "{found}");
        assert_eq!(found["x509_bundles"], found["x509_bundles_alone"], "{found}");
        assert!(found["x509_bundles"][self.trust_domain()].as_u64() >= Some(1), "{found}");

        let token = &found["jwt"][0];
        assert_eq!(token["id"], self.id, "{found}");
        let mut audience: Vec<_> = token["audience"].as_array().unwrap().iter().collect();
        audience.sort_by_key(|one| one.as_str());
        assert_eq!(audience, ["billing", "orders"], "in any order");
        assert_eq!(
            (&token["validated"], &token["validated_by_server"]),
            (&"ok".into(), &"ok".into())
        );
        let other = token["other_audience_by_server"].as_str().unwrap();
        assert!(other.contains("code = InvalidArgument"), "{other}");
        let life = token["expiry"].as_u64().unwrap() - token["claims"]["iat"].as_u64().unwrap();
        assert!((1..=3600).contains(&life), "{life}");
        let kid = header(token["token"].as_str().unwrap())["kid"].clone();
        let kids = found["jwt_bundles"][self.trust_domain()].as_array().unwrap();
        assert!(kids.contains(&kid), "{kids:?} has no {kid}");
        found
    }

    /// The same with the Python client.
    pub(crate) fn by_python(&self, python: &Python) -> Value {
        let mut command = python.script(script());
        let output =
            command.args(["fetch", "orders", "billing"]).env(SOCKET, self.endpoint).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let svid = &found["x509"][0];
        assert_eq!(svid["id"], self.id, "{found}");
        assert_eq!((&svid["issued_by_bundle"], &svid["key_fits"]), (&true.into(), &true.into()));
        let token = &found["jwt"];
        assert_eq!(token["audience"], serde_json::json!(["billing", "orders"]), "{found}");
        assert_eq!(
            (&token["validated"], &token["validated_by_server"]),
            (&self.id.into(), &self.id.into())
        );
        for refused in token["refused"].as_array().unwrap() {
            assert_eq!(refused["by_client"], "InvalidTokenError", "{refused}");
            assert_eq!(refused["by_server"], "ValidateJwtSvidError", "{refused}");
        }
        found
    }

    /// go-spiffe's watch of the X.509 context, for so many updates.
    pub(crate) fn watched_by_go(&self, go: &GoSpiffe, updates: usize) -> Watch {
        let mut command = go.command("workload");
        command.args(["watch", "-updates", &updates.to_string()]);
        Watch::start(command.env(SOCKET, self.endpoint))
    }

    /// The Python client's.
    pub(crate) fn watched_by_python(&self, python: &Python, updates: usize) -> Watch {
        let mut command = python.script(script());
        Watch::start(command.args(["watch", &updates.to_string()]).env(SOCKET, self.endpoint))
    }
}

/// A client that watches, and prints a line for each update.
#[derive(Debug)]
pub(crate) struct Watch {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The serial number of the first certificate in the next update. Both give up after 20 seconds.
    pub(crate) fn serial(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let update: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("no update: {line:?}"));
        let first = &update[0];
        first.as_str().unwrap_or_else(|| first["serial"].as_str().unwrap()).to_owned()
    }

    /// Waits for its end, which is to be a good one: it has seen all the updates that it was to see.
    pub(crate) fn end(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The header of a token, unverified.
pub(crate) fn header(token: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

fn script() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spiffe_peers/workload.py")
}
