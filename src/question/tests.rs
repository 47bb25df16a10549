use super::*;
use longsight_models::Span;
use longsight_world::dice::Split;
use longsight_world::questions;
use longsight_world::script::{Script, Wishes};

fn check(question: &str, content: &str, constraints: &[Constraint]) {
    let reading = read(question);
    assert_eq!((reading.content.as_str(), reading.constraints.as_slice()), (content, constraints), "{question}");
}

fn event(relation: Relation, edge: Edge, words: &str, when: &str) -> Constraint {
    Constraint::Event(Event { relation, edge, words: words.into(), when: when.into() })
}

#[test]
fn stretches_of_the_clock_are_taken_out() {
    use Clock::{After, Around, At, Before, Between, First, Last, Part};
    for (question, content, clock) in [
        ("Who speaks after 1:30?", "Who speaks?", After(90.0)),
        ("Who speaks after 1234:56?", "Who speaks?", After(74_096.0)),
        ("Who speaks after 1000:00:01?", "Who speaks?", After(3_600_001.0)),
        ("Who speaks after 12012.5 seconds?", "Who speaks?", After(12_012.5)),
        ("After 1:30, who speaks?", "Who speaks?", After(90.0)),
        ("Who speaks from 0:01:30.5 on?", "Who speaks?", After(90.5)),
        ("What does she say after 1:30 about the budget?", "What does she say about the budget?", After(90.0)),
        ("When does the red star appear before 40 seconds?", "When does the red star appear?", Before(40.0)),
        ("Who leaves until minute 5?", "Who leaves?", Before(300.0)),
        ("Who leaves before the 5 minute mark?", "Who leaves?", Before(300.0)),
        ("What is cooked between 10:00 and 12:00?", "What is cooked?", Between(600.0, 720.0)),
        ("Between 5 and 10 minutes, what is cooked?", "What is cooked?", Between(300.0, 600.0)),
        ("What is cooked from 30 s to 1:00?", "What is cooked?", Between(30.0, 60.0)),
        ("What happens in the last ten minutes?", "What happens?", Last(600.0)),
        ("What happens in the last 10 minutes of the video?", "What happens?", Last(600.0)),
        ("In the first minute, what is shown?", "What is shown?", First(60.0)),
        ("What is shown within the first half an hour?", "What is shown?", First(1800.0)),
        ("What is shown during the first 90 seconds?", "What is shown?", First(90.0)),
        ("Who appears in the second half of the film?", "Who appears?", Part(0.5, 1.0)),
        ("Who appears in the last third?", "Who appears?", Part(2.0 / 3.0, 1.0)),
        ("What is on the slide at 1:02:03?", "What is on the slide?", At(3723.0)),
        ("What is on the slide around 1:02:03?", "What is on the slide?", Around(3723.0)),
        ("Who speaks at about 2:00?", "Who speaks?", Around(120.0)),
        ("Who speaks after the first 2 minutes?", "Who speaks?", After(120.0)),
    ] {
        check(question, content, &[Constraint::Clock(clock)]);
    }
    check(
        "Who speaks after 1:30 before 2:00?",
        "Who speaks?",
        &[Constraint::Clock(After(90.0)), Constraint::Clock(Before(120.0))],
    );
}

#[test]
fn stretches_that_an_event_bounds_are_taken_out() {
    let star = "When is the red star visible?";
    for (question, content, constraint) in [
        (
            "When does the blue ring appear after the red star appears?",
            "When does the blue ring appear?",
            event(Relation::After, Edge::Start, "after the red star appears", star),
        ),
        (
            "After the red star disappears, when can the blue ring be seen?",
            "When can the blue ring be seen?",
            event(Relation::After, Edge::End, "After the red star disappears", star),
        ),
        (
            "Who speaks before the goal?",
            "Who speaks?",
            event(Relation::Before, Edge::Start, "before the goal", "When is the goal visible?"),
        ),
        (
            "When does the dog bark after the red star?",
            "When does the dog bark?",
            event(Relation::After, Edge::End, "after the red star", star),
        ),
        (
            "When is the blue ring visible until the red star is no longer visible?",
            "When is the blue ring visible?",
            event(Relation::Before, Edge::End, "until the red star is no longer visible", star),
        ),
        (
            "What does the sign say while the red star is visible?",
            "What does the sign say?",
            event(Relation::During, Edge::Start, "while the red star is visible", star),
        ),
        (
            "While the red star is on screen, who speaks?",
            "Who speaks?",
            event(Relation::During, Edge::Start, "While the red star is on screen", star),
        ),
    ] {
        check(question, content, &[constraint]);
    }
}

