//! Golden files: what a test prints must be what `tests/golden` holds. `BLESS=1` writes them anew.

use std::path::Path;

/// Compares `text` with `tests/golden/NAME.txt`.
#[expect(
    clippy::disallowed_methods,
    reason = "only tests: reads whether to write the file, and writes it"
)]
pub(crate) fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var("BLESS").is_ok() {
        std::fs::write(&path, text).expect("the folder of golden files is writable");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (is, should)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(is, should, "{}:{}", path.display(), number + 1);
    }
    assert_eq!(
        text,
        golden,
        "{} has another length (BLESS=1 writes it)",
        path.display()
    );
}
