//! Leases: take them, keep them while a body runs, wait for those that others hold.

mod background;
mod call;
mod claims;
mod close;
mod doubt;
mod ending;
mod errand;
mod group;
mod hand_over;
mod heartbeat;
mod held;
mod limit;
mod line;
mod look;
mod patience;
mod renewer;
mod report;
mod runtimes;
mod shard;
mod take;
mod wait;

pub use self::call::{Call, current};
pub(crate) use self::call::{Caller, Downstream, Frame};
pub(crate) use self::claims::{Claim, Claims};
pub(crate) use self::close::Running;
pub(crate) use self::held::{Held, Lost, Settled};
pub(crate) use self::limit::within;
pub(crate) use self::patience::Patience;
pub(crate) use self::report::{report_unprotected, report_unstored};
pub(crate) use self::take::{Leases, Taken};
pub(crate) use self::wait::{Turn, Waiting};
