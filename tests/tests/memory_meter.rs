//! What the figures of the allocation counter mean, as the suites with a memory ceiling rely on them.

use std::hint::black_box;

use allocation_counter::measure;

#[test]
fn code_that_does_not_allocate_counts_nothing() {
    let info = measure(|| {
        black_box([0_u8; 4096]);
    });
    assert_eq!((info.count_total, info.bytes_max), (0, 0));
}

#[test]
fn the_peak_counts_what_is_held_at_once_and_the_balance_what_is_left() {
    let mut left = Vec::new();
    let info = measure(|| {
        for _ in 0..10 {
            black_box(vec![0_u8; 1000]);
        }
        left = black_box(vec![0_u8; 300]);
    });
    assert_eq!((info.count_total, info.bytes_max, info.bytes_current), (11, 1000, 300));
}

#[test]
fn a_buffer_that_grows_counts_its_old_and_its_new_place_at_once() {
    let info = measure(|| {
        let mut grown = vec![0_u8; 1000];
        grown.reserve_exact(1000);
        black_box(grown);
    });
    assert_eq!(info.bytes_max, 3000);
}

#[test]
fn another_thread_is_not_counted() {
    let info = measure(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| black_box(vec![0_u8; 1 << 20]));
        });
    });
    assert!(info.bytes_max < 1 << 19, "{info:?}");
}
