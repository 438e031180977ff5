//! What the host tool says of itself.

use std::process::Command;

#[test]
fn usage_names_the_command_as_people_type_it() {
    for (arguments, expected) in [
        (&["--help"][..], "Usage: cargo image <COMMAND>"),
        (&["build", "x"], "Usage: cargo image build [OPTIONS]"),
    ] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_image-build")).args(arguments).output().expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
}
