//! The bootable image: GRUB for BIOS, and for UEFI where Debian's package is there, with the kernel
//! and the archive of programs.
#![forbid(unsafe_code)]

use std::{fs, path::Path, process::Command};

use super::{
    loadable::loadable,
    system::{System, read},
};
use crate::{Failure, progress::Step};

/// Which screen GRUB shall leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// A framebuffer, where the machine has one.
    Any,
    /// Text, as Bochs wants it.
    Text,
}

/// Writes the image of `system` to `output`.
///
/// # Errors
/// [`Status::Usage`](crate::Status::Usage) when a file can't be written, or with what
/// `grub-mkrescue` said last.
pub fn write(system: &System, screen: Screen, output: &Path) -> Result<(), Failure> {
    let _step = Step::begin("making the image");
    let folder = tempfile::tempdir().map_err(Failure::of("a temporary folder"))?;
    let root = folder.path().join("root");
    let grub = root.join("boot/grub");
    fs::create_dir_all(&grub).map_err(Failure::of(grub.display()))?;
    let kernel = loadable("the kernel", read(&system.kernel)?)?;
    fs::write(root.join("boot/kernel"), kernel).map_err(Failure::of("the image"))?;
    fs::write(root.join("boot/programs.tar"), &system.archive).map_err(Failure::of("the image"))?;
    fs::write(grub.join("grub.cfg"), configuration(&system.command_line, screen))
        .map_err(Failure::of("the image"))?;

    // A failure shall leave no half image in its place.
    let image = folder.path().join("image");
    let result = Command::new("grub-mkrescue")
        .arg("-o")
        .arg(&image)
        .arg(&root)
        // The same content shall give the same image.
        .env("SOURCE_DATE_EPOCH", "0")
        .output()
        .map_err(Failure::of("grub-mkrescue"))?;
    if !result.status.success() {
        let text = String::from_utf8_lossy(&result.stderr);
        let last = text.lines().last().unwrap_or("no reason given");
        return Err(Failure::usage(format!("grub-mkrescue: {last}")));
    }
    fs::copy(&image, output).map_err(Failure::of(output.display()))?;
    Ok(())
}

fn configuration(command_line: &str, screen: Screen) -> String {
    let words: String = words(command_line).iter().map(|word| format!(" '{word}'")).collect();
    // The kernel's header asks for a framebuffer, for which GRUB sets `gfxpayload` when it loads the kernel.
    let (before, after) = match screen {
        Screen::Any => ("insmod all_video\n", ""),
        Screen::Text => ("", "set gfxpayload=text\n"),
    };
    format!(
        "{before}\
         multiboot2 /boot/kernel{words}\n\
         module2 /boot/programs.tar programs.tar\n\
         {after}\
         boot\n"
    )
}

/// The words of a command line, without quotes: GRUB puts its own where they are needed.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_grub() {
        let text = configuration(r#"log=debug  exec="a; b" x"#, Screen::Any);
        assert!(text.contains("multiboot2 /boot/kernel 'log=debug' 'exec=a; b' 'x'\n"), "{text}");
        assert!(configuration("", Screen::Text).contains("kernel\n"));
    }

    #[test]
    fn a_text_screen_is_chosen_after_the_kernel_has_asked_for_another() {
        let text = configuration("", Screen::Text);
        let at = |word| text.find(word).unwrap_or_else(|| panic!("{word}: {text}"));
        assert!(at("multiboot2") < at("gfxpayload=text") && at("gfxpayload=text") < at("boot\n"));
        assert!(!text.contains("all_video"), "{text}");
        let text = configuration("", Screen::Any);
        assert!(text.contains("all_video") && !text.contains("gfxpayload"), "{text}");
    }
}
