//! What happens to numbers between two products, written so that the compiler turns it into the processor's wide
//! operations: loops without a branch, in functions that are [`vectorised`]. The standard library's `exp` is a call for each
//! number, so there is one here, exact to some 1e-7.

// Whatever is not inlined into a vectorised function is compiled for the least that every processor has.
#![allow(clippy::inline_always)]

/// Two registers of AVX2: what one is computed with does not wait for the other.
pub(crate) const LANES: usize = 16;

/// Compiles a function for AVX2 with FMA and for the least that every processor has; called, it is the best that this one can.
/// What it calls must be `#[inline(always)]`, or is compiled for the least.
macro_rules! vectorised {
    ($($function:tt)*) => {
        #[multiversion::multiversion(targets("x86_64+avx2+fma"))]
        $($function)*
    };
}
pub(crate) use vectorised;

/// Folds `values` lane by lane, without what is left after the last whole group: what each lane came to.
#[inline(always)]
fn folded(values: &[f32], start: f32, fold: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let mut folded = [start; LANES];
    for group in values.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            folded[lane] = fold(folded[lane], group[lane]);
        }
    }
    folded
}

/// The smallest and the largest.
#[inline(always)]
pub(crate) fn range(values: &[f32]) -> (f32, f32) {
    let least = folded(values, f32::INFINITY, lesser);
    let most = folded(values, f32::NEG_INFINITY, greater);
    (least.into_iter().fold(f32::INFINITY, lesser), most.into_iter().fold(f32::NEG_INFINITY, greater))
}

#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    let rest = values.as_chunks::<LANES>().1;
    folded(values, 0.0, |sum, value| sum + value).iter().chain(rest).sum()
}

/// One operation of the processor, which `f32::min` is not for what it says of NaN.
#[inline(always)]
pub(crate) fn lesser(left: f32, right: f32) -> f32 {
    if left < right { left } else { right }
}

#[inline(always)]
pub(crate) fn greater(left: f32, right: f32) -> f32 {
    if left > right { left } else { right }
}

vectorised! {
    /// Adds `others` to `rows` and normalises each sum to mean 0 and variance 1, then scales and shifts its numbers by their own
    /// `weight` and `bias`.
    pub(crate) fn add_and_normalise(rows: &mut [f32], others: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) {
        let width = weight.len();
        for (row, other) in rows.chunks_exact_mut(width).zip(others.chunks_exact(width)) {
            for (value, other) in row.iter_mut().zip(other) {
                *value += other;
            }
            let mean = sum(row) / width as f32;
            let squares = folded(row, 0.0, |sum, value| (value - mean).mul_add(value - mean, sum));
            let scale = 1.0 / (squares.iter().sum::<f32>() / width as f32 + epsilon).sqrt();
            for ((value, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
                *value = ((*value - mean) * scale).mul_add(*weight, *bias);
            }
        }
    }
}

vectorised! {
    /// `x · Φ(x)`, Φ the normal distribution's: BERT's gelu.
    pub(crate) fn gelu(values: &mut [f32]) {
        for value in values {
            *value *= 0.5 * (1.0 + erf(*value * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

/// The quotient of two polynomials that Eigen and XLA use for f32; beyond 4 the result is 1 to the last bit.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = lesser(greater(x, -4.0), 4.0);
    let square = x * x;
    let odd = (-2.726_142_3e-10_f32)
        .mul_add(square, 2.770_681_4e-8)
        .mul_add(square, -2.101_024_1e-6)
        .mul_add(square, -5.692_506_4e-5)
        .mul_add(square, -7.349_906_3e-4)
        .mul_add(square, -2.954_6e-3)
        .mul_add(square, -1.609_603_3e-2);
    let even = (-1.456_607_2e-5_f32)
        .mul_add(square, -2.133_740_5e-4)
        .mul_add(square, -1.682_827e-3)
        .mul_add(square, -7.373_329_3e-3)
        .mul_add(square, -1.426_473_9e-2);
    x * odd / even
}

/// e to the power of `x`, within 2e-7 of itself; below -87 the smallest normal number instead of less.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2; 2ⁿ is made of its bits and eʳ by the polynomial of Cephes' `expf`. Adding and taking
/// away 1.5·2²³ rounds to a whole number, which then stands in the lowest bits.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let x = lesser(greater(x, -87.0), 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, so that the difference is exact.
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let polynomial = 1.987_569_2e-4_f32
        .mul_add(r, 1.398_199_9e-3)
        .mul_add(r, 8.333_452e-3)
        .mul_add(r, 4.166_579_6e-2)
        .mul_add(r, 0.166_666_65)
        .mul_add(r, 0.5);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    polynomial.mul_add(r * r, r + 1.0) * power
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tch::{Kind, Tensor};

    use super::*;

    fn sweep(from: i16, to: i16) -> impl Iterator<Item = f32> {
        (from * 100..to * 100).map(|hundredths| f32::from(hundredths) / 100.0)
    }

    #[test]
    fn exp_is_exact_to_a_few_of_the_last_bits() {
        for x in sweep(-87, 88) {
            let (got, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got / exact - 1.0).abs() < 2e-7, "{got} for e^{x}, which is {exact}");
        }
        assert!(exp(-1e30) < 2e-38 && exp(f32::NEG_INFINITY) < 2e-38);
        assert!(exp(1e30).is_finite());
    }

    #[test]
    fn gelu_is_torchs() {
        let mut values: Vec<f32> = sweep(-8, 100).collect();
        let exact: Vec<f32> = Tensor::from_slice(&values).gelu("none").try_into().unwrap();
        gelu(&mut values);
        for (got, exact) in values.iter().zip(&exact) {
            assert!((got - exact).abs() <= 2e-7 * exact.abs().max(8.0), "{got} for {exact}");
        }
    }

    #[test]
    fn layer_norm_is_torchs() {
        let row: Vec<f32> = (0..384).map(|number| (number as f32 * 0.7).sin() * 3.0 + 1.5).collect();
        let weight: Vec<f32> = (0..384).map(|number| (number as f32 * 0.3).cos()).collect();
        let bias: Vec<f32> = (0..384).map(|number| (number as f32 * 0.1).sin()).collect();
        let tensor = |values: &[f32]| Tensor::from_slice(values);
        let exact =
            tensor(&row).f_layer_norm([384], Some(&tensor(&weight)), Some(&tensor(&bias)), 1e-12, false).unwrap();
        let exact: Vec<f32> = exact.to_kind(Kind::Float).try_into().unwrap();
        let mut got = row;
        add_and_normalise(&mut got, &vec![0.0; 384], &weight, &bias, 1e-12);
        assert!(got.iter().zip(&exact).all(|(got, exact)| (got - exact).abs() < 1e-5));
    }

    #[test]
    fn the_range_of_a_row_counts_every_lane() {
        for at in 0..48 {
            let mut row = vec![0.5; 48];
            row[at] = -2.0;
            row[(at + 7) % 48] = 3.0;
            assert_eq!(range(&row), (-2.0, 3.0));
        }
    }
}
