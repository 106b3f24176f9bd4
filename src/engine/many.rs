//! The same blocking request to several containers at once: stopping ten takes as long as the slowest one.

use std::sync::mpsc;

use super::select::Done;

/// Runs `work` on each item in threads of its own, at most `LIMIT` at a time, and reports each outcome as it comes. One item needs
/// no thread.
pub(super) fn each<I: Send, T: Send>(
    items: Vec<(String, I)>,
    work: impl Fn(I) -> Result<T, super::error::Error> + Sync,
    report: &mut dyn FnMut(Done<T>),
) {
    const LIMIT: usize = 64;
    if items.len() == 1 {
        for (given, item) in items {
            report(Done { given, result: work(item) });
        }
        return;
    }
    let queue = std::sync::Mutex::new(items.into_iter());
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        let workers = queue.lock().map_or(0, |q| q.len()).min(LIMIT);
        for _ in 0..workers {
            let sender = sender.clone();
            let (queue, work) = (&queue, &work);
            scope.spawn(move || {
                loop {
                    // A poisoned queue means that another worker panicked; the scope will pass that on.
                    let Some((given, item)) = queue.lock().ok().and_then(|mut q| q.next()) else { return };
                    if sender.send(Done { given, result: work(item) }).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for done in receiver {
            report(done);
        }
    });
}
