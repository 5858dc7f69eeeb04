//! What the host offers, where a browser has none of it or something else: the clock, threads, free memory.

use futures_intrusive::channel::shared::{OneshotReceiver, OneshotSender, oneshot_channel};

#[cfg(not(target_arch = "wasm32"))]
pub use std::time::Instant;
#[cfg(target_arch = "wasm32")]
pub use web_time::Instant;

/// A value that comes later, and the way to send it.
pub fn later<T: Send>() -> (OneshotSender<T>, Later<T>) {
    let (sender, receiver) = oneshot_channel();
    (sender, Later(receiver))
}

/// A value that comes later.
pub struct Later<T: 'static>(OneshotReceiver<T>);

impl<T> Later<T> {
    /// The value. `None` if it never comes, because the sender is gone.
    pub async fn get(self) -> Option<T> {
        self.0.receive().await
    }
}

/// How many threads can compute at once.
#[cfg(not(target_arch = "wasm32"))]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The bytes of memory that the system can still give to programs. `None` where that is not known.
pub fn free_memory() -> Option<u64> {
    #[cfg(not(target_arch = "wasm32"))]
    {
        let mut system = sysinfo::System::new().ok()?;
        system.refresh_memory();
        Some(system.available_memory()).filter(|&bytes| bytes > 0)
    }
    #[cfg(target_arch = "wasm32")]
    None
}

/// Runs a function on each item and waits for all. On all cores, where there are threads.
///
/// # Panics
/// If the function does.
pub fn on_all_cores<T: Send>(items: impl ExactSizeIterator<Item = T> + Send, run: impl Fn(T) + Sync) {
    #[cfg(not(target_arch = "wasm32"))]
    {
        let threads = cores().min(items.len().max(1));
        let items = std::sync::Mutex::new(items);
        let worker = || {
            loop {
                let next = items.lock().expect("no worker panics while it takes an item").next();
                let Some(item) = next else { return };
                run(item);
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
            for worker in workers {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
        });
    }
    #[cfg(target_arch = "wasm32")]
    items.for_each(run);
}

/// A thread that does one job after the other. Without threads, a job is done when it is given.
pub struct Worker<Job> {
    #[cfg(not(target_arch = "wasm32"))]
    jobs: std::sync::mpsc::Sender<Job>,
    #[cfg(target_arch = "wasm32")]
    run: Box<dyn Fn(Job)>,
}

impl<Job: Send + 'static> Worker<Job> {
    /// Starts it. The thread ends after its last job, once the worker is dropped.
    ///
    /// # Panics
    /// If the system has no thread left.
    pub fn start(name: &str, run: impl Fn(Job) + Send + 'static) -> Worker<Job> {
        #[cfg(not(target_arch = "wasm32"))]
        {
            let (jobs, given) = std::sync::mpsc::channel();
            let work = move || given.into_iter().for_each(run);
            std::thread::Builder::new().name(name.into()).spawn(work).expect("the system has a thread left");
            Worker { jobs }
        }
        #[cfg(target_arch = "wasm32")]
        {
            let _ = name;
            Worker { run: Box::new(run) }
        }
    }

    /// Gives it a job.
    pub fn give(&self, job: Job) {
        #[cfg(not(target_arch = "wasm32"))]
        // It fails only if an earlier job has panicked. Whoever waits for this one then gets nothing.
        let _ = self.jobs.send(job);
        #[cfg(target_arch = "wasm32")]
        (self.run)(job);
    }
}

/// Runs a function on 0, 1, … up to `count`, on all cores, by threads of their own. Returns what it returned, in no order.
///
/// # Panics
/// If the function does, or if the system has no thread left.
#[cfg(not(target_arch = "wasm32"))]
pub async fn in_background<T: Send + 'static>(
    name: &str,
    count: usize,
    run: impl Fn(usize) -> T + Send + Sync + 'static,
) -> Vec<T> {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let shared = Arc::new((AtomicUsize::new(0), run));
    let start = |_| {
        let (shared, (sender, later)) = (Arc::clone(&shared), later());
        let work = move || {
            let (next, run) = &*shared;
            let indices = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&i| i < count));
            // The receiver is gone only if nobody waits any more.
            let _ = sender.send(indices.map(run).collect::<Vec<T>>());
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(work);
        (thread.expect("the system has a thread left"), later)
    };
    let threads: Vec<_> = (0..cores().min(count)).map(start).collect();
    let mut all = Vec::with_capacity(count);
    for (thread, later) in threads {
        match later.get().await {
            Some(part) => all.extend(part),
            None => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        }
    }
    all
}
