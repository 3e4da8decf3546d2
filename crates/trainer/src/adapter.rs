//! The adapter of the question: what is added to the formula's sum of a candidate is P · (W u), where u is the embedding of
//! the newest customer turn, P that of the candidate's passage and W is learned. It starts from nothing, so that little data
//! changes little.
//!
//! The loss is that of a softmax over the best candidates of a turn, whose right ones should have all the mass, plus a
//! penalty on W's squares.

use cuecard_engine::ranking::model::Adapter;
use rayon::prelude::*;

use crate::descent::{Loss, least};
use crate::examples::Example;

/// Candidates of a turn that are learned from.
const BEST: usize = 30;
/// Against learning single turns by heart: few steps, and squares cost.
const STEPS: u64 = 25;
const PENALTY: f64 = 2e-4;

/// A turn as the loss reads it.
struct Lesson<'a> {
    question: &'a [f32],
    passages: Vec<&'a [f32]>,
    sums: Vec<f64>,
    is_right: Vec<bool>,
    weight: f64,
}

impl<'a> Lesson<'a> {
    fn of(example: &'a Example) -> Option<Self> {
        let question = example.embedding.as_deref()?;
        let embedded =
            example.candidates.iter().filter_map(|candidate| Some((candidate, candidate.embedding.as_deref()?)));
        let mut lesson = Self {
            question,
            passages: Vec::new(),
            sums: Vec::new(),
            is_right: Vec::new(),
            weight: f64::from(example.weight),
        };
        for (place, (candidate, passage)) in embedded.enumerate() {
            if place < BEST || candidate.is_right {
                lesson.passages.push(passage);
                lesson.sums.push(f64::from(candidate.evidence.sum()));
                lesson.is_right.push(candidate.is_right);
            }
        }
        let fits = lesson.passages.iter().all(|passage| passage.len() == question.len());
        (fits && lesson.is_right.contains(&true) && lesson.is_right.contains(&false)).then_some(lesson)
    }

    /// The loss, and what each passage should gain or lose.
    fn at(&self, adapted: &[f64]) -> (f64, Vec<f64>) {
        let dot = |passage: &[f32]| passage.iter().zip(adapted).map(|(p, a)| f64::from(*p) * a).sum::<f64>();
        let sums: Vec<f64> = self.sums.iter().zip(&self.passages).map(|(sum, passage)| sum + dot(passage)).collect();
        let highest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let odds: Vec<f64> = sums.iter().map(|sum| (sum - highest).exp()).collect();
        let all: f64 = odds.iter().sum();
        let right: f64 = odds.iter().zip(&self.is_right).filter(|(_, is_right)| **is_right).map(|(odds, _)| odds).sum();
        let right = right.max(f64::MIN_POSITIVE);
        let slope = |(odds, is_right): (&f64, &bool)| odds / all - if *is_right { odds / right } else { 0.0 };
        ((all / right).ln(), odds.iter().zip(&self.is_right).map(slope).collect())
    }
}

struct Fit<'a> {
    lessons: Vec<Lesson<'a>>,
    dimensions: usize,
}

impl Loss for Fit<'_> {
    fn at(&self, weights: &[f64]) -> (f64, Vec<f64>) {
        let (d, scale) = (self.dimensions, 1.0 / self.lessons.len() as f64);
        let of_lessons = |lessons: &[Lesson<'_>]| {
            let (mut loss, mut gradient) = (0.0, vec![0.0; d * d]);
            for lesson in lessons {
                let question: Vec<f64> = lesson.question.iter().map(|value| f64::from(*value)).collect();
                let adapted: Vec<f64> =
                    weights.chunks_exact(d).map(|row| row.iter().zip(&question).map(|(w, u)| w * u).sum()).collect();
                let (of_lesson, slopes) = lesson.at(&adapted);
                loss += lesson.weight * of_lesson;
                let mut pull = vec![0.0; d];
                for (passage, slope) in lesson.passages.iter().zip(&slopes) {
                    pull.iter_mut()
                        .zip(*passage)
                        .for_each(|(pull, value)| *pull += lesson.weight * slope * f64::from(*value));
                }
                for (row, pull) in gradient.chunks_exact_mut(d).zip(&pull) {
                    row.iter_mut().zip(&question).for_each(|(gradient, u)| *gradient += pull * u);
                }
            }
            (loss, gradient)
        };
        // Parts of one size whatever the number of threads, so that the sums are the same each time.
        let parts: Vec<_> = self.lessons.par_chunks(64).map(of_lessons).collect();
        let mut gradient: Vec<f64> = weights.iter().map(|weight| 2.0 * PENALTY * weight).collect();
        let mut loss = PENALTY * weights.iter().map(|weight| weight * weight).sum::<f64>();
        for (of_part, part) in parts {
            loss += scale * of_part;
            gradient.iter_mut().zip(part).for_each(|(gradient, part)| *gradient += scale * part);
        }
        (loss, gradient)
    }
}

/// The adapter that these turns teach; none where they teach nothing.
pub fn learn(examples: &[&Example]) -> Option<Adapter> {
    let lessons: Vec<Lesson<'_>> = examples.iter().filter_map(|example| Lesson::of(example)).collect();
    let dimensions = lessons.first()?.question.len();
    let fit = Fit { lessons, dimensions };
    let weights = least(&fit, vec![0.0; dimensions * dimensions], STEPS);
    let rows = weights.chunks_exact(dimensions).map(|row| row.iter().map(|weight| *weight as f32).collect());
    Some(Adapter { rows: rows.collect() })
}

/// What the adapter adds to each candidate of a turn.
pub fn adapted(adapter: &Adapter, example: &Example) -> Vec<f32> {
    let question = example.embedding.as_deref().and_then(|question| adapter.adapted(question));
    let dot = |passage: &Vec<f32>, question: &Vec<f32>| passage.iter().zip(question).map(|(p, q)| p * q).sum();
    let of = |embedding: Option<&Vec<f32>>| embedding.zip(question.as_ref()).map_or(0.0, |(p, q)| dot(p, q));
    example.candidates.iter().map(|candidate| of(candidate.embedding.as_ref())).collect()
}
