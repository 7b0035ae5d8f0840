//! A bounded stream of values for each of several readers.
//!
//! Unlike a ring buffer that is made with all of its room, it holds what waits for a reader and
//! nothing else: most clients have one quick reader or none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Where values are told. The readers' streams end once it is closed.
#[derive(Debug)]
pub(super) struct Feed<T> {
    capacity: usize,
    shared: Mutex<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    readers: BTreeMap<u64, Waiting<T>>,
    next_reader: u64,
    closed: bool,
}

/// What waits for one reader.
#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<T>,
    missed: u64,
    waker: Option<Waker>,
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told<T> {
    /// The next value.
    Item(T),
    /// So many values were dropped before the next one.
    Missed(u64),
}

/// One reader, from the moment it was made.
#[derive(Debug)]
pub(super) struct Reader<T> {
    feed: Arc<Feed<T>>,
    id: u64,
}

impl<T: Clone> Feed<T> {
    /// Makes a feed that keeps at most `capacity` values for each reader.
    pub(super) fn new(capacity: usize) -> Self {
        let shared = Shared {
            readers: BTreeMap::new(),
            next_reader: 0,
            closed: false,
        };
        Self {
            capacity,
            shared: Mutex::new(shared),
        }
    }

    /// Tells every reader. One that is too slow loses its oldest value.
    pub(super) fn send(&self, item: T) {
        let mut shared = self.shared();
        let mut wakers = Vec::new();
        for waiting in shared.readers.values_mut() {
            if waiting.items.len() >= self.capacity {
                waiting.items.pop_front();
                waiting.missed += 1;
            }
            waiting.items.push_back(item.clone());
            wakers.extend(waiting.waker.take());
        }
        drop(shared);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends every stream after what still waits for it.
    pub(super) fn close(&self) {
        let mut shared = self.shared();
        shared.closed = true;
        let readers = shared.readers.values_mut();
        let wakers: Vec<Waker> = readers.filter_map(|waiting| waiting.waker.take()).collect();
        drop(shared);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Begins another reader.
    pub(super) fn reader(self: &Arc<Self>) -> Reader<T> {
        let mut shared = self.shared();
        let id = shared.next_reader;
        shared.next_reader += 1;
        let waiting = Waiting {
            items: VecDeque::new(),
            missed: 0,
            waker: None,
        };
        shared.readers.insert(id, waiting);
        drop(shared);
        Reader {
            feed: Arc::clone(self),
            id,
        }
    }
}

impl<T> Feed<T> {
    /// Nothing is done under the lock that could panic half-way.
    fn shared(&self) -> MutexGuard<'_, Shared<T>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Reader<T> {
    /// Takes what is next; `None` once the feed is closed and all of it was taken.
    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Told<T>>> {
        let mut shared = self.feed.shared();
        let closed = shared.closed;
        let Some(waiting) = shared.readers.get_mut(&self.id) else {
            return Poll::Ready(None);
        };
        if waiting.missed > 0 {
            return Poll::Ready(Some(Told::Missed(std::mem::take(&mut waiting.missed))));
        }
        if let Some(item) = waiting.items.pop_front() {
            if waiting.items.is_empty() {
                // A burst must not hold its memory for the life of the reader.
                waiting.items.shrink_to(0);
            }
            return Poll::Ready(Some(Told::Item(item)));
        }
        if closed {
            return Poll::Ready(None);
        }
        waiting.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        self.feed.shared().readers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(reader: &Reader<u32>) -> Poll<Option<Told<u32>>> {
        reader.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn item(item: u32) -> Poll<Option<Told<u32>>> {
        Poll::Ready(Some(Told::Item(item)))
    }

    #[test]
    fn each_reader_gets_what_came_since_it_began() {
        let feed = Arc::new(Feed::new(4));
        feed.send(1);
        let one = feed.reader();
        feed.send(2);
        let two = feed.reader();
        feed.send(3);
        assert_eq!((next(&one), next(&one)), (item(2), item(3)));
        assert_eq!((next(&two), next(&two)), (item(3), Poll::Pending));
        assert_eq!(next(&one), Poll::Pending);
    }

    #[test]
    fn a_slow_reader_loses_the_oldest_and_is_told_how_many() {
        let feed = Arc::new(Feed::new(4));
        let (slow, quick) = (feed.reader(), feed.reader());
        for number in 0..10 {
            feed.send(number);
            assert_eq!(next(&quick), item(number));
        }
        assert_eq!(next(&slow), Poll::Ready(Some(Told::Missed(6))));
        for number in 6..10 {
            assert_eq!(next(&slow), item(number));
        }
        assert_eq!(next(&slow), Poll::Pending);
    }

    #[test]
    fn a_closed_feed_ends_after_what_still_waits() {
        let feed = Arc::new(Feed::new(4));
        let reader = feed.reader();
        feed.send(1);
        feed.close();
        assert_eq!((next(&reader), next(&reader)), (item(1), Poll::Ready(None)));
        assert_eq!(next(&feed.reader()), Poll::Ready(None));
    }

    #[test]
    fn room_is_taken_by_what_waits_and_by_nothing_else() {
        let feed = Arc::new(Feed::new(256));
        feed.send(0);
        let reader = feed.reader();
        let room = |feed: &Feed<u32>| -> usize {
            let shared = feed.shared();
            shared
                .readers
                .values()
                .map(|waiting| waiting.items.capacity())
                .sum()
        };
        assert_eq!(room(&feed), 0);
        (0..200).for_each(|number| feed.send(number));
        while next(&reader).is_ready() {}
        assert_eq!(room(&feed), 0);
        drop(reader);
        assert!(feed.shared().readers.is_empty());
    }

    #[test]
    fn a_reader_that_sleeps_is_woken() {
        use std::sync::atomic::{AtomicU32, Ordering};
        struct Woken(AtomicU32);
        impl std::task::Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let woken = Arc::new(Woken(AtomicU32::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let feed = Arc::new(Feed::new(4));
        let reader = feed.reader();
        for event in 1..=2 {
            assert!(
                reader
                    .poll_next(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            if event == 1 {
                feed.send(1);
                assert_eq!(next(&reader), item(1));
            } else {
                feed.close();
            }
            assert_eq!(woken.0.load(Ordering::SeqCst), event);
        }
    }
}
