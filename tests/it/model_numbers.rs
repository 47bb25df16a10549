//! What the families compute, through the library: chunks add up to the whole, images, answers.

use super::model_command::fixture;
use candle_core::{DType, Tensor};
use image::RgbImage;
use longsight::generate::{Ended, Options, Packed, Session};
use longsight::prompt::{Message, Part, Prompter, Role};
use longsight::vision;
use longsight_models::{
    Checkpoint, Dense, Extension, Frame, GrowingCache, KvCache, LoadOptions, Selection, Sequence, Size, TimeBase,
    Timestamp, VisualTokens, Vlm, Want, family_of,
};
use std::convert::Infallible;

fn load(name: &str) -> (Box<dyn Vlm>, Prompter) {
    let checkpoint = Checkpoint::open(&fixture(name)).unwrap();
    let model = family_of(&checkpoint).unwrap().load(&checkpoint, &LoadOptions::default()).unwrap();
    (model, Prompter::open(&checkpoint).unwrap())
}

/// `count` frames that all differ, half a second apart.
fn frames(count: u64, size: Size) -> Vec<Frame> {
    let base = TimeBase { num: 1, den: 2 };
    let frame = |index: u64| {
        let image = RgbImage::from_fn(size.width, size.height, |x, y| {
            let value = |k: u32| ((x * k + y * (k + 2)) as u64 + index * 17 * u64::from(k)) as u8;
            image::Rgb([value(3), value(5), value(2)])
        });
        Frame { index, time: Timestamp { pts: index as i64, base }, image }
    };
    (0..count).map(frame).collect()
}

fn rel(found: &Tensor, expected: &Tensor) -> f64 {
    let norm =
        |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap();
    (norm(&(found - expected).unwrap()) / norm(expected)).sqrt()
}

/// Rounding in another order of additions.
const SAME: f64 = 2e-6;

const BOTH: [&str; 2] = ["qwen3_vl-a", "qwen2_5_vl-a"];

#[test]
fn a_video_in_chunks_is_the_whole_video() {
    for name in BOTH {
        let (model, _) = load(name);
        let side = (model.card().patch * model.card().merge) as u32;
        let size = Size { width: 4 * side, height: 3 * side };
        let frames = frames(11, size);
        let patches = model.processor().patch(&frames, size).unwrap();
        let whole = model.encode(&patches).unwrap();
        assert_eq!((whole.len(), whole.times().len()), (72, 6));

        let chunks: Vec<VisualTokens> = frames
            .chunks(4)
            .map(|chunk| model.encode(&model.processor().patch(chunk, size).unwrap()).unwrap())
            .collect();
        let streamed = vision::encode(&*model, size, frames.iter().cloned().map(Ok::<_, Infallible>)).unwrap();
        let cut = [0..1, 1..4, 4..6].map(|range| model.encode(&patches.temporal(range).unwrap()).unwrap());
        for joined in [VisualTokens::concat(&chunks).unwrap(), streamed, VisualTokens::concat(&cut).unwrap()] {
            assert_eq!((joined.coordinates(), joined.times()), (whole.coordinates(), whole.times()), "{name}");
            assert!(rel(joined.embeddings(), whole.embeddings()) < SAME, "{name}");
            assert_eq!(joined.deepstack().len(), whole.deepstack().len());
            for (joined, whole) in joined.deepstack().iter().zip(whole.deepstack()) {
                assert!(rel(joined, whole) < SAME, "{name}");
            }
        }
    }
}

/// A model, a video's tokens, and the sequence of a question about it.
fn asked(name: &str, question: &str) -> (Box<dyn Vlm>, Prompter, Vec<VisualTokens>, Sequence) {
    let (model, prompter) = load(name);
    let side = (model.card().patch * model.card().merge) as u32;
    let size = Size { width: 3 * side, height: 2 * side };
    let media = vec![vision::encode(&*model, size, frames(9, size).into_iter().map(Ok::<_, Infallible>)).unwrap()];
    let sequence = prompter.build(model.processor(), &[Message::about_video(question)], &media).unwrap();
    (model, prompter, media, sequence)
}

fn all_logits(model: &dyn Vlm, sequence: &Sequence, media: &[VisualTokens], rows: usize) -> Tensor {
    let mut kv = GrowingCache::new();
    let mut parts = Vec::new();
    for start in (0..sequence.len()).step_by(rows) {
        let range = start..sequence.len().min(start + rows);
        parts.push(model.forward(sequence, range, media, &mut Dense, &mut kv, Want::All).unwrap().tensor().clone());
    }
    assert_eq!(kv.len(), sequence.len());
    Tensor::cat(&parts, 0).unwrap()
}

