use super::*;

fn scripts() -> impl Iterator<Item = Script> {
    let lengths = [(1.0, 2.0), (3.0, 8.0), (10.0, 60.0)];
    (0..600).map(move |seed| {
        let (shortest, longest) = lengths[seed % 3];
        Script::write(Split::HeldOut, seed as u64, &Wishes { shortest, longest })
    })
}

#[test]
fn scenes_fill_the_clip_and_spans_lie_in_their_scene_on_the_grid() {
    for script in scripts() {
        assert_eq!(script.scenes[0].span[0], 0.0);
        assert_eq!(script.scenes.last().expect("a scene").span[1], script.duration);
        for pair in script.scenes.windows(2) {
            assert_eq!(pair[0].span[1], pair[1].span[0]);
        }
        for scene in &script.scenes {
            assert!(scene.span[1] - scene.span[0] >= script.duration.min(3.0));
            assert!(scene.flash.is_none_or(|at| scene.span[0] < at && at + FLASH < scene.span[1]), "{scene:?}");
            let spans = scene.objects.iter().map(|object| object.span).chain(scene.sign.iter().map(|sign| sign.span));
            for span in spans {
                assert!(span[0] >= scene.span[0] && span[1] <= scene.span[1], "{span:?} in {:?}", scene.span);
                assert!(span[1] - span[0] >= script.duration.min(2.0));
                assert!(span.iter().all(|time| (time / GRID).fract() == 0.0));
            }
        }
        assert!(!script.sightings().is_empty() || !script.signs().is_empty());
    }
}

#[test]
fn a_pair_is_seen_at_most_twice_with_a_pause_between() {
    for script in scripts() {
        for pair in Pair::all() {
            let spans: Vec<Span> =
                script.sightings().iter().filter(|seen| seen.pair == pair).map(|seen| seen.span).collect();
            assert!(spans.len() <= 2, "{pair:?} {spans:?}");
            assert!(spans.windows(2).all(|two| two[0][1] < two[1][0]), "{pair:?} {spans:?}");
        }
        let signs = script.signs();
        assert!(signs.iter().enumerate().all(|(place, sign)| signs[..place].iter().all(|one| one.text != sign.text)));
    }
}

#[test]
fn the_way_agrees_with_the_motion() {
    for object in scripts().flat_map(|script| script.scenes).flat_map(|scene| scene.objects) {
        let [x, y] = [object.to[0] - object.from[0], object.to[1] - object.from[1]];
        let goes = |far: f64, way: f64| if way == 0.0 { far == 0.0 } else { far * way > 0.2 };
        let [along, down] = object.motion.way();
        assert!(goes(x, along) && goes(y, down), "{object:?}");
        let growth = object.diameters[1] / object.diameters[0];
        let expected = match object.motion {
            Motion::Grows => growth > 1.5,
            Motion::Shrinks => growth < 1.0 / 1.5,
            _ => growth == 1.0,
        };
        assert!(expected, "{object:?}");
    }
}

#[test]
fn needles_are_alone_in_their_haystack_and_at_their_depth() {
    for (seed, depth) in [0.0, 0.25, 0.5, 1.0].into_iter().enumerate() {
        let haystack = Haystack::write(Split::HeldOut, seed as u64, 300.0, depth);
        let Haystack { script, sign, shaped, coloured } = &haystack;
        let mut spans = [sign.1, shaped.1, coloured.1];
        spans.sort_by(|a, b| a[0].total_cmp(&b[0]));
        assert_eq!(spans[0][0], ((300.0 - 3.0 * NEEDLE_S) * depth / GRID).round() * GRID);
        assert!(spans.windows(2).all(|two| two[0][1] == two[1][0]), "{spans:?}");
        assert_eq!(script.scenes.last().expect("a scene").span[1], 300.0);
        assert!(script.scenes.windows(2).all(|two| two[0].span[1] == two[1].span[0]));
        let signs: Vec<(String, Span)> = script.signs().iter().map(|sign| (sign.text.clone(), sign.span)).collect();
        assert_eq!(signs, std::slice::from_ref(sign));
        let seen = script.sightings();
        let shapes: Vec<Span> =
            seen.iter().filter(|seen| seen.pair.shape == shaped.0.shape).map(|seen| seen.span).collect();
        let colours: Vec<Span> =
            seen.iter().filter(|seen| seen.pair.colour == coloured.0.colour).map(|seen| seen.span).collect();
        assert_eq!((shapes, colours), (vec![shaped.1], vec![coloured.1]));
        assert!(seen.len() > 10, "{}", seen.len());
    }
}

#[test]
fn the_script_survives_json() {
    let script = Script::write(Split::Train, 3, &Wishes::default());
    let text = serde_json::to_string(&script).expect("a script is JSON");
    assert_eq!(serde_json::from_str::<Script>(&text).expect("the same script"), script);
}

#[test]
fn a_board_has_a_sign_and_numbers_are_common() {
    let boards: Vec<Script> = (0..300).map(|seed| Script::board(Split::HeldOut, seed)).collect();
    assert!(boards.iter().all(|board| board.scenes.len() == 1 && board.scenes[0].sign.is_some()));
    let texts: std::collections::BTreeSet<&str> = boards
        .iter()
        .flat_map(|board| &board.scenes)
        .flat_map(|scene| &scene.sign)
        .map(|sign| sign.text.as_str())
        .collect();
    let numbers = texts.iter().filter(|text| text.len() == 2 && text.chars().all(|letter| letter.is_ascii_digit()));
    assert!(numbers.count() > 60, "{texts:?}");
}
