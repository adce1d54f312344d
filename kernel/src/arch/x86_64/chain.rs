//! The tables over an address, one leading to the next: made and given up in one walk from the root.

use x86_64::{
    PhysAddr,
    structures::paging::{PageTableFlags as Flags, page_table::PageTableEntry},
};

use super::{
    direct_map,
    paging::{PageTables, TOP, count, count_less, count_more, frame_of, index, table},
};
use crate::{arch::Table, memory::FrameList};

/// What leads to the tables over an address, by their level less one; null where there is none.
type Leading = [*mut PageTableEntry; TOP as usize - 1];

impl PageTables {
    /// How many of the tables from `level` up are missing over `address`.
    pub fn missing(&self, address: u64, level: Table) -> u64 {
        u64::from(self.entry(address, level as u32).1 - level as u32)
    }

    /// Counts `times` more who need the table of this level over `address`. It and those above are made where they
    /// are missing, of `frames`, which are zeroed and enough; each needs the one above.
    pub fn need(&mut self, address: u64, level: Table, times: u64, frames: &mut FrameList) {
        // Rights are the leaf's business: the upper levels allow all.
        let all = Flags::PRESENT | Flags::WRITABLE | Flags::USER_ACCESSIBLE;
        let (mut frame, mut above) = (self.root, None::<*mut PageTableEntry>);
        for at in (level as u32 + 1..=TOP).rev() {
            // SAFETY: `frame` is the root or a table that an entry of these tables leads to, which are borrowed for
            // writing; `above` is an entry in another table than this one.
            unsafe {
                let entry = &mut (&mut (*table(frame)))[index(address, at)];
                debug_assert!(!entry.flags().contains(Flags::HUGE_PAGE), "a large page");
                if entry.is_unused() {
                    let Some(new) = frames.pop() else { return };
                    entry.set_addr(PhysAddr::new(new.address()), all);
                    above.into_iter().for_each(|above| count_more(&mut *above, 1));
                }
                frame = frame_of(entry);
                above = Some(entry);
            }
        }
        // SAFETY: as above.
        above.into_iter().for_each(|entry| count_more(unsafe { &mut *entry }, times));
    }

    /// Counts `times` less who need the table of this level over `address`. One that nobody needs any more is taken out,
    /// with those above that nobody else needs: all are empty and go to `out`, but CPUs may still walk them until they
    /// forget their translations. How many that are.
    pub fn release(&mut self, address: u64, level: Table, times: u64, out: &mut FrameList) -> u64 {
        let mut leading: Leading = [core::ptr::null_mut(); _];
        let mut frame = self.root;
        for at in (level as u32 + 1..=TOP).rev() {
            // SAFETY: as in `need`.
            unsafe {
                let entry = &mut (&mut (*table(frame)))[index(address, at)];
                if entry.is_unused() {
                    debug_assert!(false, "no table for {address:#x}");
                    return 0;
                }
                frame = frame_of(entry);
                leading[at as usize - 2] = entry;
            }
        }
        let (mut taken, mut times) = (0, times);
        for entry in &leading[level as usize - 1..] {
            // SAFETY: the walk has found it, in a table that is still there.
            let entry = unsafe { &mut **entry };
            count_less(entry, times);
            if count(entry) > 0 {
                break;
            }
            let frame = frame_of(entry);
            debug_assert!(direct_map::is_zero(frame), "not empty");
            entry.set_unused();
            out.push(frame);
            (taken, times) = (taken + 1, 1);
        }
        taken
    }
}