#[test]
fn one_of_several_times_is_taken_out() {
    let star = "When is the red star visible?";
    for (question, content, ordinal) in [
        ("When is the red star visible the second time?", star, Ordinal::Nth(2)),
        ("When is the red star visible for the 3rd time?", star, Ordinal::Nth(3)),
        ("When is the second time that the red star appears?", star, Ordinal::Nth(2)),
        ("When was the last time the red star was visible?", "", Ordinal::Last),
        ("When does the red star appear for the last time?", "When does the red star appear?", Ordinal::Last),
        ("When does the red star first appear?", "When does the red star appear?", Ordinal::Nth(1)),
        ("When is the red star last seen?", "When is the red star seen?", Ordinal::Last),
    ] {
        if content.is_empty() {
            // "was visible" is not among the wordings; it stays as it is.
            check(question, question, &[]);
        } else {
            check(question, content, &[Constraint::Ordinal(ordinal)]);
        }
    }
}

#[test]
fn conditions_of_several_kinds_go_together() {
    check(
        "When is the red star visible the second time after 1:30?",
        "When is the red star visible?",
        &[Constraint::Clock(Clock::After(90.0)), Constraint::Ordinal(Ordinal::Nth(2))],
    );
    check(
        "When does the dog bark the last time before the red star appears?",
        "When does the dog bark?",
        &[
            event(Relation::Before, Edge::Start, "before the red star appears", "When is the red star visible?"),
            Constraint::Ordinal(Ordinal::Last),
        ],
    );
}

#[test]
fn what_is_not_understood_stays_word_for_word() {
    for question in [
        "Does the star appear before or after 1:30?",
        "Does the red star appear before or after the blue ring?",
        "Is the red star first seen before or after the blue ring?",
        "How long after 1:30 does the star appear?",
        "How many seconds before the goal does he fall?",
        "What appears after the red star?",
        "What appears next after the red star?",
        "Which object comes after the red star?",
        "What happens after the red star appears?",
        "Which comes first, the star or the ring?",
        "What happens after 5 minutes of play?",
        "Do they meet at 10:30 pm?",
        "Which of these appears first?",
        "What does the second sign say?",
        "What does the last sign say?",
        "What does the counter show at first?",
        "Who wins the second time?",
        "Before or after?",
        "After 1:30?",
        "Who looks after the children every day of the week?",
        "What is the   first word?",
        "When is the 0th time the star appears?",
        "",
        "?",
    ] {
        check(question, question, &[]);
    }
}

#[test]
fn the_worlds_own_questions_stay_but_for_what_lies_within_something() {
    for seed in 0..400 {
        let script = Script::write(Split::HeldOut, seed, &Wishes::default());
        for question in questions::ask(&script, 1000) {
            let reading = read(&question.text);
            if let Some((before, _)) = question.text.split_once(" while the ") {
                let during =
                    |one: &Constraint| matches!(one, Constraint::Event(event) if event.relation == Relation::During);
                assert!(reading.constraints.iter().all(during) && reading.constraints.len() == 1, "{reading:?}");
                assert_eq!(reading.content, format!("{before}?"));
                continue;
            }
            assert_eq!((reading.content, reading.constraints), (question.text, Vec::new()));
        }
    }
}

#[test]
fn stretches_stay_inside_the_video_or_are_none() {
    let video = Span { start: 10.0, end: 110.0 };
    for (clock, expected) in [
        (Clock::After(60.0), Some((60.0, 110.0))),
        (Clock::After(110.0), None),
        (Clock::Before(5.0), None),
        (Clock::Before(500.0), Some((10.0, 110.0))),
        (Clock::Between(30.0, 20.0), Some((20.0, 30.0))),
        (Clock::At(12.0), Some((11.0, 13.0))),
        (Clock::Around(12.0), Some((10.0, 17.0))),
        (Clock::At(200.0), None),
        (Clock::First(60.0), Some((10.0, 70.0))),
        (Clock::Last(60.0), Some((50.0, 110.0))),
        (Clock::Part(0.5, 1.0), Some((60.0, 110.0))),
    ] {
        assert_eq!(clock.stretch(video).map(|span| (span.start, span.end)), expected, "{clock}");
    }
    let endless = Span { start: 0.0, end: f64::INFINITY };
    assert_eq!(Clock::Last(60.0).stretch(endless), None);
    assert_eq!(Clock::After(60.0).stretch(endless).map(|span| span.start), Some(60.0));
}

