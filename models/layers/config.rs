//! What both families' config.json files have in common.

use super::activation::Activation;
use super::decoder::DecoderConfig;
use super::rope::{Axes, Yarn, frequencies};
use crate::pixels::{Patcher, VideoProcessor};
use crate::{Card, Checkpoint, ModelError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The language model's part, nested under `text_config` or (older) at the top.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TextConfig {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    #[serde(default = "silu")]
    hidden_act: Activation,
    max_position_embeddings: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_parameters: Option<RopeConfig>,
    rope_scaling: Option<RopeConfig>,
    attention_bias: Option<bool>,
    tie_word_embeddings: Option<bool>,
    use_sliding_window: Option<bool>,
    sliding_window: Option<usize>,
    max_window_layers: Option<usize>,
}

fn silu() -> Activation {
    Activation::Silu
}

#[derive(Debug, Clone, Deserialize)]
struct RopeConfig {
    rope_type: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    rope_theta: Option<f64>,
    mrope_section: Option<Vec<usize>>,
    factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    attention_factor: Option<f64>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    truncate: Option<bool>,
}

impl RopeConfig {
    /// The rotary frequencies of a head, and what rotated vectors are multiplied by.
    fn frequencies(&self, theta: f64, dim: usize, context: usize) -> Result<(Vec<f32>, f64), String> {
        match self.rope_type.as_deref().or(self.kind.as_deref()).unwrap_or("default") {
            "default" | "mrope" => Ok((frequencies(theta, dim), 1.0)),
            "yarn" => {
                let trained = self.original_max_position_embeddings.unwrap_or(context as f64);
                let yarn = Yarn {
                    factor: self.factor.unwrap_or(context as f64 / trained),
                    trained,
                    beta_fast: self.beta_fast.unwrap_or(32.0),
                    beta_slow: self.beta_slow.unwrap_or(1.0),
                    truncate: self.truncate.unwrap_or(true),
                };
                if !(yarn.factor >= 1.0 && yarn.trained > 0.0 && yarn.beta_fast > 0.0 && yarn.beta_slow > 0.0) {
                    return Err(format!("rope_type yarn cannot have {yarn:?}"));
                }
                let scale = self.attention_factor.unwrap_or(yarn.attention_factor());
                Ok((yarn.frequencies(theta, dim), scale))
            }
            other => Err(format!("rope_type {other} is not supported (supported: default, mrope, yarn)")),
        }
    }
}

/// What a family's class says where config.json is silent.
pub(crate) struct TextDefaults {
    pub(crate) rms_norm_eps: f64,
    pub(crate) rope_theta: f64,
    pub(crate) mrope_section: [usize; 3],
    pub(crate) max_position_embeddings: usize,
    /// Head width of a class that does not divide the hidden width by the heads
    pub(crate) head_dim: Option<usize>,
    /// Time, row and column in turn instead of one after the other
    pub(crate) interleaved: bool,
    /// Whether queries, keys and values have biases whatever the configuration says, and heads norms
    pub(crate) qkv_bias: bool,
    pub(crate) qk_norm: bool,
}

/// Both parts of a config.json, and what stands at its top.
pub(crate) struct Parts<V> {
    pub(crate) decoder: DecoderConfig,
    pub(crate) vision: V,
    pub(crate) context: usize,
    pub(crate) image_token: u32,
    pub(crate) video_token: u32,
}

#[derive(Deserialize)]
struct Top {
    #[serde(default = "image_token")]
    image_token_id: u32,
    #[serde(default = "video_token")]
    video_token_id: u32,
    tie_word_embeddings: Option<bool>,
}

fn image_token() -> u32 {
    151_655
}

fn video_token() -> u32 {
    151_656
}

/// Reads config.json.
pub(crate) fn read<V: DeserializeOwned>(
    checkpoint: &Checkpoint,
    defaults: &TextDefaults,
) -> Result<Parts<V>, ModelError> {
    let config = checkpoint.config();
    let text: TextConfig =
        parse(checkpoint, config.get("text_config").filter(|text| text.is_object()).unwrap_or(config))?;
    let vision = parse(checkpoint, config.get("vision_config").unwrap_or(&Value::Null))?;
    let top: Top = parse(checkpoint, config)?;
    let tied = top.tie_word_embeddings.unwrap_or(false) || text.tie_word_embeddings.unwrap_or(false);
    let context = text.max_position_embeddings.unwrap_or(defaults.max_position_embeddings);
    let decoder = decoder(&text, defaults, tied, context).map_err(|message| wrong(checkpoint, message))?;
    Ok(Parts { decoder, vision, context, image_token: top.image_token_id, video_token: top.video_token_id })
}

/// An error in config.json.
pub(crate) fn wrong(checkpoint: &Checkpoint, message: String) -> ModelError {
    ModelError::Config { path: checkpoint.folder().join("config.json"), message }
}

fn parse<T: DeserializeOwned>(checkpoint: &Checkpoint, value: &Value) -> Result<T, ModelError> {
    T::deserialize(value).map_err(|error| wrong(checkpoint, error.to_string()))
}

