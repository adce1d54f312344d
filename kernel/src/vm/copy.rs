//! Giving a page that is shared with other objects a frame of its own.
#![forbid(unsafe_code)]

use super::{MemoryObject, withdraw::withdraw};
use crate::object::Ref;

/// Gives page `page` of `object`, which is shared with other objects, a frame of its own.
pub async fn copy_page(object: Ref<MemoryObject>, page: u64) {
    let _withdrawn = withdraw(&object, page..page + 1).await;
    object.with_inner(|inner| {
        if let Some(pages) = inner.anonymous()
            && pages.get(page).is_some_and(|page| page.is_shared)
        {
            // Without memory, which a backed quota excludes, whoever needs it learns that when it touches.
            let _ = pages.copy(page);
        }
    });
}
