//! Dot products of rows of codes with a few vectors.
//!
//! The time of a question goes into these: each passage of an index is multiplied with what was said. A processor multiplies
//! numbers of two bytes best, so the vectors' codes are widened once, and the rows' on their way, once for all vectors.

/// One vector's codes as they are multiplied with many rows: value ≈ code × scale.
#[derive(Debug, Clone, PartialEq)]
pub struct WideCodes {
    codes: Vec<i16>,
    scale: f32,
}

impl WideCodes {
    pub fn new(codes: &[i8], scale: f32) -> Self {
        Self { codes: codes.iter().copied().map(i16::from).collect(), scale }
    }

    /// Of a vector that is near to nothing.
    pub fn zero(dimensions: usize) -> Self {
        Self { codes: vec![0; dimensions], scale: 0.0 }
    }

    pub fn dimensions(&self) -> usize {
        self.codes.len()
    }

    pub fn scale(&self) -> f32 {
        self.scale
    }
}

/// For each row the products of its codes with those of the vectors; exact below 1,000 dimensions. Rows are as long as the
/// vectors and follow one another.
pub fn products<const N: usize>(rows: &[i8], vectors: [&WideCodes; N], products: &mut [[f32; N]]) {
    let vectors = vectors.map(|vector| vector.codes.as_slice());
    let fixed = vectors.map(|vector| vector.first_chunk::<UNROLLED>().filter(|_| vector.len() == UNROLLED));
    if fixed.iter().all(Option::is_some) {
        unrolled(rows.as_chunks().0, fixed.map(|vector| vector.unwrap_or(&[0; UNROLLED])), products);
    } else {
        any_length(rows, vectors, products);
    }
}

/// The length of the default model's embeddings. Where the length is known the compiler leaves no loop: half the time.
const UNROLLED: usize = 384;

/// The same function for processors with AVX-512, with AVX2 and with neither; called, it is the best that this one can.
macro_rules! vectorised {
    ($($function:tt)*) => {
        #[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512dq+avx512cd", "x86_64+avx2+fma"))]
        $($function)*
    };
}

vectorised! {
    fn unrolled<const N: usize>(rows: &[[i8; UNROLLED]], vectors: [&[i16; UNROLLED]; N], products: &mut [[f32; N]]) {
        for (row, products) in rows.iter().zip(products) {
            for (vector, product) in vectors.iter().zip(products) {
                let mut sum = 0;
                for dimension in 0..UNROLLED {
                    sum += i32::from(row[dimension]) * i32::from(vector[dimension]);
                }
                *product = sum as f32;
            }
        }
    }
}

vectorised! {
    fn any_length<const N: usize>(rows: &[i8], vectors: [&[i16]; N], products: &mut [[f32; N]]) {
        let dimensions = vectors.first().map_or(0, |vector| vector.len()).max(1);
        for (row, products) in rows.chunks_exact(dimensions).zip(products) {
            for (vector, product) in vectors.iter().zip(products) {
                let terms = row.iter().zip(*vector).map(|(code, value)| i32::from(*code) * i32::from(*value));
                *product = terms.sum::<i32>() as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_every_length_are_those_of_whole_numbers() {
        for dimensions in [1, 7, 383, UNROLLED, 385, 768] {
            let code = |place: usize| i8::from_ne_bytes([(place * 89 + 31) as u8]);
            let rows: Vec<i8> = (0..5 * dimensions).map(code).collect();
            let vectors = [1, 2].map(|step| (0..dimensions).map(|place| code(place * step + 3)).collect::<Vec<i8>>());
            let wide = vectors.each_ref().map(|vector| WideCodes::new(vector, 1.0));
            let mut found = [[f32::NAN; 3]; 5];
            products(&rows, [&wide[0], &wide[1], &WideCodes::zero(dimensions)], &mut found);
            for (row, found) in rows.chunks(dimensions).zip(found) {
                let exact =
                    |vector: &[i8]| -> i32 { row.iter().zip(vector).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum() };
                assert_eq!(found, [exact(&vectors[0]) as f32, exact(&vectors[1]) as f32, 0.0], "{dimensions}");
            }
        }
        products(&[], [&WideCodes::zero(0)], &mut []);
    }
}
