//! Work on a thread of its own, under a watch: a time limit, signs of life, and a share of what there is not enough of for all
//! at once.

use super::item::Stage;
use crate::run::Cancel;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How often somebody who waits for a turn looks whether he still should.
const LOOK: Duration = Duration::from_millis(50);

/// What an item may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watch {
    /// Until it is known how much there is to do
    pub(super) limit: Duration,
    /// Without a sign of life, in stages that give some
    pub(super) stall: Duration,
    /// Between being asked to stop and being left behind
    pub(super) grace: Duration,
}

/// What items wait for.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    /// The language model, which one of them has at a time
    pub(super) model: Arc<Semaphore>,
    /// Memory beside the loaded model, in [`MEBIBYTE`]s
    pub(super) memory: Arc<Semaphore>,
}

/// The unit of memory.
pub(super) const MEBIBYTE: u64 = 1 << 20;

impl Shared {
    /// A model, and so many bytes of memory; as much as is asked for if `None`.
    pub(super) fn new(memory: Option<u64>) -> Self {
        let units = memory.map_or(Semaphore::MAX_PERMITS, |bytes| units(bytes) as usize);
        Self { model: Arc::new(Semaphore::new(1)), memory: Arc::new(Semaphore::new(units)) }
    }
}

/// Whole units, rounded up as plans are when they are told.
fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MEBIBYTE)).unwrap_or(u32::MAX)
}

/// What an item wants of it, until it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    Model,
    /// In units
    Memory(u32),
}

/// How an item ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended<T> {
    /// By itself
    Done(T),
    /// It panicked, saying this
    Panicked(String),
    /// It took too long
    TimedOut { limit: Duration, left_behind: bool },
    /// It no longer moved
    Stalled { limit: Duration, left_behind: bool },
}

/// What an item tells the one who watches it.
enum Message {
    Alive,
    Enters(Stage),
    Allow(Duration),
    Wants(Share, oneshot::Sender<()>),
}

/// An item's side of the watch.
pub(super) struct Desk {
    messages: mpsc::UnboundedSender<Message>,
    cancel: Cancel,
}

impl Desk {
    /// Set when the item has to stop.
    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// A sign of life.
    pub(super) fn alive(&self) {
        self.tell(Message::Alive);
    }

    /// A stage begins.
    pub(super) fn enter(&self, stage: Stage) {
        self.tell(Message::Enters(stage));
    }

    /// Sets the time limit, from the item's start on.
    pub(super) fn allow(&self, limit: Duration) {
        self.tell(Message::Allow(limit));
    }

    /// Waits for this item's turn at the language model, which lasts until the item ends. The wait is not counted as its
    /// time; it ends early when the item is cancelled.
    pub(super) fn turn(&self) {
        self.wait(Share::Model);
    }

    /// Waits likewise until so many bytes of memory are free. Who wants a turn too has to ask for memory first: who has the
    /// turn then never waits for one who waits for it.
    pub(super) fn room(&self, bytes: u64) {
        self.wait(Share::Memory(units(bytes)));
    }

    fn wait(&self, share: Share) {
        let (grant, granted) = oneshot::channel();
        self.tell(Message::Wants(share, grant));
        // Dropped without an answer: cancelled, and the caller will see that.
        let _ = granted.blocking_recv();
    }

    /// A watch that is gone has left this item behind, and nobody listens to it any more.
    fn tell(&self, message: Message) {
        let _ = self.messages.send(message);
    }
}

