//! CPUs that firmware lists and that are not there, or are more than the kernel can use.
#![forbid(unsafe_code)]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::support::{Ran, direct, run};
use xtask::{
    cli::{Boot, RunOptions},
    machine::qemu::{self, Console, Files},
};

/// The table in which firmware lists the CPUs (ACPI specification 6.5, 5.2.12): all of these can be
/// used, it says.
fn madt(apic_ids: &[u8]) -> Vec<u8> {
    const ENABLED: u32 = 1;
    let mut table = b"APIC\0\0\0\0\x01\0ORBITLORBITALT\x01\0\0\0TEST\x01\0\0\0".to_vec();
    table.extend(0xfee0_0000_u32.to_le_bytes());
    table.extend(1_u32.to_le_bytes());
    for id in apic_ids {
        table.extend([0, 8, *id, *id]);
        table.extend(ENABLED.to_le_bytes());
    }
    let length = table.len() as u32;
    table[4..8].copy_from_slice(&length.to_le_bytes());
    // All bytes together give 0.
    table[9] = table.iter().fold(0, |sum: u8, byte| sum.wrapping_sub(*byte));
    table
}

/// Boots a machine with 2 CPUs, whose firmware's list GRUB puts this one in the place of.
fn boot_with_list(apic_ids: &[u8]) -> Ran {
    let Files::Direct { kernel, archive, .. } = direct() else { unreachable!() };
    let folder = tempfile::tempdir().unwrap();
    let grub = folder.path().join("root/boot/grub");
    fs::create_dir_all(&grub).unwrap();
    let boot = |name| -> PathBuf { folder.path().join("root/boot").join(name) };
    fs::copy(kernel, boot("kernel")).unwrap();
    fs::copy(archive, boot("programs.tar")).unwrap();
    fs::write(boot("madt"), madt(apic_ids)).unwrap();
    let configuration = "acpi --exclude=APIC /boot/madt\n\
                         multiboot2 /boot/kernel\n\
                         module2 /boot/programs.tar programs.tar\n\
                         boot\n";
    fs::write(grub.join("grub.cfg"), configuration).unwrap();
    let image = folder.path().join("image");
    let mut rescue = Command::new("grub-mkrescue");
    rescue.arg("-o").arg(&image).arg(folder.path().join("root"));
    assert!(rescue.output().unwrap().status.success());
    let options = RunOptions { boot: Boot::Iso, smp: Some(2), ..RunOptions::default() };
    let mut qemu = qemu::command(&options, &Files::Image(image), Console::Output).unwrap();
    qemu.stdin(Stdio::null()).output().unwrap().into()
}

#[test]
fn a_cpu_that_does_not_come_up_is_reported_and_left_out() {
    let ran = boot_with_list(&[0, 7, 1, 9]);
    for absent in [7, 9] {
        let line = format!("the CPU with APIC number {absent} does not start: left out");
        assert_eq!(ran.stdout.matches(&line).count(), 1, "{ran:?}");
    }
    // The one between them gets the next number.
    assert!(ran.stdout.contains("sched: cpu1 online"), "{ran:?}");
    assert!(!ran.stdout.contains("cpu2"), "{ran:?}");
    assert!(ran.stdout.contains("init: all checks passed"), "{ran:?}");
}

#[test]
fn more_cpus_than_the_kernel_can_use_stay_off() {
    let ran = run(&["--boot", "direct", "--smp", "20"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stdout.contains("4 CPUs more than the kernel can use stay off"), "{ran:?}");
    assert!(ran.stdout.contains("cpu15 online") && !ran.stdout.contains("cpu16"), "{ran:?}");
}
