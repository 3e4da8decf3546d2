//! An encoder for tests of other rooms: the same handle, and a function in the place of model and threads.
//!
//! Input: a text. Output: whatever the test's function answers, in its own time: it may wait, fail or panic. Nothing of
//! torch is called, no thread is started, and a waiting answer is a future of the caller's runtime, so a paused clock
//! moves it.

use std::ops::Range;
use std::time::Duration;

use tokio::sync::watch;

use crate::{
    DIMENSIONS, EncoderError, EncoderHealth, Encoding, ModelInfo, PendingEncoding, Precision,
    encoder::{Encoder, Source},
    turns::Lane,
};

struct Scripted<W, S> {
    info: ModelInfo,
    oldest_wait: W,
    threads: Option<watch::Receiver<EncoderHealth>>,
    script: S,
}

impl Encoder {
    /// Answers each text with `script`, which is called at once; its future runs where the answer is awaited. A refusal
    /// ([`EncoderError::QueueFull`]) is an answer like any other. [`Encoder::encode_blocking`] and
    /// [`Encoder::embed_bulk`] hold the calling thread until the answer is there.
    pub fn scripted<A>(script: impl Fn(String) -> A + Send + Sync + 'static) -> Self
    where
        A: Future<Output = Result<Encoding, EncoderError>> + Send + 'static,
    {
        Self::scripted_behind(|| Duration::ZERO, script)
    }

    /// The same for an encoder whose oldest live text has waited for so long.
    pub fn scripted_behind<A>(
        oldest_wait: impl Fn() -> Duration + Send + Sync + 'static,
        script: impl Fn(String) -> A + Send + Sync + 'static,
    ) -> Self
    where
        A: Future<Output = Result<Encoding, EncoderError>> + Send + 'static,
    {
        Self::of(Scripted {
            info: info(),
            oldest_wait,
            threads: None,
            script: move |text| PendingEncoding::of(script(text)),
        })
    }

    /// An encoder that refuses every text, and whose threads are as the test says.
    pub fn scripted_on_threads(health: watch::Receiver<EncoderHealth>) -> Self {
        let refuses = |_| PendingEncoding::of(std::future::ready(Err(EncoderError::Closed)));
        Self::of(Scripted { info: info(), oldest_wait: || Duration::ZERO, threads: Some(health), script: refuses })
    }
}

fn info() -> ModelInfo {
    ModelInfo {
        name: "scripted",
        fingerprint: "scripted".to_owned(),
        precision: Precision::F32,
        dimensions: DIMENSIONS,
    }
}

impl Encoding {
    /// An encoding whose vector is the unit vector along `axis`, without key phrases: two of one axis have a cosine of
    /// 1, of two axes one of 0.
    pub fn along(axis: usize) -> Self {
        let mut embedding = vec![0.0; DIMENSIONS];
        embedding[axis % DIMENSIONS] = 1.0;
        Self { embedding, key_phrases: Vec::new(), word_pieces: 3, truncated: false }
    }
}

impl<W, S> Source for Scripted<W, S>
where
    W: Fn() -> Duration + Send + Sync,
    S: Fn(String) -> PendingEncoding + Send + Sync,
{
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn encode(&self, _lane: Lane, text: &str) -> Result<PendingEncoding, EncoderError> {
        Ok((self.script)(text.to_owned()))
    }

    fn encode_blocking(&self, _lane: Lane, text: &str) -> Result<Encoding, EncoderError> {
        (self.script)(text.to_owned()).wait()
    }

    fn embed_bulk(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError> {
        texts.iter().map(|text| self.encode_blocking(Lane::own(), text).map(|encoding| encoding.embedding)).collect()
    }

    fn chunks(&self, text: &str) -> Vec<Range<usize>> {
        std::iter::once(0..text.len()).collect()
    }

    fn longest_wait(&self, _lane: Lane) -> Duration {
        (self.oldest_wait)()
    }

    fn health(&self) -> Option<watch::Receiver<EncoderHealth>> {
        self.threads.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::{sync::Notify, time};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_script_waits_on_the_callers_clock_or_for_the_test() {
        let gate = Arc::new(Notify::new());
        let opened = Arc::clone(&gate);
        let encoder = Encoder::scripted(move |text| {
            let opened = Arc::clone(&opened);
            async move {
                match text.as_str() {
                    "slow" => time::sleep(Duration::from_hours(1)).await,
                    "gated" => opened.notified().await,
                    _ => return Err(EncoderError::QueueFull { capacity: 1 }),
                }
                Ok(Encoding::along(text.len()))
            }
        });
        let start = time::Instant::now();
        assert_eq!(encoder.encode("slow").unwrap().await, Ok(Encoding::along(4)));
        assert_eq!(start.elapsed(), Duration::from_hours(1));
        let mut gated = encoder.encode("gated").unwrap();
        assert!(time::timeout(Duration::from_hours(1), &mut gated).await.is_err());
        gate.notify_one();
        assert_eq!(gated.await, Ok(Encoding::along(5)));
        assert_eq!(encoder.encode("other").unwrap().await, Err(EncoderError::QueueFull { capacity: 1 }));
    }

    /// Two tenants of one encoder, each with a clone of the handle.
    #[tokio::test(start_paused = true)]
    async fn all_who_share_an_encoder_have_sixteen_places_aside_together() {
        let queued = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&queued);
        let encoder = Encoder::scripted(move |text| {
            counter.fetch_add(1, Ordering::SeqCst);
            async move {
                time::sleep(Duration::from_secs(1)).await;
                Ok(Encoding::along(text.len()))
            }
        });
        let tenants = [encoder.clone(), encoder.clone()];
        let waiting: Vec<_> = tenants
            .into_iter()
            .flat_map(|encoder| std::iter::repeat_n(encoder, 20))
            .map(|encoder| tokio::spawn(async move { encoder.encode_aside("article").await }))
            .collect();
        time::sleep(Duration::from_millis(500)).await;
        assert_eq!(queued.load(Ordering::SeqCst), 16);
        assert_eq!(encoder.encode("question").unwrap().await, Ok(Encoding::along(8)), "a question needs no place");
        for answer in waiting {
            assert_eq!(answer.await.unwrap(), Ok(Encoding::along(7)));
        }
        assert_eq!(queued.load(Ordering::SeqCst), 41);
    }

    #[test]
    fn bulk_and_blocking_calls_follow_the_script() {
        let encoder = Encoder::scripted(|text| std::future::ready(Ok(Encoding::along(text.len()))));
        assert_eq!(encoder.encode_blocking("refund"), Ok(Encoding::along(6)));
        let embedded = encoder.embed_bulk(&["a".to_owned(), "bb".to_owned()]);
        assert_eq!(embedded, Ok(vec![Encoding::along(1).embedding, Encoding::along(2).embedding]));
        assert!(matches!(encoder.chunks("refund").as_slice(), [whole] if *whole == (0..6)));
    }
}
