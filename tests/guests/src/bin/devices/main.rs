//! Devices: their memory, their ports, and their interrupts.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod lines;
mod memory;
mod ports;
mod sources;
mod storms;

use guests::suite;

use lines::*;
use memory::*;
use ports::*;
use storms::*;

suite! {
    cases: [
        ports_are_read_and_written,
        all_other_ports_are_out_of_reach,
        ports_take_their_rights,
        a_range_gets_narrower_and_never_wider,
        the_kernels_own_ports_are_refused,
        instructions_reach_no_port_by_a_capability,
        nothing_is_left_of_ports,
        each_device_signals_and_waits_for_its_acknowledgement,
        edges_before_the_acknowledgement_are_one_signal_more,
        a_line_has_one_object,
        a_binding_replaces_the_one_before,
        lines_take_their_rights,
        a_line_ends_with_its_notification,
        a_revoke_unbinds_a_line,
        a_line_is_free_when_its_driver_has_ended,
        nothing_is_left_of_lines,
    ],
    parallel: [
        a_driver_hears_of_its_device_wherever_it_runs,
        a_line_is_bound_and_closed_while_it_storms,
        drivers_are_killed_while_their_device_storms,
    ],
    on "machine=q35 pinned": [
        registers_are_read_and_written,
        a_frame_buffer_keeps_what_is_written,
        what_is_no_device_is_refused,
        registers_are_never_executed_nor_cloned,
        nothing_is_left_of_a_device,
    ],
    on "cpus=1,2,4 machine=q35": [a_level_comes_again_until_the_device_is_content],
    on "machine=pc pinned": [
        each_device_interrupts_on_a_pc,
        ports_are_reached_on_a_pc,
    ],
    roles: [drives, may_not_make_any],
}

/// The older board wires its devices through the same controller, with lines of its own.
fn each_device_interrupts_on_a_pc() {
    each_device_signals_and_waits_for_its_acknowledgement();
    edges_before_the_acknowledgement_are_one_signal_more();
}

fn ports_are_reached_on_a_pc() {
    ports_are_read_and_written();
    the_kernels_own_ports_are_refused();
}
