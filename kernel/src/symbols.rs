//! Names for the kernel's own addresses, for backtraces: from a table that the image's builder made
//! of the kernel's ELF and put into the archive of programs.
#![forbid(unsafe_code)]

/// Name of the table in the archive. One line for each function, in the order of their addresses:
/// 16 hexadecimal digits, a blank, the name.
pub const FILE: &str = "kernel.sym";

static TABLE: spin::Once<&'static str> = spin::Once::new();

/// Remembers the table.
pub fn init(table: &'static [u8]) {
    if let Ok(table) = core::str::from_utf8(table) {
        TABLE.call_once(|| table);
    }
}

/// The function that `address` lies in, and how far behind its start.
pub fn lookup(address: u64) -> Option<(&'static str, u64)> {
    find(TABLE.get()?, address)
}

fn find(table: &str, address: u64) -> Option<(&str, u64)> {
    let symbols = table.lines().filter_map(|line| {
        let (start, name) = line.split_once(' ')?;
        Some((u64::from_str_radix(start, 16).ok()?, name))
    });
    let (start, name) = symbols.take_while(|(start, _)| *start <= address).last()?;
    Some((name, address - start))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_nearest_symbol_below_is_found() {
        let table = "0000000000000010 a\n0000000000000020 b::c\nnonsense\n";
        assert_eq!(super::find(table, 0x0f), None);
        assert_eq!(super::find(table, 0x1f), Some(("a", 0xf)));
        assert_eq!(super::find(table, 0x25), Some(("b::c", 5)));
        assert_eq!(super::find("", 1), None);
    }
}
