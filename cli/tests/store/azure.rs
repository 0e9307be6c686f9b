//! The command on Azure Blob Storage, played by Azurite.

use bulla_testworld::Azurite;

use crate::sandbox::{Ended, Sandbox, end, noise};

#[test]
fn objects_are_put_audited_rewrapped_and_got() {
    let Some(azurite) = Azurite::start() else { return };
    azurite.make_container("container");
    let sandbox = Sandbox::new();
    for key in ["old", "new"] {
        sandbox.ok(&format!("keys create {key}"));
    }
    let run = |args: &str| -> Ended {
        let mut command = sandbox.bulla();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AZURE_") {
                command.env_remove(name);
            }
        }
        command.env("AZURE_STORAGE_ACCOUNT_NAME", azurite.account());
        command.env("AZURE_STORAGE_ACCOUNT_KEY", azurite.key());
        command.env("AZURE_STORAGE_ENDPOINT", azurite.endpoint()).arg("store");
        end(command.args(args.split_whitespace()))
    };
    let ok = |args: &str| {
        let ended = run(&format!("{args} --allow-http"));
        assert_eq!(ended.code, Some(0), "{args}: {}", ended.stderr);
        ended.stdout
    };
    run("ls az://container").expect(2, "this endpoint is without TLS");
    run("ls az://none --allow-http").expect(1, "az://none: ");
    let plaintext = noise(20 << 20);
    sandbox.write("large", &plaintext);
    sandbox.write("small", "text");
    ok("put large az://container/dir/large --key local:old");
    ok("put small az://container/dir/small --key local:old");
    run("put small az://container/dir/small --key local:old --allow-http")
        .expect(1, "exists already");
    let done = ok("rewrap --from local:old --to local:new az://container/dir");
    assert_eq!(String::from_utf8(done).unwrap(), "2 objects: 2 rewrapped\n");
    sandbox.ok("keys disable old");
    assert!(ok("cat az://container/dir/large") == plaintext);
    assert_eq!(ok("cat az://container/dir/small"), b"text");
    let audit = String::from_utf8(ok("audit az://container --format csv")).unwrap();
    assert_eq!(audit.lines().filter(|line| line.contains(",sealed,")).count(), 2, "{audit}");
}
