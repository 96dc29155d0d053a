//! The threads that builds work on. They stand back behind those that answer people: with as many builds at work as there is room for, a page is
//! still there at once. It must not know what is done on them.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};

/// Niceness of the threads. They get a third of what an answering thread gets while both want a core, and all of it otherwise.
const NICE: i32 = 5;
/// How long what runs there may take to its next wait.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Workshop {
    handle: Handle,
    /// Taken when it closes.
    runtime: Mutex<Option<Runtime>>,
}

impl Workshop {
    pub fn open() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().enable_all().thread_name("grace-build").on_thread_start(stand_back).build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Mutex::new(Some(runtime)) })
    }

    /// Does something that must know which threads it belongs to.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.handle.enter();
        work()
    }

    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn(work)
    }

    /// What still runs ends at its next wait.
    pub fn close(&self) {
        if let Some(runtime) = self.take() {
            runtime.shutdown_background();
        }
    }

    fn take(&self) -> Option<Runtime> {
        self.runtime.lock().expect("no holder of the lock panics").take()
    }
}

impl Drop for Workshop {
    /// A runtime may not be dropped by a task.
    fn drop(&mut self) {
        self.close();
    }
}

/// Closes a workshop when it is dropped, and waits until nothing runs there any more. Tasks of the workshop keep what they work with, so nothing else
/// would end it.
pub(crate) struct EndsWith(pub Arc<Workshop>);

impl Drop for EndsWith {
    fn drop(&mut self) {
        let Some(runtime) = self.0.take() else { return };
        // From a thread of its own: a runtime may not wait where tasks run.
        let waiting = std::thread::spawn(move || runtime.shutdown_timeout(PATIENCE));
        if waiting.join().is_err() {
            tracing::warn!("the threads of the builds did not end");
        }
    }
}

fn stand_back() {
    // Of this thread alone: Linux has a niceness for each.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread of the builds does not stand back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_is_dropped_ends_the_workshop_that_was_opened_in_it() {
        let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
        let workshop = Arc::new(Workshop::open().unwrap());
        let still_there = Arc::new(());
        let (held, of_a_task) = (EndsWith(workshop.clone()), (still_there.clone(), workshop.clone()));
        // As builds do, it keeps what it works with.
        drop(workshop.spawn(async move {
            let _kept = of_a_task;
            std::future::pending::<()>().await;
        }));
        runtime.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(runtime);
        assert_eq!(Arc::strong_count(&still_there), 1, "the task is gone with what it kept");
    }

    /// Niceness of the thread that asks.
    fn niceness() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // Field 19, counted from the state (3), which follows the name in parentheses.
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn builds_work_on_threads_that_stand_back_and_nobody_else_does() {
        let before = niceness();
        let workshop = Workshop::open().unwrap();
        assert_eq!(workshop.spawn(async { niceness() }).await.unwrap(), NICE);
        let blocking = workshop.spawn(async { tokio::task::spawn_blocking(niceness).await.unwrap() });
        assert_eq!(blocking.await.unwrap(), NICE);
        assert_eq!(niceness(), before);
        workshop.close();
    }
}