/// Runs `work` on a thread and watches it to its end. Gives the stage it was in, and how it ended.
pub(super) async fn attend<T: Send + 'static>(
    work: impl FnOnce(&Desk) -> T + Send + 'static,
    watch: Watch,
    shared: Shared,
    cancel: Cancel,
) -> (Stage, Ended<T>) {
    let (messages, mut inbox) = mpsc::unbounded_channel();
    let (finish, mut finished) = oneshot::channel();
    let desk = Desk { messages, cancel: cancel.clone() };
    let thread = std::thread::Builder::new().name("item".to_owned()).spawn(move || {
        let ended = std::panic::catch_unwind(AssertUnwindSafe(|| work(&desk)));
        // Nobody waits for an item that was left behind.
        let _ = finish.send(ended.map_err(|panic| words(&*panic)));
    });
    if let Err(error) = thread {
        return (Stage::Open, Ended::Panicked(format!("its thread could not be started: {error}")));
    }
    let mut state = State::new(watch, shared, cancel.clone());
    let too_long = loop {
        tokio::select! {
            biased;
            ended = &mut finished => {
                while let Ok(message) = inbox.try_recv() {
                    state.note(&message);
                }
                return (state.stage, match ended {
                    Ok(Ok(done)) => Ended::Done(done),
                    Ok(Err(panic)) => Ended::Panicked(panic),
                    Err(_) => Ended::Panicked("its thread ended".to_owned()),
                });
            }
            Some(message) = inbox.recv() => state.hear(message).await,
            () = sleep_until(state.start + state.limit) => break true,
            () = sleep_until(state.alive + watch.stall), if state.stage != Stage::Answer => break false,
        }
    };
    cancel.cancel();
    let left_behind = timeout(watch.grace, finished).await.is_err();
    let ended = match too_long {
        true => Ended::TimedOut { limit: state.limit, left_behind },
        false => Ended::Stalled { limit: watch.stall, left_behind },
    };
    (state.stage, ended)
}

/// What is known of an item.
struct State {
    start: Instant,
    limit: Duration,
    alive: Instant,
    stage: Stage,
    shared: Shared,
    cancel: Cancel,
    /// Held until the item ends, or is left behind
    model: Option<OwnedSemaphorePermit>,
    memory: Option<OwnedSemaphorePermit>,
}

impl State {
    fn new(watch: Watch, shared: Shared, cancel: Cancel) -> Self {
        let (now, limit, stage) = (Instant::now(), watch.limit, Stage::Open);
        Self { start: now, limit, alive: now, stage, shared, cancel, model: None, memory: None }
    }

    fn note(&mut self, message: &Message) {
        self.alive = Instant::now();
        match message {
            Message::Enters(stage) => self.stage = *stage,
            Message::Allow(limit) => self.limit = *limit,
            Message::Alive | Message::Wants(..) => {}
        }
    }

    async fn hear(&mut self, message: Message) {
        self.note(&message);
        let Message::Wants(share, grant) = message else { return };
        let (held, of, many) = match share {
            Share::Model => (&mut self.model, &self.shared.model, 1),
            Share::Memory(units) => (&mut self.memory, &self.shared.memory, units),
        };
        if held.is_none() {
            let asked = Instant::now();
            *held = tokio::select! {
                share = Arc::clone(of).acquire_many_owned(many) => share.ok(),
                () = cancelled(&self.cancel) => None,
            };
            self.start += asked.elapsed();
            self.alive = Instant::now();
        }
        // Cancelled while it waited: the grant is dropped, which wakes it up.
        if held.is_some() {
            let _ = grant.send(());
        }
    }
}

