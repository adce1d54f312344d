//! Copy-on-write clones of memory objects.
//!
//! A clone has the pages that its source has while it is made; untouched ones stay untouched in both. The
//! source's pages are withdrawn for that time, so that nobody writes one that is shared already: a write is in
//! the clone, or it comes after it. From then on whoever writes a shared page gets a copy of its own first.
//! The clone is paid in full when it is made, so every copy has its frame.
#![forbid(unsafe_code)]

use orbital_abi::Error;
use orbital_executor::yield_now;

use super::{MemoryObject, withdraw::withdraw};
use crate::{memory::frame::Frame, object::Ref};

/// Pages that one step shares.
const STEP_SHARED: u64 = 8;
/// Pages that one step copies, where they can't be shared.
const STEP_COPIED: u64 = 4;

/// Gives `copy`, which nobody else has and nobody has touched, the pages of `source`, which is of the same
/// size.
///
/// # Errors
/// [`Error::QuotaExceeded`] without memory, which a backed quota excludes.
pub async fn clone_pages(
    source: &Ref<MemoryObject>,
    copy: &Ref<MemoryObject>,
) -> Result<(), Error> {
    let _withdrawn = withdraw(source, 0..source.pages()).await;
    // The end of that was a step.
    yield_now().await;
    let mut page = 0;
    while page < source.pages() {
        page = step(source, copy, page)?;
        yield_now().await;
    }
    Ok(())
}

/// Shares or copies some pages from `page` on; gives the page to go on from.
fn step(source: &Ref<MemoryObject>, copy: &Ref<MemoryObject>, page: u64) -> Result<u64, Error> {
    // Nobody else has the copy, so its lock is free.
    source.with_inner(|from| {
        copy.with_inner(|to| {
            let to = to.anonymous().ok_or(Error::QuotaExceeded)?;
            let fixed = from.fixed(page);
            let mut pages = from.anonymous();
            if let Some(behind) = pages.as_ref().and_then(|pages| pages.behind_untouched(page)) {
                return Ok(behind);
            }
            let step = if pages.is_some() { STEP_SHARED } else { STEP_COPIED };
            for (number, page) in (0..).zip(page..source.pages().min(page + step)) {
                let frame = || fixed.map(|first| Frame::new(first.number() + number));
                let is_done = match &mut pages {
                    Some(pages) => pages.share(page, to),
                    None => frame().is_some_and(|frame| to.copy_from(page, frame)),
                };
                if !is_done {
                    return Err(Error::QuotaExceeded);
                }
            }
            Ok(page + step)
        })
    })
}
