#![allow(clippy::unwrap_used, reason = "a test may stop")]

use image::{Rgb, RgbImage};

use super::*;

fn decoded(options: &EncodeOptions, pictures: &[RgbImage]) -> Vec<(i64, RgbImage)> {
    let mut encoder = Encoder::open(options, false).unwrap();
    let mut decoder = Decoder::open().unwrap();
    let mut shown = Vec::new();
    let mut keep = |decoder: &mut Decoder, frame: ffmpeg_next::frame::Video| {
        shown.push((frame.pts().unwrap(), decoder.picture(&frame)?));
        Ok(())
    };
    for picture in pictures {
        encoder.push(picture, |packet| decoder.push(packet, &mut keep)).unwrap();
    }
    encoder.finish(|packet| decoder.push(packet, &mut keep)).unwrap();
    decoder.finish(&mut keep).unwrap();
    shown
}

#[test]
fn colours_and_times_survive_the_codec() {
    let levels = [[220, 35, 40], [30, 160, 55], [40, 70, 225], [245, 245, 245], [0, 0, 0], [250, 130, 20]];
    let pictures: Vec<RgbImage> = levels.iter().map(|&rgb| RgbImage::from_pixel(32, 48, Rgb(rgb))).collect();
    let options = EncodeOptions { width: 32, height: 48, crf: 4, ..EncodeOptions::default() };
    let shown = decoded(&options, &pictures);
    assert_eq!(shown.iter().map(|(pts, _)| *pts).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    for ((_, picture), rgb) in shown.iter().zip(levels) {
        let found = picture.get_pixel(16, 24).0;
        let worst = found.iter().zip(rgb).map(|(a, b): (&u8, u8)| a.abs_diff(b)).max().unwrap();
        assert!(worst <= 4, "{rgb:?} became {found:?}");
    }
}

#[test]
fn odd_sizes_are_refused() {
    let options = EncodeOptions { width: 33, ..EncodeOptions::default() };
    assert!(matches!(Encoder::open(&options, false), Err(MediaError::Size { width: 33, .. })));
}

#[test]
fn a_file_has_all_its_pictures_at_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let options = EncodeOptions { width: 64, height: 48, rate: (30_000, 1_001), ..EncodeOptions::default() };
    let pictures = (0..40_u8).map(|level| RgbImage::from_pixel(64, 48, Rgb([level * 6, 90, 30])));
    write_mp4(&path, &options, pictures).unwrap();
    let mut input = ffmpeg_next::format::input(&path).unwrap();
    let base = f64::from(input.stream(0).unwrap().time_base());
    let mut times: Vec<f64> = input.packets().map(|(_, packet)| packet.pts().unwrap() as f64 * base).collect();
    times.sort_by(f64::total_cmp);
    assert_eq!(times.len(), 40);
    assert!(times.iter().zip(0..).all(|(time, place)| (time - options.time(place)).abs() < 1e-4), "{times:?}");
    let length = input.duration() as f64 / f64::from(ffmpeg_next::ffi::AV_TIME_BASE);
    assert!((length - 40.0 * 1.001 / 30.0).abs() < 0.01, "{length}");
}
