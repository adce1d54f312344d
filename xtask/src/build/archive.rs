//! The archive of programs, the one module that the kernel is loaded with, whatever the loader. It
//! depends on its content alone: no times, no owners.
#![forbid(unsafe_code)]

use tar::{Builder, Header};

use crate::Failure;

/// Puts the archive together from names and contents, in this order.
///
/// # Errors
/// [`Status::Usage`](crate::Status::Usage) for two files of one name, and for a name that is too
/// long.
pub fn archive(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>, Failure> {
    let mut builder = Builder::new(Vec::new());
    for (at, (name, content)) in files.iter().enumerate() {
        if files[..at].iter().any(|(other, _)| other == name) {
            return Err(Failure::usage(format!("there are two modules named {name:?}")));
        }
        let mut header = Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(0);
        builder
            .append_data(&mut header, name, content.as_slice())
            .map_err(Failure::of(format_args!("module {name:?}")))?;
    }
    builder.into_inner().map_err(Failure::of("the archive of programs"))
}

#[cfg(test)]
mod tests {
    use super::archive;

    #[test]
    fn equal_content_gives_equal_archives() {
        let files = [("a".to_owned(), vec![1; 700]), ("b".to_owned(), vec![])];
        let bytes = archive(&files).unwrap();
        assert_eq!(bytes, archive(&files).unwrap());
        assert_eq!(bytes.len() % 512, 0);
        let mut read = tar::Archive::new(bytes.as_slice());
        let names: Vec<_> = read
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn a_name_can_be_used_once() {
        assert!(archive(&[("a".to_owned(), vec![]), ("a".to_owned(), vec![])]).is_err());
    }
}