#[test]
fn a_prompt_in_chunks_is_the_whole_prompt() {
    for name in BOTH {
        let (model, _, media, sequence) = asked(name, "When does it begin?");
        let whole = all_logits(&*model, &sequence, &media, usize::MAX);
        // Chunks that end inside visual runs, and single rows as in decoding.
        for rows in [1, 7, 64] {
            let chunked = all_logits(&*model, &sequence, &media, rows);
            assert!(rel(&chunked, &whole) < SAME, "{name} by {rows}: {}", rel(&chunked, &whole));
        }
        let mut kv = GrowingCache::new();
        let (all, dense) = (0..sequence.len(), &mut Dense);
        let last = model.forward(&sequence, all, &media, dense, &mut kv, Want::Last).unwrap().last().unwrap();
        assert!(rel(&last, &whole.get(sequence.len() - 1).unwrap()) < SAME, "{name}");
    }
}

#[test]
fn prompts_that_are_run_together_are_answered_as_alone() {
    for name in BOTH {
        let (model, prompter, media, _) = asked(name, "When does it begin?");
        let media: Vec<VisualTokens> = [0..1, 1..4, 0..5].map(|range| media[0].patches(range).unwrap()).into();
        let prompts = |question: &str| -> Vec<Sequence> {
            let messages = [Message::about_video(question)];
            media
                .iter()
                .map(|one| prompter.build(model.processor(), &messages, std::slice::from_ref(one)).unwrap())
                .collect()
        };
        let options = Options { max_tokens: 8, ..Options::default() };
        let mut packed = Packed::new(&*model, media.clone());
        let mut alone: Vec<Session> =
            media.iter().map(|one| Session::new(&*model, std::slice::from_ref(one))).collect();
        for question in ["When does it begin?", "When does it end, and how?"] {
            let sequences = prompts(question);
            let together =
                packed.answers(&sequences, prompter.tokenizer(), &options, 1024, &|| false).unwrap().unwrap();
            for ((together, session), sequence) in together.iter().zip(&mut alone).zip(&sequences) {
                let alone = session.answer(sequence, prompter.tokenizer(), &options, |_| true).unwrap();
                assert_eq!((&together.ids, &together.text, together.ended), (&alone.ids, &alone.text, alone.ended));
                let bits = |answer: &longsight::generate::Answer| answer.mean_log_probability.to_bits();
                assert_eq!(bits(together), bits(&alone), "{name}");
            }
        }
        // What one process leaves another goes on from, in passes of any length.
        let sequences = prompts("Who?");
        let expected = packed.answers(&sequences, prompter.tokenizer(), &options, 1024, &|| false).unwrap().unwrap();
        let mut resumed = Packed::new(&*model, media.clone());
        for (number, sequence) in sequences.iter().enumerate() {
            let known = sequence.beginning(sequence.media_end());
            resumed.resume(number, packed.rows(number, known.len()).unwrap(), known);
        }
        let answers = resumed.answers(&sequences, prompter.tokenizer(), &options, 1024, &|| false).unwrap().unwrap();
        assert_eq!(
            answers.iter().map(|answer| &answer.ids).collect::<Vec<_>>(),
            expected.iter().map(|answer| &answer.ids).collect::<Vec<_>>()
        );
        assert!(packed.answers(&sequences, prompter.tokenizer(), &options, 7, &|| true).unwrap().is_none());
    }
}

#[test]
fn rows_out_of_order_are_refused() {
    let (model, _, media, sequence) = asked("qwen3_vl-a", "Why?");
    let run = |rows, media: &[VisualTokens]| {
        model.forward(&sequence, rows, media, &mut Dense, &mut GrowingCache::new(), Want::Last).is_err()
    };
    assert!(run(1..2, &media));
    assert!(run(0..0, &media));
    assert!(run(0..sequence.len() + 1, &media));
    assert!(run(0..sequence.len(), &[]));
}

