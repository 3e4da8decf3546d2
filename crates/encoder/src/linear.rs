//! A linear layer in either precision: the word pieces of all texts in, one product out.
//!
//! In int8 the products are FBGEMM's, which comes with libtorch. Each output's weights are integers with a scale of their
//! own: the model has outputs whose weights are a hundred times those of others, and with one scale for all of them the
//! vectors of this model end at a cosine of 0.97 to those in f32.
//!
//! The kernel turns the input into integers as well, with one scale for all rows between its smallest and largest number. So
//! that each row has a scale of its own, every row is first mapped to exactly -1 to 1, and its product mapped back: no row has
//! a part in another's rounding, and a text is to the last bit the same alone and in a batch.

use std::sync::Arc;

use tch::{Device, Kind, Scalar, TchError, Tensor};

use crate::{
    rows::{Rows, tensor},
    simd::{greater, lesser, range, vectorised},
};

/// Called before each product; may itself run another batch.
pub(crate) type Yield<'a> = &'a mut dyn FnMut();

/// A tensor that nobody writes to; a clone is the same memory.
pub(crate) struct Weights(pub(crate) Tensor);

impl Clone for Weights {
    fn clone(&self) -> Self {
        Self(self.0.shallow_clone())
    }
}

#[derive(Clone)]
pub(crate) enum Linear {
    F32(FloatLinear),
    Int8(QuantisedLinear),
}

#[derive(Clone)]
pub(crate) struct FloatLinear {
    /// `[outputs, inputs]`
    pub(crate) weight: Weights,
    /// `[outputs]`
    pub(crate) bias: Weights,
}

impl Linear {
    /// Makes `output` `[word pieces, outputs]`.
    pub(crate) fn apply(&self, input: &Rows, output: &mut Rows, yield_now: Yield<'_>) -> Result<(), TchError> {
        match self {
            Self::F32(linear) => {
                yield_now();
                output.copy(&input.tensor()?.f_linear(&linear.weight.0, Some(&linear.bias.0))?)
            }
            Self::Int8(linear) => linear.apply(input, output, yield_now),
        }
    }

    pub(crate) fn quantised(&self) -> Result<Self, TchError> {
        match self {
            Self::F32(linear) => linear.quantised(Sums::of_this_processor()).map(Self::Int8),
            Self::Int8(linear) => Ok(Self::Int8(linear.clone())),
        }
    }
}

/// For an output whose weights are all 0.
const LEAST_SCALE: f64 = 1e-12;

impl FloatLinear {
    pub(crate) fn scaled(self, factor: f64) -> Result<Self, TchError> {
        let scaled = |weights: &Weights| weights.0.f_mul_scalar(factor).map(Weights);
        Ok(Self { weight: scaled(&self.weight)?, bias: scaled(&self.bias)? })
    }

    /// Several with the same input as one, outputs side by side.
    pub(crate) fn joined(parts: &[Self]) -> Result<Self, TchError> {
        let weights: Vec<&Tensor> = parts.iter().map(|part| &part.weight.0).collect();
        let biases: Vec<&Tensor> = parts.iter().map(|part| &part.bias.0).collect();
        Ok(Self { weight: Weights(Tensor::f_cat(&weights, 0)?), bias: Weights(Tensor::f_cat(&biases, 0)?) })
    }

    fn quantised(&self, sums: Sums) -> Result<QuantisedLinear, TchError> {
        let of_output: &[i64] = &[1];
        let (weight, bias) = (&self.weight.0, &self.bias.0);
        let scales = sums.largest(weight)?.f_div_scalar(LARGEST_INTEGER)?.f_clamp_min(LEAST_SCALE)?;
        let integers = weight.f_div(&scales)?.f_round()?;
        let sums = integers.f_sum_dim_intlist(of_output, false, Kind::Int)?;
        let numbers = |tensor: &Tensor| Vec::<f32>::try_from(tensor.f_view([-1])?.f_to_kind(Kind::Float)?);
        Ok(QuantisedLinear {
            packed: Weights(integers.f_to_kind(Kind::Int8)?.f_fbgemm_pack_quantized_matrix()?),
            shape: Weights(Tensor::f_zeros([1, 1], (Kind::Int8, Device::Cpu))?.f_expand(weight.size(), false)?),
            no_bias: Weights(bias.f_zeros_like()?),
            outputs: Arc::new(Outputs { scales: numbers(&scales)?, sums: numbers(&sums)?, biases: numbers(bias)? }),
            sums: Weights(sums),
        })
    }
}

/// Of a weight, or of a pair of them before each is rounded.
const LARGEST_INTEGER: f64 = 127.0;

