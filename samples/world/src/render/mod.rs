//! Script and time -> picture, at any size.
//!
//! What does not change within a scene (background, plate with its letters) is drawn once; objects are drawn by signed
//! distance inside their bounding boxes. Only IEEE additions, products, quotients and square roots are used, so a picture
//! is the same on every platform.

mod background;
mod font;
mod shape;
mod sign;

use std::cell::OnceCell;

use image::RgbImage;

use crate::script::{Entrance, Object, Scene, Script};

use sign::Patch;

/// Draws the pictures of one script at one size.
pub struct Renderer<'a> {
    script: &'a Script,
    size: Size,
    stages: Vec<OnceCell<Stage>>,
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Size {
    /// The short side in pixels: the unit of diameters and strokes.
    fn short(self) -> f32 {
        self.width.min(self.height) as f32
    }
}

/// What a scene always shows.
struct Stage {
    background: RgbImage,
    sign: Option<Patch>,
}

impl<'a> Renderer<'a> {
    /// A renderer of `script` at `width` x `height` pixels.
    pub fn new(script: &'a Script, width: u32, height: u32) -> Self {
        let stages = script.scenes.iter().map(|_| OnceCell::new()).collect();
        Self { script, size: Size { width, height }, stages }
    }

    /// The picture at `time` seconds; before the start the first, after the end the last.
    pub fn picture(&self, time: f64) -> RgbImage {
        let scenes = &self.script.scenes;
        let place = scenes.iter().rposition(|scene| scene.span[0] <= time).unwrap_or(0);
        let picture = self.scene(place, time);
        let Some(next) = scenes.get(place + 1) else { return picture };
        let left = next.span[0] - time;
        match next.entrance {
            Entrance::CrossDissolve { seconds } if left < seconds => {
                let coming = self.scene(place + 1, next.span[0]);
                mixed(picture, &coming, (1.0 - left / seconds) as f32)
            }
            Entrance::ThroughBlack { seconds } if left < seconds => {
                let share = (1.0 - left / seconds) as f32;
                let black = RgbImage::new(self.size.width, self.size.height);
                if share < 0.5 {
                    mixed(picture, &black, share * 2.0)
                } else {
                    mixed(black, &self.scene(place + 1, next.span[0]), share * 2.0 - 1.0)
                }
            }
            _ => picture,
        }
    }

    fn scene(&self, place: usize, time: f64) -> RgbImage {
        let scene = &self.script.scenes[place];
        let stage = self.stages[place].get_or_init(|| Stage::new(scene, self.size));
        let mut picture = stage.background.clone();
        for object in scene.objects.iter().filter(|object| visible(object.span, time)) {
            draw(&mut picture, object, time, self.size);
        }
        if let (Some(sign), Some(patch)) = (&scene.sign, &stage.sign)
            && visible(sign.span, time)
        {
            patch.draw(&mut picture);
        }
        picture
    }
}

impl Stage {
    fn new(scene: &Scene, size: Size) -> Self {
        Self {
            background: background::draw(&scene.background, size),
            sign: scene.sign.as_ref().map(|sign| Patch::new(sign, size)),
        }
    }
}

fn visible([start, end]: [f64; 2], time: f64) -> bool {
    start <= time && time < end
}

fn draw(picture: &mut RgbImage, object: &Object, time: f64, size: Size) {
    let radius = object.diameter as f32 * size.short() / 2.0;
    let [x, y] = object.centre(time);
    let (x, y) = (x as f32 * size.width as f32, y as f32 * size.height as f32);
    let rgb = object.rgb_at(time);
    let reach = radius * shape::REACH + 1.0;
    let columns = pixels(x - reach, x + reach, size.width);
    let width = size.width as usize * 3;
    for row in pixels(y - reach, y + reach, size.height) {
        let line = &mut picture.as_mut()[row * width..(row + 1) * width];
        let v = (row as f32 + 0.5 - y) / radius;
        for column in columns.clone() {
            let u = (column as f32 + 0.5 - x) / radius;
            let cover = (0.5 - shape::distance(object.shape, u, v) * radius).clamp(0.0, 1.0);
            if cover > 0.0 {
                blend(&mut line[column * 3..column * 3 + 3], rgb, cover);
            }
        }
    }
}

/// The pixels whose centres lie between `low` and `high`, kept inside `0..count`.
fn pixels(low: f32, high: f32, count: u32) -> std::ops::Range<usize> {
    low.floor().max(0.0) as usize..(high.ceil().max(0.0) as usize).min(count as usize)
}

fn blend(pixel: &mut [u8], rgb: [u8; 3], cover: f32) {
    for (level, new) in pixel.iter_mut().zip(rgb) {
        *level = mix(*level, new, cover);
    }
}

fn mix(old: u8, new: u8, share: f32) -> u8 {
    (f32::from(old) + (f32::from(new) - f32::from(old)) * share + 0.5) as u8
}

fn mixed(mut old: RgbImage, new: &RgbImage, share: f32) -> RgbImage {
    for (level, &new) in old.as_mut().iter_mut().zip(new.as_raw()) {
        *level = mix(*level, new, share);
    }
    old
}

#[cfg(test)]
mod tests;