#[test]
fn a_second_question_runs_only_what_differs_and_answers_the_same() {
    for name in BOTH {
        let (model, prompter, media, first) = asked(name, "When does it begin?");
        let second = prompter.build(model.processor(), &[Message::about_video("When does it end?")], &media).unwrap();
        let options = Options { max_tokens: 8, ..Options::default() };
        let answer = |session: &mut Session, sequence: &Sequence| {
            session.answer(sequence, prompter.tokenizer(), &options, |_| true).unwrap()
        };
        let mut shared = Session::new(&*model, &media);
        let begun = answer(&mut shared, &first);
        assert_eq!(begun.prefilled, first.len());
        let ended = answer(&mut shared, &second);
        assert!(ended.prefilled < second.len() / 2, "{name}: {} of {}", ended.prefilled, second.len());
        let fresh = answer(&mut Session::new(&*model, &media), &second);
        assert_eq!(ended.ids, fresh.ids, "{name}");
        assert_eq!(answer(&mut shared, &first).ids, begun.ids, "{name}");
    }
}

#[test]
fn text_comes_in_pieces_that_add_up_and_can_be_stopped() {
    let (model, prompter, media, sequence) = asked("qwen3_vl-a", "What?");
    let options = Options { max_tokens: 20, temperature: 3.0, seed: 4, ..Options::default() };
    let mut heard = String::new();
    let mut listen = |piece: &str| {
        heard.push_str(piece);
        true
    };
    let answer = |on_text: &mut dyn FnMut(&str) -> bool| {
        Session::new(&*model, &media).answer(&sequence, prompter.tokenizer(), &options, on_text).unwrap()
    };
    let whole = answer(&mut listen);
    assert_eq!(heard, whole.text);
    assert_eq!(whole.text, prompter.tokenizer().decode(&whole.ids).unwrap());
    assert_eq!(answer(&mut |_| true), whole, "the seed decides");
    let stopped = answer(&mut |_| false);
    assert!(stopped.ids.len() < whole.ids.len());
    assert_eq!(stopped.ended, Ended::Cancelled);
}

#[test]
fn sampling_follows_its_settings() {
    let (model, prompter, media, sequence) = asked("qwen2_5_vl-a", "What?");
    let ids = |options: Options| {
        let options = Options { max_tokens: 12, ..options };
        Session::new(&*model, &media).answer(&sequence, prompter.tokenizer(), &options, |_| true).unwrap().ids
    };
    let greedy = ids(Options::default());
    let hot = |seed| Options { temperature: 5.0, seed, ..Options::default() };
    assert_ne!(ids(hot(1)), ids(hot(2)));
    assert_eq!(ids(Options { top_k: Some(1), ..hot(1) }), greedy);
    assert_eq!(ids(Options { top_p: Some(1e-6), ..hot(1) }), greedy);
    let penalised = ids(Options { repetition_penalty: 1e6, ..Options::default() });
    let mut distinct = penalised.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), penalised.len(), "no token comes twice: {penalised:?}");
}

#[test]
fn still_images_agree_with_the_reference() {
    for name in ["qwen3_vl-images", "qwen2_5_vl-images"] {
        let (model, prompter) = load(name);
        let read =
            |file: &str| candle_core::safetensors::load(fixture(name).join(file), &candle_core::Device::Cpu).unwrap();
        let (golden, images) = (read("golden.safetensors"), read("images.safetensors"));
        let mut media = Vec::new();
        let mut pixels = Vec::new();
        for index in 0..images.len() {
            let (height, width, _) = images[&format!("image.{index}")].dims3().unwrap();
            let bytes = images[&format!("image.{index}")].flatten_all().unwrap().to_vec1().unwrap();
            let source = Size { width: width as u32, height: height as u32 };
            let image = RgbImage::from_raw(source.width, source.height, bytes).unwrap();
            let time = Timestamp { pts: 0, base: TimeBase::MICROS };
            let size = model.processor().image_size(source, None).unwrap();
            let patches = model.processor().patch_image(&Frame { index: 0, time, image }, size).unwrap();
            media.push(model.encode(&patches).unwrap());
            pixels.push(patches.pixels().clone());
        }
        assert!(rel(&Tensor::cat(&pixels, 0).unwrap(), &golden["pixel_values"]) < 1e-6, "{name}: pixels");
        let content = vec![Part::Image, Part::Image, Part::text("When does the square stop?")];
        let sequence = prompter.build(model.processor(), &[Message { role: Role::User, content }], &media).unwrap();
        let ints = |key: &str| -> Vec<u32> {
            golden[key].flatten_all().unwrap().to_dtype(DType::U32).unwrap().to_vec1().unwrap()
        };
        assert_eq!(sequence.ids(), ints("input_ids"), "{name}");
        assert_eq!(sequence.positions().concat(), ints("position_ids"), "{name}");
        let logits = all_logits(&*model, &sequence, &media, usize::MAX);
        assert!(rel(&logits, &golden["logits"]) < 1e-5, "{name}: {}", rel(&logits, &golden["logits"]));
    }
}