/// In how many bits the kernel adds two products of an input (0 to 255) and a weight, neighbours in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sums {
    /// With VNNI nothing overflows.
    Bits32,
    /// What two weights of one sign come to must be 128 at most, since 255 times that is what 16 bits hold.
    Bits16,
}

impl Sums {
    fn of_this_processor() -> Self {
        if has_vnni() { Self::Bits32 } else { Self::Bits16 }
    }

    /// What the scale of each output must leave room for: `[outputs, 1]`. Two large weights are seldom neighbours, so a pair
    /// costs far less precision than half the range for each weight would.
    fn largest(self, weight: &Tensor) -> Result<Tensor, TchError> {
        let [of_output, of_pair]: [&[i64]; 2] = [&[1], &[2]];
        match self {
            Self::Bits32 => weight.f_abs()?.f_amax(of_output, true),
            Self::Bits16 => {
                let pairs = weight.f_view([weight.size()[0], -1, 2])?;
                let of_sign = |pairs: Tensor| pairs.f_clamp_min(0.0)?.f_sum_dim_intlist(of_pair, false, Kind::Float);
                let (positive, negative) = (of_sign(pairs.shallow_clone())?, of_sign(pairs.f_neg()?)?);
                positive.f_maximum(&negative)?.f_amax(of_output, true)
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_vnni() -> bool {
    is_x86_feature_detected!("avx512vnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_vnni() -> bool {
    false
}

/// Weights as `scale * integer`.
#[derive(Clone)]
pub(crate) struct QuantisedLinear {
    /// The integers in the order in which the kernel reads them.
    packed: Weights,
    /// `[outputs, inputs]` without numbers of its own: the kernel asks nothing but its shape.
    shape: Weights,
    /// Sum of each output's integers: `[outputs]`.
    sums: Weights,
    /// `[outputs]`; the bias comes after the kernel.
    no_bias: Weights,
    outputs: Arc<Outputs>,
}

/// What is known of each output.
struct Outputs {
    scales: Vec<f32>,
    /// Of its integers.
    sums: Vec<f32>,
    biases: Vec<f32>,
}

/// A row is `middle + half_range * mapped`, with every number of `mapped` in -1 to 1.
#[derive(Clone, Copy)]
struct Mapping {
    middle: f32,
    half_range: f32,
}

impl QuantisedLinear {
    fn apply(&self, input: &Rows, output: &mut Rows, yield_now: Yield<'_>) -> Result<(), TchError> {
        yield_now();
        let (mut mapped, mut mappings) = (Vec::with_capacity(input.values.len()), Vec::with_capacity(input.count()));
        map_rows(input, &mut mapped, &mut mappings);
        output.copy(&self.kernel(&tensor(&mapped, input.width)?)?)?;
        map_back(&mut output.values, &mappings, &self.outputs);
        Ok(())
    }

    fn kernel(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let (scale, zero_point) = (Scalar::from(1.0), Scalar::from(0_i64));
        input.f_fbgemm_linear_int8_weight_fp32_activation(
            &self.shape.0,
            &self.packed.0,
            &self.sums.0,
            scale,
            zero_point,
            &self.no_bias.0,
        )
    }
}

vectorised! {
    /// The ends become exactly -1 and 1, since the kernel's scale for all rows lies between them: they are mapped to a little
    /// more and cut off.
    fn map_rows(rows: &Rows, mapped: &mut Vec<f32>, mappings: &mut Vec<Mapping>) {
        const A_LITTLE_MORE: f32 = 1.000_001;
        for row in rows.values.chunks_exact(rows.width) {
            let (least, most) = range(row);
            let (middle, half_range) = (f32::midpoint(least, most), (most - least) / 2.0);
            // A row of one number becomes 0, which the kernel keeps.
            let scale = A_LITTLE_MORE / greater(half_range, f32::MIN_POSITIVE);
            mapped.extend(row.iter().map(|value| lesser(greater((value - middle) * scale, -1.0), 1.0)));
            mappings.push(Mapping { middle, half_range });
        }
    }
}

vectorised! {
    /// Turns the products of mapped rows into what those of the rows themselves are, with scales and biases.
    fn map_back(products: &mut [f32], mappings: &[Mapping], outputs: &Outputs) {
        let Outputs { scales, sums, biases } = outputs;
        for (row, mapping) in products.chunks_exact_mut(scales.len()).zip(mappings) {
            for (((product, scale), sum), bias) in row.iter_mut().zip(scales).zip(sums).zip(biases) {
                let unmapped = product.mul_add(mapping.half_range, mapping.middle * sum);
                *product = unmapped.mul_add(*scale, *bias);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::torch_thread::become_torch_thread;

    const INPUTS: usize = 384;
    const OUTPUTS: usize = 64;

    /// Numbers between -1 and 1 without a pattern that rounding could favour.
    fn wave(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|number| (number as f32 * step).sin()).collect()
    }

    fn rows(count: usize) -> Rows {
        Rows { values: wave(count * INPUTS, 0.3), width: INPUTS }
    }

    /// Outputs of very different sizes; the last one has no weights.
    fn linear() -> FloatLinear {
        let mut weights = wave(OUTPUTS * INPUTS, 0.7);
        let mut size = 1.0;
        for weights in weights.chunks_mut(INPUTS) {
            for weight in weights {
                *weight *= size;
            }
            size *= 0.9;
        }
        weights[(OUTPUTS - 1) * INPUTS..].fill(0.0);
        FloatLinear {
            weight: Weights(tensor(&weights, INPUTS).unwrap()),
            bias: Weights(Tensor::from_slice(&wave(OUTPUTS, 1.3))),
        }
    }

    fn int8(linear: &FloatLinear, input: &Rows, sums: Sums) -> Rows {
        let mut output = Rows::default();
        linear.quantised(sums).unwrap().apply(input, &mut output, &mut || ()).unwrap();
        output
    }

    /// Largest difference between `output` and f32 as a share of the lengths of weights and input, over `rows`.
    fn worst(linear: &FloatLinear, input: &Rows, output: &Rows, rows: std::ops::Range<i64>) -> f64 {
        let of = |all: &Rows| all.tensor().unwrap().narrow(0, rows.start, rows.end - rows.start);
        let (input, output) = (of(input), of(output));
        let lengths = |rows: &Tensor| rows.square().sum_dim_intlist([1_i64].as_slice(), true, Kind::Float).sqrt();
        let most = lengths(&input).mm(&lengths(&linear.weight.0).tr()).clamp_min(1e-6);
        let difference = input.linear(&linear.weight.0, Some(&linear.bias.0)) - output;
        (difference.abs() / most).max().double_value(&[])
    }

    #[test]
    fn outputs_large_and_small_are_exact_to_a_thousandth() {
        let _no_grad = become_torch_thread();
        let (linear, input) = (linear(), rows(14));
        for (sums, bound) in [(Sums::Bits32, 0.001), (Sums::Bits16, 0.002)] {
            if sums == Sums::Bits32 && !has_vnni() {
                println!("skipped: without VNNI the sums overflow");
                continue;
            }
            let output = int8(&linear, &input, sums);
            let worst = worst(&linear, &input, &output, 0..14);
            assert!(worst < bound, "{worst} with {sums:?}");
        }
    }

    /// The largest weights are neighbours, and the input is as large as can be at both.
    #[test]
    fn nothing_overflows_where_two_large_weights_meet_two_large_inputs() {
        let _no_grad = become_torch_thread();
        let (mut linear, mut input) = (linear(), rows(3));
        for sign in [1.0, -1.0] {
            let mut weights = wave(OUTPUTS * INPUTS, 0.7);
            weights.chunks_mut(INPUTS).for_each(|weights| weights[10..14].fill(sign));
            linear.weight = Weights(tensor(&weights, INPUTS).unwrap());
            input.values.chunks_mut(INPUTS).for_each(|row| row[10..14].fill(1.0));
            let output = int8(&linear, &input, Sums::of_this_processor());
            let worst = worst(&linear, &input, &output, 0..3);
            assert!(worst < 0.002, "{worst} with weights of {sign}");
        }
    }

    #[test]
    fn a_row_far_from_zero_keeps_its_own_scale() {
        let _no_grad = become_torch_thread();
        let (linear, mut input) = (linear(), rows(14));
        // One row with a number like those of [CLS], one that lies beside zero as what gelu gives does, one of zeros.
        input.values[99] = 100.0;
        input.values[2 * INPUTS..3 * INPUTS].iter_mut().for_each(|value| *value = *value * 0.01 + 5.0);
        input.values[5 * INPUTS..6 * INPUTS].fill(0.0);
        let output = int8(&linear, &input, Sums::of_this_processor());
        let bound = if has_vnni() { 0.001 } else { 0.002 };
        for row in 0..14 {
            let worst = worst(&linear, &input, &output, row..row + 1);
            assert!(worst < bound, "{worst} in row {row}");
        }
        let others = Rows { values: input.slice(6..14).to_vec(), width: INPUTS };
        assert_eq!(int8(&linear, &others, Sums::of_this_processor()).values, output.slice(6..14));
    }
}
