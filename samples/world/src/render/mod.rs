//! Script and time -> picture, at any size.
//!
//! What does not change within a scene (a still background, a plate with its letters) is drawn once; objects are drawn by
//! signed distance inside their bounding boxes. Only IEEE additions, products, quotients and square roots are used, so a picture
//! is the same on every platform.

mod background;
mod font;
mod shape;
mod sign;
mod strokes;
mod style;

use std::cell::OnceCell;

use image::RgbImage;

use crate::script::{Entrance, FLASH, Object, Post, Scene, Script};

use background::View;
pub use font::print;
use sign::Patch;
pub use style::{Hand, Style};

/// Draws the pictures of one script at one size.
pub struct Renderer<'a> {
    script: &'a Script,
    size: Size,
    style: Style,
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

/// What a scene always shows, where that does not change.
struct Stage {
    background: Option<RgbImage>,
    sign: Option<Patch>,
}

impl<'a> Renderer<'a> {
    /// A renderer of `script` at `width` x `height` pixels, in the default style.
    pub fn new(script: &'a Script, width: u32, height: u32) -> Self {
        Self::styled(script, width, height, Style::default())
    }

    /// A renderer that draws in `style`.
    pub fn styled(script: &'a Script, width: u32, height: u32, style: Style) -> Self {
        let stages = script.scenes.iter().map(|_| OnceCell::new()).collect();
        Self { script, size: Size { width, height }, style, stages }
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
        let stage = self.stages[place].get_or_init(|| Stage::new(scene, self.size, &self.style));
        let mut picture = match (&stage.background, &scene.camera) {
            (Some(still), _) => still.clone(),
            (None, camera) => {
                let share = (time - scene.span[0]) / (scene.span[1] - scene.span[0]);
                let view = camera.as_ref().map_or(View::STILL, |camera| View::of(camera, share));
                background::draw(&scene.background, self.size, view)
            }
        };
        for object in scene.objects.iter().filter(|object| visible(object.span, time)) {
            draw(&mut picture, object, time, self.size, &self.style);
        }
        if let Some(post) = &scene.post {
            stand(&mut picture, post, self.size);
        }
        if let Some(sign) = scene.sign.as_ref().filter(|sign| visible(sign.span, time)) {
            match &stage.sign {
                Some(patch) => patch.draw(&mut picture),
                None => Patch::new(sign, &sign.text_at(time), self.size, &self.style).draw(&mut picture),
            }
        }
        if scene.flash.is_some_and(|at| visible([at, at + FLASH], time)) {
            picture.as_mut().iter_mut().for_each(|level| *level = mix(*level, 255, WHITENESS));
        }
        if scene.grain > 0 {
            grain(&mut picture, scene.grain, (time * 1000.0) as u32);
        }
        if self.style.light != 1.0 {
            picture.as_mut().iter_mut().for_each(|level| *level = (f32::from(*level) * self.style.light) as u8);
        }
        picture
    }
}

/// How near to white a flash comes.
const WHITENESS: f32 = 0.92;

impl Stage {
    fn new(scene: &Scene, size: Size, style: &Style) -> Self {
        let still = scene.camera.is_none();
        let text = scene.sign.as_ref().filter(|sign| !sign.counts);
        Self {
            background: still.then(|| background::draw(&scene.background, size, View::STILL)),
            sign: text.map(|sign| Patch::new(sign, &sign.text, size, style)),
        }
    }
}

fn visible([start, end]: [f64; 2], time: f64) -> bool {
    start <= time && time < end
}

fn draw(picture: &mut RgbImage, object: &Object, time: f64, size: Size, style: &Style) {
    let radius = object.diameter(time) as f32 * size.short() / 2.0 * style.size;
    let [x, y] = object.centre(time);
    let (x, y) = (x as f32 * size.width as f32, y as f32 * size.height as f32);
    let rgb = object.rgb_at(time);
    let (line, brightness) = style.line;
    let reach = radius * shape::REACH + style.edge;
    let columns = pixels(x - reach, x + reach, size.width);
    let width = size.width as usize * 3;
    for row in pixels(y - reach, y + reach, size.height) {
        let pixels = &mut picture.as_mut()[row * width..(row + 1) * width];
        let v = (row as f32 + 0.5 - y) / radius;
        for column in columns.clone() {
            let u = (column as f32 + 0.5 - x) / radius;
            let inside = -shape::distance(object.shape, style.build, u, v);
            let cover = |depth: f32| (0.5 + depth * radius / style.edge).clamp(0.0, 1.0);
            let pixel = &mut pixels[column * 3..column * 3 + 3];
            if cover(inside) > 0.0 {
                if line > 0.0 {
                    blend(pixel, [brightness; 3], cover(inside));
                }
                blend(pixel, rgb, cover(inside - line));
            }
        }
    }
}

/// Draws a post over the whole height.
fn stand(picture: &mut RgbImage, post: &Post, size: Size) {
    let (middle, half) = (post.x as f32 * size.width as f32, post.width as f32 * size.short() / 2.0);
    for column in pixels(middle - half, middle + half, size.width) {
        let cover = (half - (column as f32 + 0.5 - middle).abs() + 0.5).clamp(0.0, 1.0);
        for row in 0..size.height {
            blend(&mut picture.get_pixel_mut(column as u32, row).0, post.rgb, cover);
        }
    }
}

/// Changes the brightness of every pixel by up to `most` levels, differently in every picture.
fn grain(picture: &mut RgbImage, most: u8, number: u32) {
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let change = (background::lattice(x, y, number) * 2.0 - 1.0) * f32::from(most);
        pixel.0 = pixel.0.map(|level| (f32::from(level) + change).clamp(0.0, 255.0) as u8);
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
