//! The nearest valid name, for "did you mean".

/// Longer names are nobody's typing error; comparing them would only cost time (characters).
const LONGEST_COMPARED: usize = 64;

/// The candidate that a person most likely meant by `written`, if any is near enough.
///
/// Case and `-`, `_`, `.` and blanks do not count: `MaxWaitTime` is `max_wait_time`. A beginning or an end of a
/// candidate is near, too: `max_wait` is `max_wait_time`. Of several equally near ones the shortest wins, then the first.
pub(crate) fn nearest<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let written = folded(written)?;
    candidates
        .into_iter()
        .filter_map(|candidate| Some((score(&written, &folded(candidate)?)?, candidate)))
        .min_by_key(|(score, candidate)| (*score, candidate.len()))
        .map(|(_, candidate)| candidate)
}

fn folded(name: &str) -> Option<Vec<char>> {
    if name.len() > LONGEST_COMPARED * 4 {
        return None;
    }
    let folded: Vec<char> = name
        .chars()
        .filter(|letter| !matches!(letter, '-' | '_' | '.' | ' '))
        .flat_map(char::to_lowercase)
        .collect();
    (!folded.is_empty() && folded.len() <= LONGEST_COMPARED).then_some(folded)
}

fn score(written: &[char], candidate: &[char]) -> Option<usize> {
    let distance = distance(written, candidate);
    // One slip in three letters is a typing error; more is another word.
    let allowed = (written.len().max(candidate.len()) / 3).max(1);
    let (short, long) = if written.len() < candidate.len() {
        (written, candidate)
    } else {
        (candidate, written)
    };
    let part = short.len() >= 3 && (long.starts_with(short) || long.ends_with(short));
    if distance == 0 {
        Some(0)
    } else if part {
        Some(1)
    } else {
        (distance <= allowed && distance < short.len()).then_some(distance)
    }
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut current = Vec::with_capacity(to.len() + 1);
        current.push(row + 1);
        for (column, other) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != other);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped =
                row > 0 && column > 0 && from[row - 1] == *other && *letter == to[column - 1];
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 5] = [
        "max_wait_time",
        "max_wait_time_with_no_agent",
        "exit_key",
        "strategy",
        "sound",
    ];

    fn meant(written: &str) -> Option<&'static str> {
        nearest(written, KEYS)
    }

    #[test]
    fn typing_errors_find_their_key() {
        assert_eq!(meant("stratgey"), Some("strategy"));
        assert_eq!(meant("exitkey"), Some("exit_key"));
        assert_eq!(meant("Sounds"), Some("sound"));
        assert_eq!(meant("MaxWaitTime"), Some("max_wait_time"));
    }

    #[test]
    fn the_beginning_of_several_keys_is_the_shortest_of_them() {
        assert_eq!(meant("max_wait"), Some("max_wait_time"));
    }

    #[test]
    fn another_word_is_not_a_typing_error() {
        assert_eq!(meant("voicemail"), None);
        assert_eq!(meant(""), None);
        assert_eq!(meant(&"x".repeat(1_000_000)), None);
    }

    #[test]
    fn distance_counts_a_swap_of_neighbours_once() {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(distance(&letters("ab"), &letters("ba")), 1);
        assert_eq!(distance(&letters("kitten"), &letters("sitting")), 3);
        assert_eq!(distance(&letters(""), &letters("abc")), 3);
    }
}