/// Waits until the flag is set.
pub(super) async fn cancelled(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        sleep(LOOK).await;
    }
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Far beyond what any of these takes.
    const NEVER: Duration = Duration::from_secs(600);
    const SOON: Duration = Duration::from_millis(50);
    const PATIENT: Watch = Watch { limit: NEVER, stall: NEVER, grace: NEVER };

    fn watched<T: Send + 'static>(watch: Watch, work: impl FnOnce(&Desk) -> T + Send + 'static) -> (Stage, Ended<T>) {
        block_on(attend(work, watch, Shared::new(None), Cancel::default()))
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    /// A decoder that hangs: reacts to being stopped, or never.
    fn hang(desk: &Desk, reacts: bool) {
        while !(reacts && desk.cancel().is_cancelled()) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn work_gives_its_result_and_its_last_stage() {
        let ended = watched(PATIENT, |desk| {
            desk.enter(Stage::Look);
            7
        });
        assert_eq!(ended, (Stage::Look, Ended::Done(7)));
    }

    #[test]
    fn a_panic_costs_one_item() {
        let (_, ended) = watched(PATIENT, |_| -> () { panic!("no such picture") });
        assert_eq!(ended, Ended::Panicked("no such picture".to_owned()));
    }

    #[test]
    fn what_no_longer_moves_is_stopped_and_left_behind_if_it_does_not_react() {
        let watch = Watch { stall: SOON, ..PATIENT };
        let ended = watched(watch, |desk| {
            desk.enter(Stage::Look);
            hang(desk, true);
        });
        assert_eq!(ended, (Stage::Look, Ended::Stalled { limit: SOON, left_behind: false }));
        let (_, ended) = watched(Watch { grace: SOON, ..watch }, |desk| hang(desk, false));
        assert_eq!(ended, Ended::Stalled { limit: SOON, left_behind: true });
    }

    #[test]
    fn signs_of_life_keep_it_going_but_not_beyond_its_limit() {
        let alive = |desk: &Desk| {
            while !desk.cancel().is_cancelled() {
                desk.alive();
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let (_, ended) = watched(Watch { stall: Duration::from_secs(5), limit: SOON, ..PATIENT }, alive);
        assert_eq!(ended, Ended::TimedOut { limit: SOON, left_behind: false });
        let (_, ended) = watched(PATIENT, move |desk| {
            desk.allow(SOON);
            alive(desk);
        });
        assert_eq!(ended, Ended::TimedOut { limit: SOON, left_behind: false });
    }

    #[test]
    fn the_model_is_silent_while_it_runs_a_prompt() {
        let (_, ended) = watched(Watch { stall: SOON * 10, ..PATIENT }, |desk| {
            desk.enter(Stage::Answer);
            std::thread::sleep(SOON * 13);
        });
        assert_eq!(ended, Ended::Done(()));
    }

    #[test]
    fn one_item_at_a_time_has_its_turn_and_waiting_is_free() {
        static INSIDE: AtomicUsize = AtomicUsize::new(0);
        let shared = Shared::new(None);
        let work = |desk: &Desk| {
            desk.turn();
            assert_eq!(INSIDE.fetch_add(1, Ordering::SeqCst), 0);
            std::thread::sleep(SOON);
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        };
        // All together they take longer than each may.
        let watch = Watch { limit: SOON * 30, ..PATIENT };
        let all = (0..40).map(|_| attend(work, watch, shared.clone(), Cancel::default()));
        block_on(async {
            let mut set = tokio::task::JoinSet::new();
            all.for_each(|item| drop(set.spawn(item)));
            while let Some(ended) = set.join_next().await {
                assert_eq!(ended.unwrap().1, Ended::Done(()));
            }
        });
    }

    #[test]
    fn the_turn_of_an_item_that_was_left_behind_goes_to_the_next() {
        let shared = Shared::new(None);
        let stuck = |desk: &Desk| {
            desk.turn();
            hang(desk, false);
        };
        let watch = Watch { limit: SOON, grace: SOON, ..PATIENT };
        let (_, ended) = block_on(attend(stuck, watch, shared.clone(), Cancel::default()));
        assert_eq!(ended, Ended::TimedOut { limit: SOON, left_behind: true });
        let (_, ended) = block_on(attend(Desk::turn, PATIENT, shared, Cancel::default()));
        assert_eq!(ended, Ended::Done(()));
    }

    #[test]
    fn who_waits_for_a_turn_can_be_cancelled() {
        let shared = Shared { model: Arc::new(Semaphore::new(0)), ..Shared::new(Some(0)) };
        let cancel = Cancel::default();
        cancel.cancel();
        let wait = |desk: &Desk| {
            desk.room(1);
            desk.turn();
        };
        let (_, ended) = block_on(attend(wait, PATIENT, shared, cancel));
        assert_eq!(ended, Ended::Done(()));
    }

    #[test]
    fn items_that_do_not_fit_beside_each_other_go_one_after_the_other() {
        static HELD: AtomicUsize = AtomicUsize::new(0);
        let shared = Shared::new(Some(10 * MEBIBYTE));
        let item = |mebibytes: usize| {
            move |desk: &Desk| {
                desk.room(mebibytes as u64 * MEBIBYTE - 7);
                assert!(HELD.fetch_add(mebibytes, Ordering::SeqCst) + mebibytes <= 10);
                desk.turn();
                std::thread::sleep(SOON / 10);
                HELD.fetch_sub(mebibytes, Ordering::SeqCst);
            }
        };
        block_on(async {
            let mut set = tokio::task::JoinSet::new();
            for mebibytes in [10, 3, 7, 1, 9, 4, 4, 4, 10, 2] {
                set.spawn(attend(item(mebibytes), PATIENT, shared.clone(), Cancel::default()));
            }
            while let Some(ended) = set.join_next().await {
                assert_eq!(ended.unwrap().1, Ended::Done(()));
            }
        });
    }
}
