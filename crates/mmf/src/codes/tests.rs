use std::collections::HashSet;

use super::*;

const PAGE: &str = include_str!("../../../../docs/codes.md");

/// The rows of one table of the page: number, identifier, variant and fields, without what a variant
/// means.
fn rows_of_page(table: &str, columns: usize) -> Vec<String> {
    let heading = format!("\n## `{table}`\n");
    let (_, section) = PAGE.split_once(&heading).unwrap_or_else(|| panic!("no section {table}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(2);
    rows.map(|row| row.split(" | ").take(columns).map(str::trim).collect::<Vec<_>>().join(" | ")).collect()
}

fn compare<T: Table>() {
    let has_fields = T::ROWS.iter().any(|row| !row.fields.is_empty());
    let row = |Row { code, id, variant, fields }: &Row| {
        let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
        let fields = if has_fields { format!(" | {}", fields.join(", ")) } else { String::new() };
        format!("| {code} | `{id}` | `{variant}`{fields}")
    };
    let rows: Vec<String> = T::ROWS.iter().map(row).collect();
    assert_eq!(rows, rows_of_page(T::NAME, if has_fields { 4 } else { 3 }), "{}", T::NAME);
    let codes: HashSet<u32> = T::ROWS.iter().map(|row| row.code).collect();
    let ids: HashSet<&str> = T::ROWS.iter().map(|row| row.id).collect();
    assert_eq!((codes.len(), ids.len()), (rows.len(), rows.len()), "a duplicate in {}", T::NAME);
    assert!(!codes.contains(&0), "{}", T::NAME);
    for Row { id, variant, .. } in T::ROWS {
        let is_snake = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(id.chars().all(is_snake) && id.replace('_', "") == variant.to_lowercase(), "{id}");
    }
}

#[test]
fn the_page_and_the_code_have_the_same_rows() {
    compare::<ErrorKind>();
    compare::<Operation>();
    compare::<Severity>();
    compare::<Cause>();
    compare::<Remedy>();
    compare::<Action>();
    compare::<PrivilegeState>();
    assert_eq!(PAGE.matches("\n## ").count(), 7, "a section without a type");
}
