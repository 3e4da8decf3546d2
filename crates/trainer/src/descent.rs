//! Finds the least value of a smooth function: L-BFGS (Liu and Nocedal, "On the limited memory BFGS method for large scale
//! optimization", 1989) with the line search of Moré and Thuente.

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

/// Steps whose curvature is remembered.
const MEMORY: usize = 7;

/// A function of many numbers.
pub trait Loss {
    /// Its value at a place, and its gradient there, of the same length.
    fn at(&self, place: &[f64]) -> (f64, Vec<f64>);
}

struct Problem<'a, L>(&'a L);

impl<L: Loss> CostFunction for Problem<'_, L> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, place: &Self::Param) -> Result<f64, Error> {
        Ok(self.0.at(place).0)
    }
}

impl<L: Loss> Gradient for Problem<'_, L> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, place: &Self::Param) -> Result<Self::Gradient, Error> {
        Ok(self.0.at(place).1)
    }
}

/// The best place that is reached from `start` in so many steps; `start` itself where no step leads down.
pub fn least<L: Loss>(loss: &L, start: Vec<f64>, steps: u64) -> Vec<f64> {
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY);
    let run = Executor::new(Problem(loss), solver).configure(|state| state.param(start.clone()).max_iters(steps)).run();
    // A line search that finds no way down ends the run with an error; by then nothing better is known than the start.
    run.ok().and_then(|result| result.state().get_best_param().cloned()).unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bowl;

    impl Loss for Bowl {
        fn at(&self, place: &[f64]) -> (f64, Vec<f64>) {
            let from_centre: Vec<f64> = place.iter().zip([3.0, -2.0]).map(|(x, centre)| x - centre).collect();
            let value = from_centre[0].powi(2) + 10.0 * from_centre[1].powi(2);
            (value, vec![2.0 * from_centre[0], 20.0 * from_centre[1]])
        }
    }

    #[test]
    fn the_bottom_of_a_bowl_is_found() {
        let found = least(&Bowl, vec![0.0, 0.0], 50);
        assert!((found[0] - 3.0).abs() < 1e-4 && (found[1] + 2.0).abs() < 1e-4, "{found:?}");
        assert_eq!(least(&Bowl, vec![3.0, -2.0], 50), [3.0, -2.0], "nothing is better than the bottom");
    }
}
