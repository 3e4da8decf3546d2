//! What customers say.

use cuecard_text::masking::{Kind, finds, mask};

/// Finds lie in the text one behind the other, and a masked text is masked.
pub fn masking(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let found = finds(&text);
    assert!(found.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start), "{found:?}");
    assert!(found.iter().all(|find| text.get(find.range.clone()).is_some_and(|words| !words.is_empty())), "{found:?}");
    let once = mask(&text);
    let longest = Kind::ALL.map(|kind| kind.placeholder().len()).into_iter().max().unwrap_or_default();
    assert!(once.len() <= text.len() + found.len() * longest);
    assert!(!found.is_empty() || once == text);
    let twice = mask(&once);
    assert_eq!(once, twice);
}
