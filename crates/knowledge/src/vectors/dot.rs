//! The dot product of codes, which is most of what a search computes.
//!
//! With AVX2 sixteen products are made at once; what the compiler makes of a plain loop makes eight.

#[cfg(target_arch = "x86_64")]
use pulp::{NullaryFnOnce, cast, x86::V3};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m256i;

/// Codes in 16 bits each, as a product needs both its sides; worth it for codes that are compared with many.
#[derive(Debug, Clone, PartialEq)]
pub struct Wide(Vec<i16>);

impl Wide {
    pub fn of(codes: &[i8]) -> Self {
        Self(codes.iter().map(|code| i16::from(*code)).collect())
    }

    /// With codes of the same length.
    pub fn dot(&self, codes: &[i8]) -> f32 {
        product(&self.0, codes) as f32
    }
}

/// Of codes of one length.
pub fn dot(one: &[i8], other: &[i8]) -> f32 {
    product(one, other) as f32
}

fn product<C: Code>(one: &[C], other: &[i8]) -> i32 {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = V3::try_new() {
        return simd.vectorize(Product { simd, one, other });
    }
    plain(one, other)
}

fn plain<C: Code>(one: &[C], other: &[i8]) -> i32 {
    one.iter().zip(other).map(|(one, other)| (*one).into() * i32::from(*other)).sum()
}

trait Code: Copy + Into<i32> {
    #[cfg(target_arch = "x86_64")]
    fn widened(codes: &[Self; 16], simd: V3) -> __m256i;
}

// What is not inlined into a product is compiled without AVX2.
#[allow(clippy::inline_always)]
impl Code for i8 {
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widened(codes: &[Self; 16], simd: V3) -> __m256i {
        simd.avx2._mm256_cvtepi8_epi16(cast(*codes))
    }
}

#[allow(clippy::inline_always)]
impl Code for i16 {
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widened(codes: &[Self; 16], _: V3) -> __m256i {
        cast(*codes)
    }
}

#[cfg(target_arch = "x86_64")]
struct Product<'a, C> {
    simd: V3,
    one: &'a [C],
    other: &'a [i8],
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::inline_always)]
impl<C: Code> NullaryFnOnce for Product<'_, C> {
    type Output = i32;

    #[inline(always)]
    fn call(self) -> i32 {
        let Self { simd, one, other } = self;
        let (one, rest_of_one) = one.as_chunks();
        let (other, rest_of_other) = other.as_chunks();
        let mut sums = simd.avx._mm256_setzero_si256();
        for (one, other) in one.iter().zip(other) {
            let products = simd.avx2._mm256_madd_epi16(C::widened(one, simd), i8::widened(other, simd));
            sums = simd.avx2._mm256_add_epi32(sums, products);
        }
        let sums: [i32; 8] = cast(sums);
        sums.iter().sum::<i32>() + plain(rest_of_one, rest_of_other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_plain_sum_for_every_length(pairs in prop::collection::vec((-127_i8..=127, -127_i8..=127), 0..400)) {
            let (one, other): (Vec<i8>, Vec<i8>) = pairs.into_iter().unzip();
            prop_assert_eq!(product(&one, &other), plain(&one, &other));
            prop_assert_eq!(Wide::of(&one).dot(&other), dot(&other, &one));
        }
    }
}
