//! Swaps cards now and then, by a chance that is written down: agents look more at what stands further up, and only cards that
//! stood at more than one place tell how much more.

/// Swaps two neighbours below the first card with this chance, each pair alike; the seed, evenly drawn, says whether and
/// which. Gives for each place how probable it was that what stands there now came there.
pub(crate) fn explore(places: &mut [usize], chance: f64, seed: u64) -> Vec<f64> {
    let pairs = places.len().saturating_sub(2);
    let mut propensities = vec![1.0; places.len()];
    if pairs == 0 || chance <= 0.0 {
        return propensities;
    }
    let of_pair = chance / pairs as f64;
    // Pairs begin at the places 1 to `pairs`; a place between the ends belongs to two of them.
    for (place, propensity) in propensities.iter_mut().enumerate() {
        let num_pairs = u8::from((1..=pairs).contains(&place)) + u8::from(place >= 2);
        *propensity -= f64::from(num_pairs) * of_pair;
    }
    let drawn = seed as f64 / u64::MAX as f64;
    if drawn < chance {
        let first = 1 + ((drawn / of_pair) as usize).min(pairs - 1);
        places.swap(first, first + 1);
        propensities[first] = of_pair;
        propensities[first + 1] = of_pair;
    }
    propensities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_how_often_an_article_comes_to_its_place() {
        const DRAWS: u64 = 100_000;
        let (chance, num_cards) = (0.3, 5);
        // [article][place]: how often, and what was said of it.
        let mut came = vec![vec![(0_u32, 0.0); num_cards]; num_cards];
        for draw in 0..DRAWS {
            let mut places: Vec<usize> = (0..num_cards).collect();
            let propensities = explore(&mut places, chance, u64::MAX / DRAWS * draw);
            for (place, article) in places.iter().enumerate() {
                came[*article][place].0 += 1;
                came[*article][place].1 = propensities[place];
            }
        }
        assert_eq!(came[0][0], (DRAWS as u32, 1.0), "the first card stays");
        for (article, places) in came.iter().enumerate() {
            for (place, (count, propensity)) in places.iter().enumerate().filter(|(_, (count, _))| *count > 0) {
                let share = f64::from(*count) / DRAWS as f64;
                assert!((share - propensity).abs() < 1e-3, "article {article} at {place}: {share} and {propensity}");
            }
        }
    }

    #[test]
    fn without_a_chance_or_a_pair_nothing_moves() {
        for (num_cards, chance) in [(5, 0.0), (2, 0.5), (1, 0.5), (0, 0.5)] {
            let mut places: Vec<usize> = (0..num_cards).collect();
            assert_eq!(explore(&mut places, chance, 0), vec![1.0; num_cards]);
            assert!(places.is_sorted());
        }
    }
}
