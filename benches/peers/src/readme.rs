//! Puts the tables into the README, between its markers.

use std::{fs, path::Path};

const BEGIN: &str = "<!-- bench: begin -->\n";
const END: &str = "<!-- bench: end -->";

pub fn write(tables: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(&path).map_err(|e| e.to_string())?;
    let (before, rest) = text.split_once(BEGIN).ok_or("the README has no place for tables")?;
    let (_, after) = rest.split_once(END).ok_or("the README's place for tables has no end")?;
    fs::write(&path, format!("{before}{BEGIN}{tables}\n{END}{after}")).map_err(|e| e.to_string())
}
