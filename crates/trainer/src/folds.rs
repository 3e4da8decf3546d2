//! Parts of the data, so that what was learned is judged on what was not learned from.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// The same parts each time.
const SEED: u64 = 20_251_128;

/// The fold, from 0, of each conversation by its place; all turns of a conversation are in one.
pub fn fold_of(num_conversations: usize, folds: usize) -> Vec<usize> {
    let mut fold_of: Vec<usize> = (0..num_conversations).map(|place| place % folds.max(1)).collect();
    fold_of.shuffle(&mut StdRng::seed_from_u64(SEED));
    fold_of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_of_one_size_and_the_same_each_time() {
        let folds = fold_of(23, 5);
        assert!((0..5).all(|fold| [4, 5].contains(&folds.iter().filter(|of| **of == fold).count())));
        assert_eq!(folds, fold_of(23, 5));
        assert_ne!(folds, (0..23).map(|place| place % 5).collect::<Vec<_>>(), "they are drawn");
    }
}
