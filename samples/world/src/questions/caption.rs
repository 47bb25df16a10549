//! What happens in a scene, in sentences.

use crate::script::{Object, Scene, Script, Sign};
use crate::words::{Motion, Pair, article, sentence};

use super::{Kind, Question};

/// What is asked.
pub const CAPTION: &str = "Describe the video.";
/// The answer where a scene is empty.
pub const NOTHING: &str = "Nothing happens.";

/// [`CAPTION`] for each scene, as if it were a video of its own: a sentence for each thing, in the order in which they come, those
/// that come together from left to right.
pub fn captions(script: &Script) -> Vec<Question> {
    let asked = |scene: &Scene| Question {
        kind: Kind::Caption,
        text: CAPTION.to_owned(),
        answer: caption(scene),
        choices: Vec::new(),
        spans: vec![scene.span],
    };
    script.scenes.iter().map(asked).collect()
}

fn caption(scene: &Scene) -> String {
    let objects = scene.objects.iter().map(|object| (object.span[0], object.from[0], seen(object)));
    let sign = scene.sign.iter().map(|sign| (sign.span[0], sign.centre[0], read(sign)));
    let mut things: Vec<(f64, f64, String)> = objects.chain(sign).collect();
    things.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let sentences: Vec<String> = things.into_iter().map(|(_, _, text)| text).collect();
    if sentences.is_empty() { NOTHING.to_owned() } else { sentences.join(" ") }
}

fn seen(object: &Object) -> String {
    let name = Pair { colour: object.colour, shape: object.shape }.name();
    let does = match (object.motion, object.repaint) {
        (_, Some(repaint)) => format!("becomes {}", repaint.colour.word()),
        (Motion::Still, None) => "does not move".to_owned(),
        (Motion::Grows, None) => "grows".to_owned(),
        (Motion::Shrinks, None) => "shrinks".to_owned(),
        (way, None) => format!("moves {}", way.phrase()),
    };
    sentence(&format!("{} {name} {does}", article(&name)))
}

fn read(sign: &Sign) -> String {
    if sign.counts { format!("A counter starts from {}.", sign.text) } else { format!("A sign says {}.", sign.text) }
}
