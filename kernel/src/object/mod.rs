//! What all kernel objects share: a header with kind and counts, counted references, and the quota
//! that pays. Every object is made through this layer; `capability` knows objects only by it.

pub mod cut;
pub mod header;
pub mod identity;
pub mod paid;
pub mod quota;
pub mod reference;
pub mod registry;
pub mod tally;

#[cfg(test)]
mod tests;

pub use cut::Cut;
pub use header::{Header, Object};
pub use identity::identity;
pub use paid::{Paid, PaidRoom};
pub use quota::{Charge, Quota, Usage};
pub use reference::{AnyRef, Ref, Uncounted};
pub use tally::Tally;
