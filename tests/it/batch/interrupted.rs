//! Batches that are killed, stopped, crowded out or torn, and what is left of them.

use super::*;

/// Waits for something that a process does while it runs.
fn until(child: &mut Child, mut happened: impl FnMut() -> bool) {
    while !happened() {
        assert_eq!(child.try_wait().unwrap(), None, "it has ended");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A batch that waits for a file to settle, longer than any test takes.
fn waiting(batch: &Batch) -> Child {
    batch.clip("fresh.mp4", 50);
    let fresh = std::fs::File::options().write(true).open(batch.videos().join("fresh.mp4")).unwrap();
    fresh.set_modified(SystemTime::now()).unwrap();
    let mut child = batch.start(&["--settle", "3600"]);
    let marker = batch.out().join(".longsight-batch");
    until(&mut child, || std::fs::read_to_string(&marker).is_ok_and(|text| text.contains("pid")));
    child
}

#[test]
fn two_batches_do_not_write_to_one_folder() {
    let batch = Batch::of(&["a.mp4"], TWO);
    let mut first = waiting(&batch);
    let second = batch.run(&[]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(second.code, Some(2));
    assert!(second.stderr.contains(&format!("process {}", first.id())), "{}", second.stderr);
    batch.ends(0, &["--settle", "0"]);
}

#[test]
fn a_batch_that_is_asked_to_stop_does_so_and_goes_on_next_time() {
    for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        let batch = Batch::of(&["a.mp4"], TWO);
        let mut child = waiting(&batch);
        // Until the model is loaded and the first video is done.
        until(&mut child, || batch.out().join("videos/a.mp4.jsonl").exists());
        // SAFETY: a signal to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, signal) }, 0);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(batch.answers().len(), 2);
        let rest = batch.ends(0, &["--settle", "0"]);
        assert_eq!((&rest["answers"], &rest["answers_before"]), (&2.into(), &2.into()));
    }
}

#[test]
fn a_file_that_grows_is_left_for_later() {
    let batch = Batch::of(&["done.mp4"], TWO);
    let growing = batch.clip("growing.mp4", 51);
    let whole = std::fs::read(&growing).unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        let mut length = 0;
        while stopped.recv_timeout(Duration::from_millis(20)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            length = (length + 1).min(whole.len() - 1);
            std::fs::write(&growing, &whole[..length]).unwrap();
        }
        std::fs::write(&growing, &whole).unwrap();
        age(&growing);
    });
    std::thread::sleep(Duration::from_millis(100));
    let summary = batch.ends(0, &["--settle", "3"]);
    drop(stop);
    writer.join().unwrap();
    assert_eq!((&summary["done"], &summary["skipped"], &summary["failed"]), (&1.into(), &1.into(), &0.into()));
    assert_eq!(batch.ends(0, &[])["done"], 2);
}

#[test]
fn a_torn_line_is_repaired_and_its_answer_given_again() {
    let batch = Batch::of(&["a.mp4", "b.mp4"], TWO);
    batch.ends(0, &[]);
    let (path, whole) = (batch.out().join("answers.jsonl"), batch.answers());
    let bytes = std::fs::read(&path).unwrap();
    for cut in [1, 2, bytes.len() / 4] {
        std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
        assert!(batch.ends(0, &[])["answers"].as_u64() >= Some(1));
        assert_eq!(batch.answers(), whole);
    }
}

/// Kills a batch at `kills` moments within `longest` of its starts, and starts it again; where it comes to its end, what it left
/// is compared with what an uninterrupted run leaves, and it begins anew.
fn kill(batch: &Batch, kills: usize, longest: Duration) {
    batch.file("empty.mp4", b"");
    batch.ends(4, &[]);
    let whole = (batch.answers(), batch.tree());
    let anew = || std::fs::remove_dir_all(batch.out()).unwrap();
    anew();
    let mut seed = 88_172_645_463_325_252_u64;
    let (mut killed, mut ended) = (0, 0);
    while killed < kills {
        let mut child = batch.start(&[]);
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(longest.mul_f64((seed % 4096) as f64 / 4096.0));
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(4));
            assert_eq!(whole, (batch.answers(), batch.tree()), "after {killed} kills");
            ended += 1;
            anew();
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        // What stands there is true at any moment.
        let torn = |path: &Path| std::fs::read(path).is_ok_and(|bytes| bytes.last().is_some_and(|&last| last != b'\n'));
        if !torn(&batch.out().join("answers.jsonl")) {
            assert!(batch.answers().is_subset(&whole.0), "after {killed} kills");
        }
    }
    batch.ends(4, &[]);
    assert_eq!(whole, (batch.answers(), batch.tree()), "nothing temporary is left, no line lost or doubled");
    println!("{killed} kills, {} batches whole", ended + 1);
}

#[test]
fn killed_at_any_moment_it_goes_on_to_the_same_answers() {
    kill(&Batch::of(&["a.mp4", "b/c.mp4", "b/d.mp4", "e.mp4", "f.mp4"], TWO), 8, Duration::from_millis(900));
}

#[test]
#[ignore = "takes minutes: cargo test --release -p longsight --test it two_hundred -- --ignored --nocapture"]
fn killed_two_hundred_times_fifty_videos_are_answered_as_if_nothing_had_happened() {
    let names: Vec<String> = (0..50).map(|number| format!("{}/{number}.mp4", number % 7)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    kill(&Batch::of(&names, TWO), 200, Duration::from_secs(6));
}

#[test]
fn no_room_stops_it_and_what_is_written_is_whole() {
    let batch = Batch::of(&["a.mp4", "b.mp4", "c.mp4", "d.mp4"], TWO);
    let limited = |blocks: u32| {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut command = Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_longsight")]).args(batch.arguments(&["--jobs", "1"]));
        command.stdin(Stdio::null()).output().unwrap()
    };
    // In KiB; two answers take more than two and less than eight, four of four videos more.
    let full = limited(8);
    let error = String::from_utf8_lossy(&full.stderr).into_owned();
    assert_eq!(full.status.code(), Some(6), "{error}");
    let kept = batch.answers();
    assert!(kept.len() < 8, "the limit was reached: {error}");
    batch.ends(0, &[]);
    assert_eq!(batch.answers().len(), 8);
    assert!(kept.is_subset(&batch.answers()));
}