#[test]
fn an_event_bounds_a_stretch_on_the_side_that_was_meant() {
    let (video, at) = (Span { start: 0.0, end: 100.0 }, Span { start: 20.0, end: 30.0 });
    let stretch = |relation, edge| {
        let event = Event { relation, edge, words: String::new(), when: String::new() };
        event.stretch(at, video).map(|span| (span.start, span.end))
    };
    assert_eq!(stretch(Relation::After, Edge::Start), Some((20.0, 100.0)));
    assert_eq!(stretch(Relation::After, Edge::End), Some((30.0, 100.0)));
    assert_eq!(stretch(Relation::Before, Edge::Start), Some((0.0, 20.0)));
    assert_eq!(stretch(Relation::Before, Edge::End), Some((0.0, 30.0)));
    assert_eq!(stretch(Relation::During, Edge::Start), Some((20.0, 30.0)));
}

#[test]
fn a_question_for_a_time_implies_one_for_yes_or_no() {
    for (question, expected) in [
        ("When does the red star appear?", Some("Can a red star be seen in the video?")),
        ("From when to when is the orange ring visible?", Some("Can an orange ring be seen in the video?")),
        ("When is the sign EXIT visible?", Some("Can a sign that says EXIT be seen in the video?")),
        ("When can the dogs be seen?", Some("Can the dogs be seen in the video?")),
        ("When is her dog shown in the video?", Some("Can her dog be seen in the video?")),
        ("When does the dog jump into the water?", Some("Does the dog jump into the water in the video?")),
        ("At what time is the door opened?", Some("Is the door opened in the video?")),
        ("When?", None),
        ("What colour is the star?", None),
    ] {
        assert_eq!(existence(question).as_deref(), expected, "{question}");
    }
    assert_eq!(thing("Is there a red star in the video?"), Some("a red star"));
    assert_eq!(noun_when("a red star"), "When is the red star visible?");
    assert_eq!(noun_when("her dog"), "When is her dog visible?");
    assert_eq!(noun_when("red star"), "When is the red star visible?");
    assert!(says_yes("Yes, it is.") && says_no("No.") && !says_no("Not at all") && !says_yes("Yesterday"));
}

#[test]
fn whatever_is_looked_for_becomes_a_question_for_a_time() {
    for (query, expected) in [
        ("a red star", "When is the red star visible?"),
        ("red star", "When is the red star visible?"),
        ("the red star appears", "When is the red star visible?"),
        ("Is there a red star in the video?", "When is the red star visible?"),
        ("When does the red star appear?", "When does the red star appear?"),
        ("the sign says EXIT", "When is the sign EXIT visible?"),
        ("a sign that reads \"EXIT\".", "When is the sign EXIT visible?"),
        ("her dog", "When is her dog visible?"),
    ] {
        assert_eq!(when(query), expected, "{query}");
    }
}

#[test]
fn ordinals_pick_by_place() {
    assert_eq!(Ordinal::Nth(2).pick(&[1, 2, 3]), Some(&2));
    assert_eq!(Ordinal::Last.pick(&[1, 2, 3]), Some(&3));
    assert_eq!(Ordinal::Nth(4).pick(&[1, 2, 3]), None);
    assert_eq!(Ordinal::Nth(0).pick(&[1]), None);
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_typed_makes_it_panic(text in "(?s).{0,80}") {
        let reading = read(&text);
        let _ = (existence(&reading.content), thing(&text), noun_when(&text));
    }

    #[test]
    fn what_is_left_is_never_longer(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "when", "after", "before", "the", "star", "1:30", "in", "last", "ten", "minutes", "second", "time", "is",
                "visible", "between", "and", ",", "?", "while", "first", "half", "appears",
            ]),
            0..16,
        )
    ) {
        let text = words.join(" ");
        let reading = read(&text);
        proptest::prop_assert!(reading.constraints.is_empty() || reading.content.len() <= text.len() + 12);
    }
}

#[test]
fn what_is_read_can_be_asked_for_by_itself() {
    for (question, expected) in [
        ("When is the sign EXIT visible?", Some(("What does the sign say?", "EXIT"))),
        ("When can a poster that says Open Day be seen?", Some(("What does the poster say?", "Open Day"))),
        ("Is there a sign that says 61 in the video?", Some(("What does the sign say?", "61"))),
        ("When is the red star visible?", None),
        ("What does the sign say?", None),
    ] {
        let expected = expected.map(|(question, says)| (question.to_owned(), says.to_owned()));
        assert_eq!(reading(question), expected, "{question}");
    }
    assert!(mistakable("61", "69") && mistakable("61", "16") && mistakable("EXIT", "EXIS"));
    assert!(!mistakable("61", "61") && !mistakable("61", "611") && !mistakable("EXIT", "OPEN"));
}