#[test]
fn fewer_tokens_keep_their_places() {
    for name in BOTH {
        let (model, prompter, media, full) = asked(name, "When?");
        let keep: Vec<usize> = (0..media[0].len()).filter(|row| row % 3 != 1 && !(6..12).contains(row)).collect();
        let fewer = [media[0].select(&Selection::keep(keep.iter().copied()).unwrap()).unwrap()];
        let sequence = prompter.build(model.processor(), &[Message::about_video("When?")], &fewer).unwrap();
        assert_eq!(sequence.visual_tokens(), keep.len());
        assert_eq!(sequence.next_position() < full.next_position(), name.starts_with("qwen3"), "{name}");
        let logits = all_logits(&*model, &sequence, &fewer, 16);
        assert_eq!(logits.dims()[0], sequence.len());
        assert!(Selection::keep([3, 2]).is_err());
        assert!(media[0].select(&Selection::keep([media[0].len()]).unwrap()).is_err());
    }
}

#[test]
fn a_visual_window_that_is_large_enough_changes_nothing() {
    for name in BOTH {
        let (model, _, media, sequence) = asked(name, "When does it begin?");
        let end = sequence.media_end();
        let last = sequence.positions().iter().flat_map(|axis| &axis[..end]).max().unwrap();
        let plain = all_logits(&*model, &sequence, &media, 16);
        for window in [None, Some(last + 1), Some(u32::MAX)] {
            let extended = sequence.clone().extended(window);
            assert_eq!(extended, sequence, "{name}");
            assert_eq!(rel(&all_logits(&*model, &extended, &media, 16), &plain), 0.0, "{name}");
        }
        let extended = sequence.clone().extended(Some(last / 2));
        assert_eq!(extended.positions(), sequence.positions());
        assert_eq!((extended.common_prefix(&sequence), extended.common_prefix(&extended)), (0, sequence.len()));
        let whole = all_logits(&*model, &extended, &media, usize::MAX);
        assert!(rel(&whole, &plain) > 1e-4, "{name}: half a window changes nothing");
        assert!(rel(&all_logits(&*model, &extended, &media, 7), &whole) < SAME, "{name}");
        // What is kept of a prompt goes on with the same frequencies, and so does what is generated.
        let beginning = extended.beginning(end);
        let known = Sequence::new(beginning.ids().to_vec(), beginning.positions().clone(), Vec::new());
        assert_eq!(known.extended(Some(last / 2)).common_prefix(&extended), end, "{name}");
        let mut longer = extended.clone();
        longer.push(1);
        assert_eq!(longer.extensions(0..longer.len()).len(), 1, "{name}");
    }
}

/// In a window so small that no pair turns once in it, all frequencies are divided by the factor.
#[test]
fn positions_twice_as_far_apart_in_half_a_window_are_what_they_were() {
    for name in BOTH {
        let (model, _, media, sequence) = asked(name, "When does it begin?");
        let twice = sequence.positions().clone().map(|axis| axis.into_iter().map(|position| 2 * position).collect());
        let spread = Sequence::new(sequence.ids().to_vec(), twice, sequence.visual().to_vec());
        let (all, plain) = (0..spread.len(), all_logits(&*model, &sequence, &media, 16));
        assert!(rel(&all_logits(&*model, &spread, &media, 16), &plain) > 1e-3, "{name}");
        let back = spread.with_extensions(vec![(all, Extension::new(5, 10).unwrap())]);
        assert!(rel(&all_logits(&*model, &back, &media, 16), &plain) < 1e-5, "{name}");
    }
}

#[test]
fn packed_prompts_keep_their_own_visual_windows() {
    for name in BOTH {
        let (model, prompter, media, plain) = asked(name, "When does it begin?");
        let options = Options { max_tokens: 3, ..Options::default() };
        let sequences = [plain.clone().extended(Some(7)), plain.clone(), plain.extended(Some(9))];
        let mut packed = Packed::new(&*model, vec![media[0].clone(), media[0].clone(), media[0].clone()]);
        let told = packed.answers(&sequences, prompter.tokenizer(), &options, 1024, &|| false).unwrap().unwrap();
        for (told, sequence) in told.iter().zip(&sequences) {
            let mut alone = Session::new(&*model, &media);
            let answer = alone.answer(sequence, prompter.tokenizer(), &options, |_| true).unwrap();
            assert_eq!((&told.ids, told.mean_log_probability), (&answer.ids, answer.mean_log_probability), "{name}");
        }
        assert!(told[0].mean_log_probability != told[1].mean_log_probability, "{name}");
    }
}

