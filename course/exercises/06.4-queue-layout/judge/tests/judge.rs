//! Judges the layout by the specification's own numbers.

use exercise_06_4::{Layout, layout};

#[test]
fn areas_lie_where_the_specification_says() {
    for size in [1_u16, 2, 4, 8, 256, 32_768] {
        let Some(Layout { available, used, bytes }) = layout(size) else {
            panic!("expected a layout for {size} descriptors; came none");
        };
        let size = usize::from(size);
        assert!(
            available == 16 * size,
            "the available ring of {size} descriptors: expected offset {}; came {available}",
            16 * size
        );
        let end = available + 6 + 2 * size;
        let right = end.next_multiple_of(4);
        assert!(
            used != end || end == right,
            "the used ring of {size} descriptors: expected offset {right}; came {used}: a used ring begins at a multiple of 4"
        );
        assert!(
            used == right,
            "the used ring of {size} descriptors: expected offset {right}; came {used}: which field of the available ring is missing?"
        );
        let all = right + 6 + 8 * size;
        assert!(bytes == all, "all areas of {size} descriptors: expected {all} bytes; came {bytes}");
    }
}

#[test]
fn other_sizes_are_refused() {
    for size in [0_u16, 3, 12, 32_769, u16::MAX] {
        assert!(layout(size).is_none(), "expected no layout for {size} descriptors; came {:?}", layout(size));
    }
}
