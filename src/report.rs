//! Reports: what a replay came to as one HTML page, with pictures, that needs nothing but itself.

pub mod alerts;
pub mod page;
pub mod plot;
pub mod recorder;
pub mod rivals;
pub mod series;

pub use page::{Page, html};
pub use recorder::{Moment, Recorder};
pub use rivals::Rivals;
