//! Tags, messages and deadlines.

use crate::{
    Deadline, IpcError, Message, Tag,
    message::{MAX_WORDS, REGISTER_WORDS},
};

#[test]
fn a_tag_keeps_label_and_count_apart() {
    for label in [0, 1, u32::MAX] {
        for words in 0..=MAX_WORDS {
            let tag = Tag::new(label, words).unwrap();
            assert_eq!((tag.label(), tag.words()), (label, words));
            assert_eq!((tag.register_words(), tag.is_long()), (words.min(8), words > 8));
            assert_eq!(Tag::from_bits(tag.bits()), Ok(tag));
            assert_eq!(Tag::short_from_bits(tag.bits()), (words <= 8).then_some(tag));
            assert_eq!(Tag::plain_from_bits(tag.bits()), Some(tag));
        }
    }
    assert_eq!(Tag::new(7, 3).map(Tag::bits), Ok(3 << 32 | 7));
}

#[test]
fn a_tag_with_more_words_than_a_message_has_is_refused() {
    // The later ones would vanish, or look small, if they were cut to the field's width.
    for words in [MAX_WORDS + 1, 0x1ff, 0x200, 1 << 32, usize::MAX] {
        assert_eq!(Tag::new(0, words), Err(IpcError::InvalidMessage), "{words}");
    }
    for words in MAX_WORDS as u64 + 1..=0x1ff {
        assert_eq!(Tag::plain_from_bits(words << 32), None, "{words}");
        assert_eq!(Tag::from_bits(words << 32), Err(IpcError::InvalidMessage), "{words}");
    }
}

#[test]
fn a_tag_with_bits_that_mean_nothing_is_refused() {
    for bit in 47..64 {
        assert_eq!(Tag::from_bits(1 << bit | 1), Err(IpcError::InvalidMessage), "bit {bit}");
        assert_eq!(Tag::short_from_bits(1 << bit | 1), None, "bit {bit}");
    }
    assert_eq!(Tag::from_bits(u64::MAX), Err(IpcError::InvalidMessage));
}

#[test]
fn a_tag_counts_capabilities_apart() {
    let plain = Tag::new(u32::MAX, 0x1aa).unwrap();
    for (sent, accepted) in (0..=4).flat_map(|sent| (0..=4).map(move |accepted| (sent, accepted))) {
        let tag = plain.with_capabilities(sent, accepted).unwrap();
        assert_eq!((tag.label(), tag.words()), (plain.label(), plain.words()));
        assert_eq!((tag.capabilities(), tag.accepted()), (sent, accepted));
        assert_eq!(tag.bits(), plain.bits() | (sent as u64) << 41 | (accepted as u64) << 44);
        assert_eq!(Tag::from_bits(tag.bits()), Ok(tag));
        assert_eq!(tag.delivered(), plain.with_capabilities(sent, 0).unwrap());
        assert_eq!(tag.accepting().bits(), (accepted as u64) << 44);
        assert_eq!(tag.with_capabilities(0, 0), Ok(plain), "counts are replaced");
        let short = Tag::new(1, 8).unwrap().with_capabilities(sent, accepted).unwrap();
        assert_eq!(short.needs_page(), sent > 1);
        let is_plain = (sent, accepted) == (0, 0);
        assert_eq!(Tag::short_from_bits(short.bits()), is_plain.then_some(short));
        assert_eq!(Tag::plain_from_bits(tag.bits()), is_plain.then_some(tag));
    }
    for count in 5..=7 {
        assert_eq!(Tag::from_bits(count << 41), Err(IpcError::InvalidMessage), "{count} sent");
        assert_eq!(Tag::from_bits(count << 44), Err(IpcError::InvalidMessage), "{count} accepted");
        for (sent, accepted) in [(count as usize, 0), (0, count as usize)] {
            assert_eq!(plain.with_capabilities(sent, accepted), Err(IpcError::InvalidMessage));
        }
    }
}

#[test]
fn the_empty_tag_is_zero() {
    assert_eq!(Tag::new(0, 0), Ok(Tag::default()));
    assert_eq!(Tag::default().bits(), 0);
}

#[test]
fn a_message_has_the_words_it_was_made_of_and_zeros_behind() {
    let all = [1, 2, 3, 4, 5, 6, 7, u64::MAX];
    for count in 0..=REGISTER_WORDS {
        let message = Message::new(9, &all[..count]).unwrap();
        assert_eq!((message.label(), message.words()), (9, &all[..count]));
        assert_eq!(message.words[count..], [0; REGISTER_WORDS][count..]);
    }
    assert_eq!(Message::new(0, &[]), Ok(Message::default()));
}

#[test]
fn a_message_of_too_many_words_is_refused() {
    let words = [0; 0x200];
    for count in [REGISTER_WORDS + 1, 0x1ff, 0x200] {
        assert_eq!(Message::new(0, &words[..count]), Err(IpcError::InvalidMessage), "{count}");
    }
}

#[test]
fn deadlines_are_what_stands_in_the_register() {
    for deadline in [Deadline::Now, Deadline::Never, Deadline::At(1), Deadline::At(u64::MAX - 1)] {
        assert_eq!(Deadline::from_bits(deadline.bits()), deadline);
    }
    assert_eq!(Deadline::from_bits(0), Deadline::Now);
    assert_eq!(Deadline::from_bits(u64::MAX), Deadline::Never);
}
