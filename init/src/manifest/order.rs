//! In which order services are started.
#![forbid(unsafe_code)]

use alloc::{vec, vec::Vec};

use super::service::{Provider, Service};

/// What is wrong where there is no order.
pub(super) const CYCLE: &str = "needs itself, by way of what it needs";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// What it needs is being put in order.
    Open,
    Done,
}

/// The services' places, each behind those that it needs and else as they stand in the manifest.
///
/// # Errors
/// The place of one that needs itself.
pub(super) fn order(services: &[Service]) -> Result<Vec<usize>, usize> {
    let mut marks = vec![Mark::New; services.len()];
    let mut order = Vec::new();
    for place in 0..services.len() {
        visit(services, place, &mut marks, &mut order)?;
    }
    Ok(order)
}

/// As deep as there are services.
fn visit(
    services: &[Service],
    place: usize,
    marks: &mut [Mark],
    order: &mut Vec<usize>,
) -> Result<(), usize> {
    match marks[place] {
        Mark::Done => return Ok(()),
        Mark::Open => return Err(place),
        Mark::New => marks[place] = Mark::Open,
    }
    for need in &services[place].needs {
        if let Provider::Service(needed) = need.provider {
            visit(services, needed, marks, order)?;
        }
    }
    marks[place] = Mark::Done;
    order.push(place);
    Ok(())
}
