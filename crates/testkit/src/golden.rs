//! Expected texts in files: compared by tests, written anew when `BLESS=1`.

use std::path::Path;

/// Compares `text` with the file, or writes the file when the variable `BLESS` is set.
///
/// # Panics
/// If they differ, naming the first line that does.
pub fn assert_golden(file: impl AsRef<Path>, text: &str) {
    let file = file.as_ref();
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(file.parent().expect("a golden file stands in a folder"))
            .expect("folder can be made");
        std::fs::write(file, text).expect("golden file can be written");
        return;
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    if expected == text {
        return;
    }
    let differs = expected.lines().zip(text.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or(expected.lines().count().min(text.lines().count()));
    panic!(
        "{} differs at line {} (BLESS=1 writes it anew)\nexpected: {}\n     got: {}\n\n{text}",
        file.display(),
        line + 1,
        expected.lines().nth(line).unwrap_or("(end)"),
        text.lines().nth(line).unwrap_or("(end)"),
    );
}