fn decoder(text: &TextConfig, defaults: &TextDefaults, tied: bool, context: usize) -> Result<DecoderConfig, String> {
    let heads = text.num_attention_heads;
    let kv_heads = text.num_key_value_heads.unwrap_or(heads);
    if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
        return Err(format!("{heads} attention heads cannot share {kv_heads} key-value heads"));
    }
    if text.num_hidden_layers == 0 {
        return Err("num_hidden_layers is 0".to_owned());
    }
    let head_dim = text.head_dim.or(defaults.head_dim).unwrap_or(text.hidden_size / heads);
    if head_dim == 0 || !head_dim.is_multiple_of(2) {
        return Err(format!("a head of width {head_dim} cannot be rotated"));
    }
    let windowed = text.use_sliding_window.unwrap_or(false)
        && text.max_window_layers.unwrap_or(text.num_hidden_layers) < text.num_hidden_layers;
    if let (true, Some(window)) = (windowed, text.sliding_window.filter(|&window| window < context)) {
        return Err(format!("a sliding window of {window} tokens in the language model is not supported"));
    }
    let rope = text.rope_scaling.as_ref().or(text.rope_parameters.as_ref());
    let theta = rope.and_then(|rope| rope.rope_theta).or(text.rope_theta).unwrap_or(defaults.rope_theta);
    if theta <= 1.0 {
        return Err(format!("rope_theta {theta} gives no frequencies"));
    }
    let (frequencies, rotation_scale) = match rope {
        Some(rope) => rope.frequencies(theta, head_dim, context)?,
        None => (frequencies(theta, head_dim), 1.0),
    };
    let sections = rope.and_then(|rope| rope.mrope_section.clone()).unwrap_or(defaults.mrope_section.to_vec());
    let axes =
        if defaults.interleaved { Axes::interleaved(&sections, head_dim / 2) } else { Axes::contiguous(&sections) };
    if axes.of_pairs().len() != head_dim / 2 {
        return Err(format!("mrope_section {sections:?} does not cover the {} pairs of a head", head_dim / 2));
    }
    Ok(DecoderConfig {
        vocabulary: text.vocab_size,
        hidden: text.hidden_size,
        intermediate: text.intermediate_size,
        layers: text.num_hidden_layers,
        heads,
        kv_heads,
        head_dim,
        eps: text.rms_norm_eps.unwrap_or(defaults.rms_norm_eps),
        activation: text.hidden_act,
        frequencies,
        rotation_scale,
        axes,
        qkv_bias: defaults.qkv_bias || text.attention_bias.unwrap_or(false),
        output_bias: !defaults.qkv_bias && text.attention_bias.unwrap_or(false),
        qk_norm: defaults.qk_norm,
        tied,
    })
}

/// A whole number, or a list of equal ones (as some sizes are written).
pub(crate) fn one_or_equal<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(usize),
        Many(Vec<usize>),
    }
    match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(value) => Ok(value),
        OneOrMany::Many(values) => match values.split_first() {
            Some((first, rest)) if rest.iter().all(|value| value == first) => Ok(*first),
            _ => Err(serde::de::Error::custom("sides of different lengths are not supported")),
        },
    }
}

/// The vision tower's part of a card.
pub(crate) struct VisionFacts {
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    pub(crate) deepstack: usize,
}

/// A card from a configuration that has been read.
pub(crate) fn card<V>(
    family: &'static str,
    checkpoint: &Checkpoint,
    parts: &Parts<V>,
    vision: &VisionFacts,
    video: &VideoProcessor,
) -> Result<Card, ModelError> {
    let (parameters, weight_bytes, dtype) = checkpoint.weights()?;
    let decoder = &parts.decoder;
    Ok(Card {
        family,
        parameters,
        weight_bytes,
        dtype,
        layers: decoder.layers,
        hidden: decoder.hidden,
        heads: decoder.heads,
        kv_heads: decoder.kv_heads,
        head_dim: decoder.head_dim,
        vocabulary: decoder.vocabulary,
        context: parts.context,
        vision_layers: vision.layers,
        vision_hidden: vision.hidden,
        deepstack: vision.deepstack,
        patch: video.pixels.patch,
        merge: video.pixels.merge,
        temporal_patch: video.pixels.temporal_patch,
        fps: video.fps,
        frames: video.frames,
        grey_level: Patcher::new(video.pixels.clone()).grey_level(),
        eos: end_ids(checkpoint)?,
    })
}

/// The ids that end an answer: generation_config.json's, else config.json's, one or a list.
fn end_ids(checkpoint: &Checkpoint) -> Result<Vec<u32>, ModelError> {
    let ids = |config: &Value| -> Option<Vec<u32>> {
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        match config.get("eos_token_id")? {
            Value::Array(values) => Some(values.iter().filter_map(id).collect()),
            value => id(value).map(|id| vec![id]),
        }
    };
    let generation = checkpoint.json("generation_config.json")?.unwrap_or(Value::Null);
    let config = checkpoint.config();
    let text = config.get("text_config").unwrap_or(&Value::Null);
    Ok(ids(&generation).or_else(|| ids(config)).or_else(|| ids(text)).unwrap_or_default())
}