#[test]
fn a_tower_that_pools_leaves_other_patches_alone() {
    for name in BOTH {
        let (model, prompter) = load(name);
        let side = (model.card().patch * model.card().merge) as u32;
        let size = Size { width: 4 * side, height: 3 * side };
        let patches = model.processor().patch(&frames(8, size), size).unwrap();
        let tables = |tokens: &VisualTokens| [&[tokens.embeddings().clone()], tokens.deepstack()].concat();
        let whole = model.encode(&patches).unwrap();
        let same = model.encode_pooled(&patches, &[1; 4]).unwrap();
        for (same, whole) in tables(&same).iter().zip(tables(&whole)) {
            assert_eq!(rel(same, &whole), 0.0, "{name}: a stride of 1 changes something");
        }
        let strides = [1, 2, 4, 1];
        let pooled = model.encode_pooled(&patches, &strides).unwrap();
        assert_eq!(pooled.tokens_per_time(), [12, 4, 1, 12], "{name}");
        assert_eq!((pooled.grid(), pooled.times()), (whole.grid(), whole.times()), "{name}");
        let places: Vec<_> = pooled.patches(1..2).unwrap().coordinates().iter().map(|at| (at.h, at.w)).collect();
        assert_eq!(places, [(0, 0), (0, 2), (2, 0), (2, 2)], "{name}");
        for patch in [0, 3] {
            let of = |tokens: &VisualTokens| tables(&tokens.patches(patch..patch + 1).unwrap());
            for (pooled, whole) in of(&pooled).iter().zip(of(&whole)) {
                assert!(rel(pooled, &whole) < SAME, "{name}: patch {patch} is not pooled");
            }
        }
        let halves = [0..1, 1..4]
            .map(|range| model.encode_pooled(&patches.temporal(range.clone()).unwrap(), &strides[range]).unwrap());
        let joined = VisualTokens::concat(&halves).unwrap();
        for (joined, pooled) in tables(&joined).iter().zip(tables(&pooled)) {
            assert!(rel(joined, &pooled) < SAME, "{name}: chunks change it");
        }
        // Pooling is of the tower's rows: merging first and pooling then is not the same.
        let after: Vec<Tensor> = [[0, 1, 4, 5], [2, 3, 6, 7]]
            .map(|rows| {
                let rows = Tensor::new(rows.map(|row: u32| row + 12).as_slice(), whole.embeddings().device()).unwrap();
                whole.embeddings().index_select(&rows, 0).unwrap().mean_keepdim(0).unwrap()
            })
            .to_vec();
        let before = pooled.embeddings().narrow(0, 12, 2).unwrap();
        assert!(rel(&before, &Tensor::cat(&after, 0).unwrap()) > 1e-3, "{name}: pooled after the merger");
        let media = [pooled];
        let sequence = prompter.build(model.processor(), &[Message::about_video("When?")], &media).unwrap();
        assert_eq!(sequence.visual_tokens(), 29);
        let logits = all_logits(&*model, &sequence, &media, 16);
        assert!(logits.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|score| score.is_finite()));
        assert!(model.encode_pooled(&patches, &[2]).is_err(), "{name}: a stride for each patch");
    }
}

#[test]
fn placeholders_and_media_must_agree() {
    let (model, prompter, media, _) = asked("qwen3_vl-a", "When?");
    let two = Message { role: Role::User, content: vec![Part::Video, Part::Video] };
    assert!(prompter.build(model.processor(), &[two], &media).is_err());
    let none = Message::text(Role::User, "no video here");
    assert!(prompter.build(model.processor(), &[none], &media).is_err());
    let image = Message { role: Role::User, content: vec![Part::Image] };
    assert!(prompter.build(model.processor(), &[image], &media).is_err());
    // A question that writes a placeholder itself asks about no other video: it is text.
    let sly = Message::about_video("and <|video_pad|>?");
    let sequence = prompter.build(model.processor(), &[sly], &media).unwrap();
    assert_eq!(sequence.visual().iter().map(|run| run.tokens.len()).sum::<usize>(), media[0].len());
}
