//! What a text takes at the encoder beside the bare int8 products of its forward pass (FBGEMM's, on torch tensors).
//!
//! `taskset -c 1 cargo bench -p cuecard-encoder --bench overhead` prints a table; nothing passes or fails here. Both sides
//! are measured in turn, so that whatever else the machine did met both: the ratio says what tokenising, attention, the
//! operations between the products, key phrases and the way to the encoder's thread and back add.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use cuecard_encoder::{Encoder, EncoderSettings, Precision};
use tch::{Device, Kind, Tensor};

/// 14 word pieces with `[CLS]` and `[SEP]`: what a customer says at a time, on average.
const SHORT: &str = "Does this hotel have free parking for a very small van?";
/// 34: three turns.
const SENTENCE: &str = "My order arrived yesterday with the wrong size and a broken zip, so can I swap it \
    for another new one today without paying for the shipping once again please?";

/// Inputs and outputs of a layer's products: query, key and value together, attention's output, and both halves of the
/// feed-forward part.
const PRODUCTS: [(i64, i64); 4] = [(384, 1152), (384, 384), (384, 1536), (1536, 384)];
const LAYERS: usize = 6;

const ROUNDS: usize = 40;
/// Texts of one side in one round.
const TEXTS: usize = 25;

fn main() {
    let encoder =
        Encoder::load(&EncoderSettings { precision: Precision::Int8, threads: 1, ..EncoderSettings::default() })
            .unwrap_or_else(|error| panic!("{error}"));
    tch::set_num_threads(1);
    let _no_grad = tch::no_grad_guard();
    let products = Products::new();
    println!(
        "<!-- encoder overhead -->\n| word pieces | products alone, ms | a text with its key phrases, ms | ratio |\n|---|---|---|---|"
    );
    for text in [SHORT, SENTENCE] {
        let pieces = encoder.encode_blocking(text).unwrap().word_pieces;
        let inputs = inputs(pieces);
        let (mut bare, mut whole) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let times = [of_each(|| products.run(&inputs)), of_each(|| drop(encoder.encode_blocking(text).unwrap()))];
            if round > 0 {
                bare.push(times[0]);
                whole.push(times[1]);
            }
        }
        let (bare, whole) = (median(bare), median(whole));
        println!("| {pieces} | {bare:.2} | {whole:.2} | {:.2} |", whole / bare);
    }
}

/// The median time of a call in ms.
fn of_each(mut run: impl FnMut()) -> f64 {
    median((0..TEXTS).map(|_| milliseconds(&mut run)).collect())
}

fn milliseconds(run: &mut impl FnMut()) -> f64 {
    let started = Instant::now();
    run();
    started.elapsed().as_secs_f64() * 1e3
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Weights of all products of the pass: what they hold does not matter, that they are as many does.
struct Products(Vec<Product>);

struct Product {
    packed: Tensor,
    shape: Tensor,
    sums: Tensor,
    bias: Tensor,
    inputs: i64,
}

impl Products {
    fn new() -> Self {
        Self((0..LAYERS).flat_map(|_| PRODUCTS).map(|(inputs, outputs)| Product::new(inputs, outputs)).collect())
    }

    fn run(&self, inputs: &[Tensor]) {
        for product in &self.0 {
            product.run(&inputs[usize::from(product.inputs == 1536)]);
        }
    }
}

/// One for each width that the products take.
fn inputs(pieces: usize) -> [Tensor; 2] {
    let pieces = i64::try_from(pieces).unwrap();
    [384, 1536].map(|width| Tensor::randn([pieces, width], (Kind::Float, Device::Cpu)))
}

impl Product {
    fn new(inputs: i64, outputs: i64) -> Self {
        let integers = Tensor::randint_low(-127, 128, [outputs, inputs], (Kind::Float, Device::Cpu));
        Self {
            packed: integers.to_kind(Kind::Int8).fbgemm_pack_quantized_matrix(),
            shape: integers.to_kind(Kind::Int8),
            sums: integers.sum_dim_intlist([1_i64].as_slice(), false, Kind::Int),
            bias: Tensor::zeros([outputs], (Kind::Float, Device::Cpu)),
            inputs,
        }
    }

    fn run(&self, input: &Tensor) {
        let _ = input.fbgemm_linear_int8_weight_fp32_activation(
            &self.shape,
            &self.packed,
            &self.sums,
            tch::Scalar::from(1.0),
            tch::Scalar::from(0_i64),
            &self.bias,
        );
    }
}
